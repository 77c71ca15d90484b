"""Equal error rate of countermeasure scores; higher scores mean more bona fide.

Conventions: a trial is accepted when its score is at or above the threshold. The miss rate is the
share of bona fide trials rejected, the false-alarm rate the share of spoofs accepted. Tied scores
are one operating point: no threshold separates them. The EER is read where the straight lines
between neighbouring operating points of the ROC cross miss = false alarm (Brümmer & de Villiers,
BOSARIS toolkit, 2013, section 2), so that constant scores give 0.5 and the order of trials does not
matter. The official ASVspoof code takes the nearest operating point instead: equal to within 1/N
without ties, wrong with them.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cache.errors import ProbeError


class ScoresError(ProbeError, ValueError):
    """Scores or labels that no error rate can be computed from."""


@dataclass(frozen=True)
class OperatingPoints:
    """Trials grouped by distinct score, ascending.

    group: (N,) which distinct score each trial has.
    distinct: (M,) the distinct scores.
    bonafide: (N,) whether a trial is bona fide.
    """

    group: NDArray[np.intp]
    distinct: NDArray[np.float64]
    bonafide: NDArray[np.bool_]

    @property
    def n_groups(self) -> int:
        """Number M of distinct scores."""
        return len(self.distinct)

    def counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bona fide and spoof trials of each distinct score, (M,) each."""
        bonafide = np.bincount(self.group[self.bonafide], minlength=self.n_groups)
        spoof = np.bincount(self.group[~self.bonafide], minlength=self.n_groups)
        return bonafide.astype(np.float64), spoof.astype(np.float64)


def checked(
    bonafide: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels and scores as arrays (N,) that an error rate can be computed from.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) float64; ties in float32 that are none in float64 stay apart.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.
    """
    is_bonafide = np.asarray(bonafide, bool)
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or is_bonafide.shape != values.shape:
        raise ScoresError(
            f"scores {values.shape} and labels {is_bonafide.shape}: expected one of each per trial"
        )
    if np.isnan(values).any():
        raise ScoresError(f"{int(np.isnan(values).sum())} of {len(values)} scores are NaN")
    if is_bonafide.all() or not is_bonafide.any():
        raise ScoresError(
            f"{int(is_bonafide.sum())} bona fide of {len(values)} trials: expected both classes"
        )
    return is_bonafide, values


def operating_points(bonafide: ArrayLike, scores: ArrayLike) -> OperatingPoints:
    """Sort trials once, for any number of error rates.

    See `checked` for the arguments and errors.
    """
    is_bonafide, values = checked(bonafide, scores)
    distinct, group = np.unique(values, return_inverse=True)
    return OperatingPoints(group, distinct, is_bonafide)


def eer(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """Equal error rate, 0 to 1, in O(n log n): each class is sorted, then the crossing is bisected.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(eer([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.3333
    """
    is_bonafide, values = checked(bonafide, scores)
    human = np.sort(values[is_bonafide])
    spoof = np.sort(values[~is_bonafide])

    def crossed(score: float) -> bool:
        rejected = human.searchsorted(score, "right")
        accepted = len(spoof) - spoof.searchsorted(score, "right")
        return int(rejected) * len(spoof) >= int(accepted) * len(human)

    # the least score above which misses are as many as false alarms; there is one, as above the
    # highest all is missed
    candidates = [
        kind[i]
        for kind in (human, spoof)
        if (i := bisect_left(kind, True, key=crossed)) < len(kind)
    ]
    score = min(candidates)
    miss = (
        human.searchsorted(score, "left") / len(human),
        human.searchsorted(score, "right") / len(human),
    )
    passed = (
        spoof.searchsorted(score, "left") / len(spoof),
        spoof.searchsorted(score, "right") / len(spoof),
    )
    before = 1 - passed[0] - miss[0]
    after = miss[1] + passed[1] - 1
    return float(miss[0] + before / (before + after) * (miss[1] - miss[0]))


def eer_of_counts(bonafide: NDArray[np.float64], spoof: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equal error rates of R sets of trials over the same distinct scores.

    Args:
        bonafide: (R, M) bona fide trials at each distinct score, ascending; no row is all zero.
        spoof: (R, M) spoofs, likewise.

    Returns:
        (R,) error rates.

    >>> eer_of_counts(np.array([[0, 1, 2]]), np.array([[2, 1, 0]])).round(3)
    array([0.167])
    """
    edge = np.zeros((len(bonafide), 1))
    miss = np.concatenate([edge, np.cumsum(bonafide, axis=1)], axis=1)
    miss /= miss[:, -1:]
    false_alarm = np.concatenate([edge, np.cumsum(spoof, axis=1)], axis=1)
    false_alarm = 1 - false_alarm / false_alarm[:, -1:]
    rows = np.arange(len(bonafide))
    # never 0: there miss is 0 and the false-alarm rate 1
    after = np.argmax(miss >= false_alarm, axis=1)
    gap_before = false_alarm[rows, after - 1] - miss[rows, after - 1]
    gap_after = miss[rows, after] - false_alarm[rows, after]
    share = gap_before / (gap_before + gap_after)
    return miss[rows, after - 1] + share * (miss[rows, after] - miss[rows, after - 1])
