"""Verification of a backbone that was just made: one short clip is run through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .errors import BackboneUnsupported
from .library import first_line

if TYPE_CHECKING:
    from .backbone import Backbone


def verified_dim(backbone: Backbone) -> int:
    """Run a short clip, check the number of layers, their shapes and values, and give their width.

    Raises:
        BackboneUnsupported: the model fails on it, or its layers are not those that were expected.
    """
    n_samples = min(max(7777, backbone.min_samples), backbone.max_samples or 7777)
    clip = np.random.default_rng(0).normal(0, 0.05, n_samples).astype(np.float32)
    try:
        layers = backbone.hidden_states([clip]).layers
    except BackboneUnsupported:
        raise
    except Exception as error:
        raise BackboneUnsupported(
            f"{backbone.name} ({backbone.family}) failed on a clip of {n_samples} samples: "
            f"{first_line(error)}. Choose another model."
        ) from error
    dims = {layer.shape[2] for layer in layers}
    if len(dims) != 1:
        raise BackboneUnsupported(
            f"{backbone.name} has layers of widths {sorted(dims)}; "
            "expected one. Choose another model."
        )
    if not all(torch.isfinite(layer).all() for layer in layers):
        raise BackboneUnsupported(
            f"{backbone.name} gives hidden states that are not finite numbers. Its weights are "
            "damaged: fetch them again."
        )
    return dims.pop()
