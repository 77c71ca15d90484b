"""Transferability: how well each layer will do, told without training, and how well that is told."""

from analysis.transferability.layers import SCORES, transferability
from analysis.transferability.prediction import predicts

__all__ = ["SCORES", "predicts", "transferability"]
