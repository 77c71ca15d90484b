"""The trained model as a transformers folder: float16 weights, config, preprocessor config."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from probing.backbones.library import quiet

PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "do_normalize": True,
    "feature_size": 1,
    "padding_value": 0.0,
    "return_attention_mask": True,
    "sampling_rate": 16000,
}


def export_model(model: Any, folder: Path) -> dict[str, str]:
    """Write a WavLMModel so that `WavLMModel.from_pretrained` and `probe extract` load it.

    Args:
        model: in float32; it stays as it is.
        folder: made if it is not there; files of the same names are replaced.

    Returns:
        The SHA-256 of each file written, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).cpu().half()
    with quiet():
        half.save_pretrained(folder)
    _write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    names = ("config.json", "model.safetensors", "preprocessor_config.json")
    for name in names:
        # safetensors writes for the owner only; an installed package is for everybody
        (folder / name).chmod(0o644)
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
