"""Calibration: scores to log-likelihood ratios, made on dev and measured on eval."""

from probing.calibration.affine import Calibration, calibrate, cost_note
from probing.scores.options import check_prior

__all__ = ["Calibration", "calibrate", "check_prior", "cost_note"]
