"""Metrics of countermeasure scores and of probes, with their conventions and sources."""

from typing import TYPE_CHECKING

from cache.lazy import lazy

# at once: a module that is imported later would take the name of its function
from probing.metrics.eer import ScoresError, eer
from probing.metrics.roc import Roc, auc, official_eer, roc

if TYPE_CHECKING:
    from probing.metrics.bootstrap import eer_resamples
    from probing.metrics.classes import (
        ClassFigures,
        ClassTrials,
        class_figures,
        class_trials,
        confusion,
    )
    from probing.metrics.costs import ASVSPOOF5, Costs, accuracy, act_dcf, cllr, min_dcf
    from probing.metrics.intervals import (
        Comparison,
        Interval,
        compare,
        difference_interval,
        difference_p,
        figure_interval,
        rate_interval,
        simultaneous_level,
        standard_error,
    )
    from probing.metrics.localisation import (
        LocalisationFigures,
        localisation_figures,
        range_eer,
        range_pieces,
        segment_eer,
        segment_eers,
        segments,
        threshold_at_eer,
    )
    from probing.metrics.numbers import NumberFigures, NumberTrials, number_figures, number_trials
    from probing.metrics.resamples import RESAMPLES, Resamples, draw
    from probing.metrics.sasv import ADCF, SasvCosts, SasvCurve, a_dcf, sasv_curve, t_eer
    from probing.metrics.sasv_bootstrap import a_dcf_resamples, t_eer_resamples
    from probing.metrics.tdcf import AsvRates, asv_rates, legacy_min_tdcf, revised_min_tdcf

__all__ = [
    "ADCF",
    "ASVSPOOF5",
    "RESAMPLES",
    "AsvRates",
    "ClassFigures",
    "ClassTrials",
    "Comparison",
    "Costs",
    "Interval",
    "LocalisationFigures",
    "NumberFigures",
    "NumberTrials",
    "Resamples",
    "Roc",
    "SasvCosts",
    "SasvCurve",
    "ScoresError",
    "a_dcf",
    "a_dcf_resamples",
    "accuracy",
    "act_dcf",
    "asv_rates",
    "auc",
    "class_figures",
    "class_trials",
    "cllr",
    "compare",
    "confusion",
    "difference_interval",
    "difference_p",
    "draw",
    "eer",
    "eer_resamples",
    "figure_interval",
    "legacy_min_tdcf",
    "localisation_figures",
    "min_dcf",
    "number_figures",
    "number_trials",
    "official_eer",
    "range_eer",
    "range_pieces",
    "rate_interval",
    "revised_min_tdcf",
    "roc",
    "sasv_curve",
    "segment_eer",
    "segment_eers",
    "segments",
    "simultaneous_level",
    "standard_error",
    "t_eer",
    "t_eer_resamples",
    "threshold_at_eer",
]

_HOME = {
    "ADCF": "sasv",
    "ASVSPOOF5": "costs",
    "AsvRates": "tdcf",
    "ClassFigures": "classes",
    "ClassTrials": "classes",
    "Comparison": "intervals",
    "Costs": "costs",
    "Interval": "intervals",
    "LocalisationFigures": "localisation",
    "NumberFigures": "numbers",
    "NumberTrials": "numbers",
    "RESAMPLES": "resamples",
    "Resamples": "resamples",
    "SasvCosts": "sasv",
    "SasvCurve": "sasv",
    "a_dcf": "sasv",
    "a_dcf_resamples": "sasv_bootstrap",
    "accuracy": "costs",
    "act_dcf": "costs",
    "asv_rates": "tdcf",
    "class_figures": "classes",
    "class_trials": "classes",
    "cllr": "costs",
    "compare": "intervals",
    "confusion": "classes",
    "difference_interval": "intervals",
    "difference_p": "intervals",
    "draw": "resamples",
    "eer_resamples": "bootstrap",
    "figure_interval": "intervals",
    "legacy_min_tdcf": "tdcf",
    "localisation_figures": "localisation",
    "min_dcf": "costs",
    "number_figures": "numbers",
    "number_trials": "numbers",
    "range_eer": "localisation",
    "range_pieces": "localisation",
    "rate_interval": "intervals",
    "revised_min_tdcf": "tdcf",
    "sasv_curve": "sasv",
    "segment_eer": "localisation",
    "segment_eers": "localisation",
    "segments": "localisation",
    "simultaneous_level": "intervals",
    "standard_error": "intervals",
    "t_eer": "sasv",
    "t_eer_resamples": "sasv_bootstrap",
    "threshold_at_eer": "localisation",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
