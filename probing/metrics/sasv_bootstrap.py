"""Figures of spoofing-robust speaker verification on the resamples of a bootstrap.

Trials are sorted once; a resample only counts them.
"""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError
from probing.metrics.resamples import Resamples
from probing.metrics.roc import Roc
from probing.metrics.sasv import ADCF, SPOOF, SasvCosts, SasvCurve, checked_kinds, concurrent

BLOCK_VALUES = 1_000_000  # most values of a table in memory at once
# up to as many points are all looked at; of more, a grid first and then what is near the best
ALL_POINTS = 4_000
NEAR = 8  # cells of the grid at either side of the best


def a_dcf_resamples(
    keys: ArrayLike, scores: ArrayLike, resamples: Resamples, costs: SasvCosts = ADCF
) -> NDArray[np.float64]:
    """The a-DCF (R,) of resamples; NaN if a resample has none of a kind.

    See `a_dcf` for arguments and errors.

    >>> from probing.metrics import draw
    >>> keys = ["target", "nontarget", "spoof"] * 20
    >>> drawn = draw([key != "spoof" for key in keys], n=200)
    >>> found = a_dcf_resamples(keys, np.arange(60.0) % 7, drawn)
    >>> found.shape, bool(found.max() <= 1)
    ((200,), True)
    """
    kinds, (values,) = checked_kinds(keys, scores)
    ordered = _Ordered(kinds, values, resamples)
    # the cost falls with every threshold until a target is rejected: it is least just below one, or
    # above them all
    points = np.append(np.flatnonzero(np.diff(ordered.ends[0])), len(ordered.ends[0]) - 1)
    parts = []
    for counts in _blocks(resamples, len(kinds)):
        rejected = ordered.shares(ordered.sums(counts), points)
        miss, nontarget, spoof = (
            weight * share for weight, share in zip(costs.weights, rejected, strict=True)
        )
        accepted = costs.weights[1] + costs.weights[2]
        parts.append((miss - nontarget - spoof + accepted).min(axis=1) / costs.default)
    return np.concatenate(parts)


def t_eer_resamples(
    keys: ArrayLike, asv_scores: ArrayLike, cm_scores: ArrayLike, resamples: Resamples
) -> NDArray[np.float64]:
    """The concurrent t-EER (R,) of resamples, NaN where a resample has none of a kind.

    Arguments as `t_eer`.

    Of very many trials, thresholds of verification are looked at on a grid first, and one by one
    near the best.

    >>> from probing.metrics import draw
    >>> keys = ["target", "nontarget", "spoof"] * 20
    >>> drawn = draw([key != "spoof" for key in keys], n=200)
    >>> t_eer_resamples(keys, np.arange(60.0) % 7, np.arange(60.0) % 11, drawn).shape
    (200,)
    """
    kinds, (verification, countermeasure) = checked_kinds(keys, asv_scores, cm_scores)
    asv = _Ordered(kinds, verification, resamples)
    cm = _Ordered(np.where(kinds == SPOOF, SPOOF, 0), countermeasure, resamples)
    # the first threshold of each miss rate
    levels = np.append(0, np.flatnonzero(np.diff(cm.ends[0])) + 1)
    return np.array(
        [
            _t_eer(asv, asv.sums(counts), *cm.shares(cm.sums(counts), levels)[::SPOOF])
            for block in _blocks(resamples, len(kinds))
            for counts in np.split(block, len(block))
        ]
    )


def _t_eer(
    asv: "_Ordered",
    sums: list[NDArray[np.float64]],
    miss: NDArray[np.float64],
    rejected: NDArray[np.float64],
) -> float:
    """The concurrent t-EER of one resample: trials of verification below each threshold, and the
    curve of the other.
    """
    if any(of_kind[0, -1] == 0 for of_kind in sums):
        return float("nan")
    cm = Roc(np.empty(0), miss[0], 1 - rejected[0])

    def of(points: NDArray[np.intp]) -> SasvCurve:
        targets, nontargets, spoofs = (of_kind[0] for of_kind in asv.shares(sums, points))
        return SasvCurve(np.empty(0), targets, 1 - nontargets, 1 - spoofs)

    n = len(asv.ends[0])
    if n <= ALL_POINTS:
        return concurrent(of(np.arange(n)), cm)[1]
    step = int(sqrt(n))
    best = step * concurrent(of(np.arange(0, n, step)), cm)[0]
    return concurrent(
        of(np.arange(max(best - NEAR * step, 0), min(best + NEAR * step + 1, n))), cm
    )[1]


def _blocks(resamples: Resamples, n_trials: int) -> Iterator[NDArray[np.number]]:
    """Counts of runs of resamples whose tables fit the memory."""
    step = max(1, BLOCK_VALUES // max(n_trials, sum(resamples.sizes)))
    return (
        resamples.rows(first, min(first + step, resamples.n))
        for first in range(0, resamples.n, step)
    )


class _Ordered:
    """Trials in ascending order of a score, by kind."""

    def __init__(
        self, kinds: NDArray[np.intp], scores: NDArray[np.float64], resamples: Resamples
    ) -> None:
        if len(scores) != len(resamples.cluster):
            raise ScoresError(
                f"{len(scores)} scores, resamples of "
                f"{len(resamples.cluster)}: expected the same trials"
            )
        order = np.argsort(scores, kind="stable")
        scores = scores[order]
        kinds = kinds[order]
        cluster = resamples.cluster[order]
        ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
        self.cluster = [cluster[kinds == kind] for kind in range(3)]
        self.ends = [np.concatenate([[0], np.cumsum(kinds == kind)[ends]]) for kind in range(3)]

    def sums(self, counts: NDArray[np.number]) -> list[NDArray[np.float64]]:
        """How many of the lowest 0, 1, ... trials of each kind resamples (R, clusters) have: (R,
        trials + 1) each.
        """
        found = []
        for cluster in self.cluster:
            found.append(np.zeros((len(counts), len(cluster) + 1)))
            np.cumsum(counts[:, cluster], axis=1, out=found[-1][:, 1:])
        return found

    def shares(
        self, sums: list[NDArray[np.float64]], points: NDArray[np.intp]
    ) -> list[NDArray[np.float64]]:
        """Share of each kind rejected at some thresholds (R, points).

        NaN where a resample has none of the kind.
        """
        totals = [np.where(of_kind[:, -1:] > 0, of_kind[:, -1:], np.nan) for of_kind in sums]
        return [
            of_kind[:, ends[points]] / total
            for of_kind, ends, total in zip(sums, self.ends, totals, strict=True)
        ]
