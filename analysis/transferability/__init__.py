"""Transferability: how well each layer will do, foretold without training."""

from analysis.transferability.layers import SCORES, transfer_scores
from analysis.transferability.pictures import transfer_curve
from analysis.transferability.prediction import predicts

__all__ = ["SCORES", "predicts", "transfer_curve", "transfer_scores"]
