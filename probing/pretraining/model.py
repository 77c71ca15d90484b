"""The model to train: a transformers WavLMModel without dropout, for the run is too short to overfit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from probing.backbones.library import import_transformers, quiet

WITHOUT_DROPOUT = dict.fromkeys(
    ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop"), 0.0
)


def new_model(architecture: dict[str, Any]) -> Any:
    """Draw the weights of a WavLMModel."""
    config = import_transformers().WavLMConfig(**architecture | WITHOUT_DROPOUT)
    return import_transformers().WavLMModel(config)


def load_model(folder: Path) -> Any:
    """Load a WavLMModel in float32."""
    with quiet():
        return import_transformers().WavLMModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, **WITHOUT_DROPOUT
        )
