"""Models of published shapes with random weights, and real clips of realistic lengths, for the
benchmarks.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import transformers

from probing.audio import Cropping, load_audio
from probing.corpora import load_corpus

SHAPES = {
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
    },
}


@contextmanager
def shape(name: str, config: str = "WavLMConfig") -> Iterator[str]:
    """What `load_backbone` takes for the base or large model of a family with random weights; no
    download.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / f"wavlm-{name}"
        getattr(transformers, config)(**SHAPES[name]).save_pretrained(folder)
        preprocessor = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "do_normalize": name == "large",
        }
        (folder / "preprocessor_config.json").write_text(
            json.dumps({**preprocessor, "sampling_rate": 16000})
        )
        yield f"random:{folder}"


def real_clips(n: int, corpus: str = "demo") -> list[np.ndarray]:
    """The first clips of a corpus as they are, which is how long clips come: 2.4 s on average in
    the demo.
    """
    found = load_corpus(corpus)
    paths = found.utterances.sort_values("utterance_id")["path"].head(n)
    return [load_audio(found.root / path, Cropping()) for path in paths]


def clips_of(seconds: Sequence[float]) -> list[np.ndarray]:
    """Clips of given lengths, made of real speech."""
    speech = np.concatenate(real_clips(24))
    return [
        np.resize(np.roll(speech, -7919 * i), round(length * 16000))
        for i, length in enumerate(seconds)
    ]
