"""Tandem detection cost of a countermeasure in front of a fixed speaker verification system (ASV).

legacy: ASVspoof 2019 (Kinnunen et al., Odyssey 2018; evaluation plan 2019, equations 9 to 11).
revised: ASVspoof 2021 (Kinnunen et al., IEEE/ACM TASLP 28, 2020, equations 10 and 11; evaluation
plan 2021, appendix), whose least value is above 0: what the ASV system costs by itself.

The ASV threshold is at its own equal error rate, target against nontarget, read as the official
code reads it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probing.metrics.eer import ScoresError
from probing.metrics.roc import Roc, official_eer_point, roc

P_SPOOF = 0.05
P_TARGET = 0.95 * 0.99
P_NONTARGET = 0.95 * 0.01
COST_MISS = 1.0
COST_FALSE_ALARM = 10.0
KEYS = ("target", "nontarget", "spoof")


@dataclass(frozen=True)
class AsvRates:
    """Error rates of a speaker verification system at its threshold.

    eer, threshold: of target against nontarget.
    false_alarm: nontargets accepted.
    miss: targets rejected.
    false_alarm_spoof: spoofs accepted.

    >>> AsvRates(eer=0.05, threshold=0.0, false_alarm=0.05, miss=0.05, false_alarm_spoof=0.3).miss
    0.05
    """

    eer: float
    threshold: float
    false_alarm: float
    miss: float
    false_alarm_spoof: float

    def legacy(self) -> tuple[float, float]:
        """C1 and C2 of 2019."""
        c1 = (
            P_TARGET * (COST_MISS - COST_MISS * self.miss)
            - P_NONTARGET * COST_FALSE_ALARM * self.false_alarm
        )
        return c1, COST_FALSE_ALARM * P_SPOOF * self.false_alarm_spoof

    def revised(self) -> tuple[float, float, float]:
        """C0, C1 and C2 of 2021."""
        c0 = P_TARGET * COST_MISS * self.miss + P_NONTARGET * COST_FALSE_ALARM * self.false_alarm
        return c0, P_TARGET * COST_MISS - c0, P_SPOOF * COST_FALSE_ALARM * self.false_alarm_spoof


def asv_rates(keys: ArrayLike, scores: ArrayLike) -> AsvRates:
    """Error rates of a speaker verification system at its equal error rate.

    Args:
        keys: (N,) `target`, `nontarget` or `spoof`.
        scores: (N,) ASV scores, higher for the same speaker.

    Raises:
        ScoresError: an unknown key, one of the three kinds missing, or NaN scores.

    >>> keys = ["target", "target", "nontarget", "nontarget", "spoof", "spoof"]
    >>> found = asv_rates(keys, [3.0, 1.5, 1.0, -1.0, 2.0, 0.5])
    >>> found.miss, found.false_alarm, found.false_alarm_spoof
    (0.0, 0.5, 0.5)
    """
    names = np.asarray(keys)
    values = np.asarray(scores, np.float64)
    kinds = [names == key for key in KEYS]
    if names.shape != values.shape or not np.logical_or.reduce(kinds).all():
        raise ScoresError(
            f"ASV keys {names.shape}, scores {values.shape}: "
            f"expected one of {', '.join(KEYS)} per score"
        )
    target, nontarget, spoof = (values[kind] for kind in kinds)
    if not (len(target) and len(nontarget) and len(spoof)) or np.isnan(spoof).any():
        raise ScoresError(
            f"ASV scores: {len(target)} target, {len(nontarget)} nontarget, {len(spoof)} spoof: "
            "expected all three kinds, and no NaN"
        )
    is_target = np.arange(len(target) + len(nontarget)) < len(target)
    curve = roc(is_target, np.concatenate([target, nontarget]), official=True)
    rate, threshold = official_eer_point(curve)
    return AsvRates(
        rate,
        threshold,
        false_alarm=float((nontarget >= threshold).mean()),
        miss=float((target < threshold).mean()),
        false_alarm_spoof=float((spoof >= threshold).mean()),
    )


def legacy_min_tdcf(
    bonafide: ArrayLike,
    scores: ArrayLike,
    asv: AsvRates,
    *,
    official: bool = False,
    curve: Roc | None = None,
) -> float:
    """Least normalised t-DCF of ASVspoof 2019 over all thresholds, 0 to 1.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.
        asv: error rates of the speaker verification system behind the countermeasure.
        official: read ties as the official code does; see `probing.metrics.roc`.
        curve: the curve of these scores where it is already there.

    Raises:
        ScoresError: lengths differ, a score is NaN, a class is missing, or the ASV system leaves
            nothing to lose.

    >>> keys = ["target", "target", "nontarget", "nontarget", "spoof", "spoof"]
    >>> asv = asv_rates(keys, [3.0, 1.5, 1.0, -1.0, 2.0, 0.5])
    >>> round(legacy_min_tdcf([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0], asv), 4)
    0.3333
    """
    curve = curve or roc(bonafide, scores, official=official)
    c1, c2 = asv.legacy()
    if min(c1, c2) <= 0:
        raise ScoresError(
            f"legacy t-DCF with C1 {c1:g} and C2 {c2:g}: "
            "expected both above 0; use other ASV scores"
        )
    return float((c1 * curve.miss + c2 * curve.false_alarm).min() / min(c1, c2))


def revised_min_tdcf(
    bonafide: ArrayLike,
    scores: ArrayLike,
    asv: AsvRates,
    *,
    official: bool = False,
    curve: Roc | None = None,
) -> float:
    """Least normalised t-DCF of ASVspoof 2021 over all thresholds, 0 to 1.

    Args and errors: as `legacy_min_tdcf`.

    >>> keys = ["target", "target", "nontarget", "nontarget", "spoof", "spoof"]
    >>> asv = asv_rates(keys, [3.0, 1.5, 1.0, -1.0, 2.0, 0.5])
    >>> round(revised_min_tdcf([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0], asv), 4)
    0.4398
    """
    curve = curve or roc(bonafide, scores, official=official)
    c0, c1, c2 = asv.revised()
    if c1 < 0 or c0 + min(c1, c2) <= 0:
        raise ScoresError(
            f"t-DCF with C0 {c0:g}, C1 {c1:g} and C2 {c2:g}: "
            "expected costs above 0; use other ASV scores"
        )
    return float((c0 + c1 * curve.miss + c2 * curve.false_alarm).min() / (c0 + min(c1, c2)))
