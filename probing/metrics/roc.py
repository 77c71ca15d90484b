"""Operating points of countermeasure scores: ROC, DET, area, and the official EER.

Conventions as in `probing.metrics.eer`: a trial is accepted when its score is at or above the
threshold, and tied scores are one operating point. The official ASVspoof code has one point per
trial instead, after a stable sort with the bona fide trials first, so that a tie is read as points
that no threshold has; `official=True` gives these, for figures that are to be compared with
published ones to every digit. Without ties both are the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import checked, operating_points


@dataclass(frozen=True)
class Roc:
    """Error rates at every threshold, from accepting every trial to accepting none.

    threshold: (M,) ascending. Trials at or above it are accepted; the last is infinite. In the
        official reading it is the highest score rejected, and the first lies 0.001 below the lowest
        score.
    miss: (M,) share of bona fide trials rejected, from 0 to 1.
    false_alarm: (M,) share of spoofs accepted, 1 to 0.

    >>> roc([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0]).threshold.shape
    (5,)
    """

    threshold: NDArray[np.float64]
    miss: NDArray[np.float64]
    false_alarm: NDArray[np.float64]

    def corners(self) -> "Roc":
        """The points a line through all of them bends at, which draw the same picture."""
        step = np.column_stack([np.diff(self.miss) > 0, np.diff(self.false_alarm) < 0])
        bends = (step[1:] != step[:-1]).any(axis=1) | step[1:].all(axis=1) | step[:-1].all(axis=1)
        kept = np.concatenate([[True], bends, [True]])
        return Roc(self.threshold[kept], self.miss[kept], self.false_alarm[kept])


def roc(bonafide: ArrayLike, scores: ArrayLike, *, official: bool = False) -> Roc:
    """Error rates at every threshold.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.
        official: one point per trial as the official ASVspoof code has them; see the module.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> curve = roc([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0])
    >>> curve.miss.tolist(), curve.false_alarm.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [1.0, 0.5, 0.5, 0.0, 0.0])
    """
    if official:
        is_bonafide, values = checked(bonafide, scores)
        is_bonafide, values = (
            np.concatenate([x[is_bonafide], x[~is_bonafide]]) for x in (is_bonafide, values)
        )
        order = np.argsort(values, kind="stable")
        counts = is_bonafide[order]
        values = values[order]
        threshold = np.concatenate([values[:1] - 0.001, values])
        rejected = np.cumsum(counts)
        passed = np.cumsum(~counts)
    else:
        points = operating_points(bonafide, scores)
        n_bonafide, n_spoof = points.counts()
        threshold = np.append(points.distinct, np.inf)
        rejected = np.cumsum(n_bonafide)
        passed = np.cumsum(n_spoof)
    miss = np.concatenate([[0.0], rejected / rejected[-1]])
    return Roc(threshold, miss, np.concatenate([[1.0], (passed[-1] - passed) / passed[-1]]))


def official_eer(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """EER as the official ASVspoof code has it: the mean of both rates at the nearest point.

    Within 1/N of `eer` without ties; wrong with them (1 for constant scores). For comparison with
    published figures.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(official_eer([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.3333
    """
    return official_eer_point(roc(bonafide, scores, official=True))[0]


def official_eer_point(curve: Roc) -> tuple[float, float]:
    """Equal error rate and its threshold at the point of a curve where both rates are nearest."""
    nearest = int(np.argmin(np.abs(curve.miss - curve.false_alarm)))
    return float(curve.miss[nearest] + curve.false_alarm[nearest]) / 2, float(
        curve.threshold[nearest]
    )


def auc(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC, 0 to 1: how often bona fide scores above spoof, ties counting half.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(auc([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.8889
    """
    n_bonafide, n_spoof = operating_points(bonafide, scores).counts()
    below = np.cumsum(n_spoof) - n_spoof / 2
    return float(n_bonafide @ below / (n_bonafide.sum() * n_spoof.sum()))
