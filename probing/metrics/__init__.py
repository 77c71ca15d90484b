"""Metrics of countermeasure scores, with their conventions and sources."""

from probing.metrics.bootstrap import Comparison, Interval, Resamples, compare, draw, eer_resamples, percentile_interval
from probing.metrics.costs import ASVSPOOF5, Costs, accuracy, act_dcf, cllr, min_dcf
from probing.metrics.eer import ScoresError, eer
from probing.metrics.roc import Roc, auc, official_eer, roc
from probing.metrics.tdcf import AsvRates, asv_rates, legacy_min_tdcf, revised_min_tdcf

__all__ = [
    "ASVSPOOF5",
    "AsvRates",
    "Comparison",
    "Costs",
    "Interval",
    "Resamples",
    "Roc",
    "ScoresError",
    "accuracy",
    "act_dcf",
    "asv_rates",
    "auc",
    "cllr",
    "compare",
    "draw",
    "eer",
    "eer_resamples",
    "legacy_min_tdcf",
    "min_dcf",
    "official_eer",
    "percentile_interval",
    "revised_min_tdcf",
    "roc",
]
