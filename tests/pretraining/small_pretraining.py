"""A model and a recipe small enough to train in a test."""

from __future__ import annotations

from typing import Any

from probing.provenance.pretraining.config import Recipe

ARCHITECTURE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16, 16, 24, 24, 32, 32, 32],
    "conv_bias": False,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "apply_spec_augment": False,
}
RECIPE = Recipe(
    units=("mfcc",),
    n_clusters=8,
    batch=3,
    n_frames=40,
    n_spans=2,
    front_end_steps=3,
    warm_up=2,
    mix_speech=0.5,
)
