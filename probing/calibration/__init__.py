"""Calibration: scores of one system or several to log-likelihood ratios, made on dev and measured
on eval.
"""

from probing.calibration.affine import Calibration, calibrate, check_prior, cost_note

__all__ = ["Calibration", "calibrate", "check_prior", "cost_note"]
