"""Transferability: how well each layer will do, foretold without training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from analysis.transferability.layers import SCORES, transfer_scores
    from analysis.transferability.pictures import transfer_curve
    from analysis.transferability.prediction import predicts

__all__ = ["SCORES", "predicts", "transfer_curve", "transfer_scores"]

_HOME = {
    "SCORES": "layers",
    "predicts": "prediction",
    "transfer_curve": "pictures",
    "transfer_scores": "layers",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
