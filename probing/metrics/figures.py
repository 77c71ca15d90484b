"""The figures that `probe evaluate` gives of scores, each declared once.

To add one, see CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probing.metrics.costs import act_dcf, cllr, min_dcf
from probing.metrics.eer import eer
from probing.metrics.roc import Roc, auc, official_eer_point, roc
from probing.metrics.tdcf import AsvRates, legacy_min_tdcf, revised_min_tdcf
from probing.registry import Registry, own_code


@dataclass(frozen=True)
class Trials:
    """Trials of both classes.

    bonafide: (N,) true for bona fide.
    scores: (N,) higher for bona fide.
    asv: error rates of speaker verification on these trials; None where no verification scores are
        given.
    pooled_asv: those on all trials, for the legacy t-DCF.
    """

    bonafide: NDArray[np.bool_]
    scores: NDArray[np.float64]
    asv: AsvRates | None = None
    pooled_asv: AsvRates | None = None

    @cached_property
    def curve(self) -> Roc:
        """The operating points, computed once for all figures."""
        return roc(self.bonafide, self.scores)

    def rates(self, name: str) -> AsvRates:
        """Error rates of verification, `asv` or `pooled_asv`, of a figure that needs them."""
        found: AsvRates = getattr(self, name)
        return found


@dataclass(frozen=True)
class Metric:
    """A figure of trials.

    name: column of tables.
    help: what it is, in one line.
    compute: the figure of trials.
    needs: attribute of `Trials` without which there is no figure: it is NaN then.
    percent: shown in per cent, as error rates are.
    """

    name: str
    help: str
    compute: Callable[[Trials], float]
    needs: Literal["asv", "pooled_asv"] | None = None
    percent: bool = False


# other columns of the same tables
RESERVED = ("n_bonafide", "n_spoof", "eer_low", "eer_high", "score")
METRICS = Registry(
    "metric",
    Metric(
        "eer", "equal error rate", lambda trials: eer(trials.bonafide, trials.scores), percent=True
    ),
    Metric(
        "official_eer",
        "equal error rate as the official code of ASVspoof reads it",
        lambda trials: official_eer_point(roc(trials.bonafide, trials.scores, official=True))[0],
        percent=True,
    ),
    Metric(
        "legacy_min_tdcf",
        "min t-DCF of ASVspoof 2019",
        lambda trials: legacy_min_tdcf(
            trials.bonafide, trials.scores, trials.rates("pooled_asv"), curve=trials.curve
        ),
        needs="pooled_asv",
    ),
    Metric(
        "revised_min_tdcf",
        "min t-DCF of ASVspoof 2021",
        lambda trials: revised_min_tdcf(
            trials.bonafide, trials.scores, trials.rates("asv"), curve=trials.curve
        ),
        needs="asv",
    ),
    Metric(
        "min_dcf",
        "minDCF of ASVspoof 5",
        lambda trials: min_dcf(trials.bonafide, trials.scores, curve=trials.curve),
    ),
    Metric(
        "act_dcf", "actDCF of ASVspoof 5", lambda trials: act_dcf(trials.bonafide, trials.scores)
    ),
    Metric(
        "cllr",
        "cost of the log-likelihood ratio",
        lambda trials: cllr(trials.bonafide, trials.scores),
    ),
    Metric("auc", "area under the ROC", lambda trials: auc(trials.bonafide, trials.scores)),
    reserved=RESERVED,
)


def figures_of(trials: Trials) -> dict[str, float]:
    """Every figure by name; NaN if a class is missing, or what the figure needs."""
    one_class = trials.bonafide.all() or not trials.bonafide.any()
    found: dict[str, float] = {}
    for name, metric in METRICS.items():
        if one_class or (metric.needs and getattr(trials, metric.needs) is None):
            found[name] = np.nan
        elif METRICS.is_own(metric):
            with own_code(f"metric {name}"):
                found[name] = float(metric.compute(trials))
        else:
            found[name] = metric.compute(trials)
    return found
