"""Figures of localisation on resamples that draw whole utterances or speakers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probing.metrics.localisation import Pieces
from probing.metrics.resamples import Resamples

# scores at which error rates of resamples are computed; between them they are taken to be straight
POINTS = 1000
VALUES_AT_ONCE = 4_000_000  # of a table in memory

Floats = NDArray[np.float64]


def pieces_eer_resamples(
    pieces: Pieces, clusters: NDArray[np.intp], resamples: Resamples
) -> Floats:
    """Equal error rates (R,) of resamples of pieces of time, each as heavy as it is long.

    NaN where a class is lacking.

    Args:
        pieces: N of them.
        clusters: (N,) that of `resamples` which each is drawn with.
        resamples: R of them.

    >>> from probing.metrics import draw
    >>> pieces = Pieces(
    ...     np.array([1.0, -1.0, 0.5, -2.0]), np.array([True, True, False, False]), np.ones(4)
    ... )
    >>> found = pieces_eer_resamples(pieces, np.arange(4), draw([1, 1, 0, 0], n=200))
    >>> found.shape, bool(0 <= found.min() <= found.max() <= 1)
    ((200,), True)
    """
    distinct, group = np.unique(pieces.scores, return_inverse=True)
    at = _points(pieces, distinct, group)
    rates, first, last = _rates_at(at, pieces, clusters, resamples)
    if len(at) < len(distinct) and first <= last:  # again, closer to where they cross
        at = _points(pieces, distinct, group=group, low=at[max(first - 1, 0)], high=at[last])
        rates, _, _ = _rates_at(at, pieces, clusters, resamples)
    return rates


def _rates_at(
    at: Floats, pieces: Pieces, clusters: NDArray[np.intp], resamples: Resamples
) -> tuple[Floats, int, int]:
    """Equal error rates (R,) by error rates at some scores, and the first and the last of these
    that is needed.
    """
    n = sum(resamples.sizes)
    place = np.searchsorted(at, pieces.scores)  # the first point that is not below a piece
    below = np.zeros((2, n, len(at)))
    for table, chosen in zip(below, (pieces.bonafide, ~pieces.bonafide), strict=True):
        np.add.at(table, (clusters[chosen], place[chosen]), pieces.seconds[chosen])
    below = below.cumsum(axis=2)
    rates = []
    first, last = len(at), -1
    step = max(1, VALUES_AT_ONCE // max(n, len(at)))
    for i in range(0, resamples.n, step):
        counts = resamples.rows(i, min(i + step, resamples.n)).astype(np.float64)
        bonafide, spoof = (counts @ table for table in below)
        there = (bonafide[:, -1] > 0) & (spoof[:, -1] > 0)
        bonafide[~there], spoof[~there] = 1, 1  # of which nothing is said
        found, after = _crossings(bonafide / bonafide[:, -1:], 1 - spoof / spoof[:, -1:])
        rates.append(np.where(there, found, np.nan))
        if there.any():
            first, last = min(first, int(after[there].min())), max(last, int(after[there].max()))
    return np.concatenate(rates), first, last


def found_resamples(
    pieces: Pieces, threshold: float, clusters: NDArray[np.intp], resamples: Resamples
) -> dict[str, Floats]:
    """Precision, recall and F1 (R,) of resamples, see `localisation_figures`.

    Arguments as `pieces_eer_resamples`.
    """
    called = pieces.scores < threshold
    weights = [pieces.seconds * of for of in (called & ~pieces.bonafide, called, ~pieces.bonafide)]
    n = sum(resamples.sizes)
    sums = np.stack([np.bincount(clusters, of, n) for of in weights], axis=1)
    step = max(1, VALUES_AT_ONCE // n)
    parts = [
        resamples.rows(i, min(i + step, resamples.n)) @ sums for i in range(0, resamples.n, step)
    ]
    hit, n_called, n_spoof = np.concatenate(parts).T
    return {
        "f1": 2 * hit / np.maximum(n_called + n_spoof, 1e-12),
        "precision": hit / np.maximum(n_called, 1e-12),
        "recall": hit / np.maximum(n_spoof, 1e-12),
    }


def _points(
    pieces: Pieces,
    distinct: Floats,
    group: NDArray[np.intp],
    low: float = -np.inf,
    high: float = np.inf,
) -> Floats:
    """Some of the distinct scores, the highest among them: between `low` and `high` POINTS in equal
    steps of the rates.

    Outside of them there are none but those two.
    """
    inside = (distinct >= low) & (distinct <= high)
    shares = np.zeros(len(distinct))
    for chosen in (pieces.bonafide, ~pieces.bonafide):
        of_class = np.bincount(group[chosen], pieces.seconds[chosen], minlength=len(distinct))
        shares += of_class / of_class.sum()
    steps = np.where(inside, shares, 0).cumsum()
    wanted = np.searchsorted(steps, np.linspace(0, steps[-1], POINTS))
    if inside.sum() <= POINTS:
        wanted = np.flatnonzero(inside)
    ends = [int(np.flatnonzero(inside)[0]), len(distinct) - 1]
    return np.asarray(distinct[np.unique([*ends, *wanted])])


def _crossings(miss: Floats, passed: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Where misses (R, G), rising to 1, and false alarms, falling to 0, are equal on straight lines
    between points.

    And the point (R,) at or above it.
    """
    edge = np.zeros((len(miss), 1))
    miss, passed = np.hstack([edge, miss]), np.hstack([edge + 1, passed])
    after = np.argmax(miss >= passed, axis=1)  # never 0: there is no miss, and every false alarm
    rows = np.arange(len(miss))
    before_gap = passed[rows, after - 1] - miss[rows, after - 1]
    after_gap = miss[rows, after] - passed[rows, after]
    share = before_gap / (before_gap + after_gap)
    return miss[rows, after - 1] + share * (miss[rows, after] - miss[rows, after - 1]), after - 1
