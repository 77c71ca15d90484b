"""The model to train: a WavLMModel of transformers whose config says no dropout.

So none is in the config of what is exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from probing.backbones.library import import_transformers, quiet

WITHOUT_DROPOUT = dict.fromkeys(
    ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop"),
    0.0,
)


def new_model(architecture: dict[str, Any]) -> Any:
    """Draw the weights of a WavLMModel."""
    config = import_transformers().WavLMConfig(**architecture | WITHOUT_DROPOUT)
    return import_transformers().WavLMModel(config)


def set_dropout(model: Any, share: float) -> None:
    """Set the share of every dropout, which acts while the model is in training mode."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share


def load_model(folder: Path) -> Any:
    """Load a WavLMModel in float32."""
    with quiet():
        return import_transformers().WavLMModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, **WITHOUT_DROPOUT
        )
