"""Metrics of countermeasure scores, with their conventions and sources."""

from probing.metrics.bootstrap import Interval, Resamples, draw, eer_resamples, percentile_interval
from probing.metrics.eer import ScoresError, eer

__all__ = ["Interval", "Resamples", "ScoresError", "draw", "eer", "eer_resamples", "percentile_interval"]
