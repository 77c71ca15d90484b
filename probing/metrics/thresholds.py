"""Thresholds that are chosen on dev, and the error rates that they have elsewhere.

Half way between two neighbouring scores, so that they are none of them, or above all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probing.metrics.eer import checked
from probing.metrics.roc import roc


@dataclass(frozen=True)
class ErrorRates:
    """Errors of trials at a threshold, which accepts those at or above it.

    rejected: bona fide trials below it, of n_bonafide.
    accepted: spoofs at or above it, of n_spoof.

    >>> ErrorRates(1, 4, 0, 8).miss
    0.25
    """

    rejected: int
    n_bonafide: int
    accepted: int
    n_spoof: int

    @property
    def miss(self) -> float:
        """Share of bona fide trials rejected."""
        return self.rejected / self.n_bonafide

    @property
    def false_alarm(self) -> float:
        """Share of spoofs accepted."""
        return self.accepted / self.n_spoof


def eer_threshold(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """The threshold where misses and false alarms are nearest to each other.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide, finite.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> eer_threshold([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0])
    1.5
    """
    curve = roc(bonafide, scores)
    return _between(curve.threshold, int(np.abs(curve.miss - curve.false_alarm).argmin()))


def false_alarm_threshold(bonafide: ArrayLike, scores: ArrayLike, most: float) -> float:
    """The lowest threshold at which no more than a share of the spoofs are accepted.

    Args:
        bonafide: see `eer_threshold`.
        scores: see `eer_threshold`.
        most: the share, 0 to 1.

    Raises:
        ScoresError: as `eer_threshold`.

    >>> false_alarm_threshold([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0], 0.0)
    2.5
    """
    curve = roc(bonafide, scores)
    return _between(curve.threshold, int((curve.false_alarm <= most).argmax()))


def error_rates(bonafide: ArrayLike, scores: ArrayLike, threshold: float) -> ErrorRates:
    """Errors at a threshold; args and errors as `eer_threshold`.

    >>> error_rates([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0], 1.5)
    ErrorRates(rejected=1, n_bonafide=2, accepted=1, n_spoof=2)
    """
    is_bonafide, values = checked(bonafide, scores)
    accepted = values >= threshold
    rejected = int((~accepted[is_bonafide]).sum())
    passed = int(accepted[~is_bonafide].sum())
    return ErrorRates(rejected, int(is_bonafide.sum()), passed, int((~is_bonafide).sum()))


def _between(thresholds: np.ndarray, i: int) -> float:
    """A number that divides trials as threshold i does."""
    if i == 0:
        return float(thresholds[0])
    below = float(thresholds[i - 1])
    if np.isinf(thresholds[i]):
        return float(np.nextafter(below, np.inf))
    middle = (below + float(thresholds[i])) / 2
    return middle if middle > below else float(thresholds[i])
