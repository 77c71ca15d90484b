"""Bootstrap intervals of error rates, over utterances or over clusters of them such as speakers.

Trials are drawn with replacement within each class, so that both classes are always there (stratified bootstrap;
Bengio & Mariéthoz, Odyssey 2004, for clusters: Field & Welsh, JRSS-B 2007). Scores are sorted once: a resample is a
count per trial, and an error rate needs cumulative sums of counts only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import eer_of_counts, operating_points

BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """R resamples of N trials, the same for every score that is compared on them (paired).

    cluster: (N,) cluster of each trial, numbered from 0; classes never share a cluster.
    counts: (R, clusters) how often each cluster was drawn.
    unit: what was drawn, for people.
    """

    cluster: NDArray[np.intp]
    counts: NDArray[np.int16]
    unit: str

    @property
    def n(self) -> int:
        """Number of resamples."""
        return len(self.counts)


def draw(bonafide: ArrayLike, clusters: ArrayLike | None = None, *, n: int = 1000, seed: int = 0) -> Resamples:
    """Draw resamples, stratified by class.

    Args:
        bonafide: (N,) true for bona fide trials.
        clusters: (N,) what is drawn whole, such as the speaker; None draws single trials.
        n: number of resamples.
        seed: seed of the generator.
    """
    is_bonafide = np.asarray(bonafide, bool)
    names = np.arange(len(is_bonafide)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    _, cluster = np.unique(names * 2 + is_bonafide, return_inverse=True)
    class_of = np.zeros(cluster.max() + 1, bool)
    class_of[cluster] = is_bonafide
    generator = np.random.default_rng(seed)
    counts = np.zeros((n, len(class_of)), np.int16)
    for members in (np.flatnonzero(class_of), np.flatnonzero(~class_of)):
        if len(members):
            counts[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=n)
    return Resamples(cluster, counts, "utterance" if clusters is None else "speaker")


def eer_resamples(bonafide: ArrayLike, scores: ArrayLike, resamples: Resamples) -> NDArray[np.float64]:
    """Equal error rates (R,) of the resamples; see `eer` for the arguments and errors."""
    points = operating_points(bonafide, scores)
    order = np.argsort(points.group, kind="stable")
    starts = np.searchsorted(points.group[order], np.arange(points.n_groups))
    is_bonafide, cluster = points.bonafide[order], resamples.cluster[order]
    block = max(1, BLOCK_VALUES // len(order))
    rates = []
    for first in range(0, resamples.n, block):
        weights = resamples.counts[first : first + block][:, cluster].astype(np.float64)
        bonafide_counts = np.add.reduceat(np.where(is_bonafide, weights, 0.0), starts, axis=1)
        spoof_counts = np.add.reduceat(np.where(is_bonafide, 0.0, weights), starts, axis=1)
        rates.append(eer_of_counts(bonafide_counts, spoof_counts))
    return np.concatenate(rates)


def percentile_interval(value: float, resampled: NDArray[np.float64], level: float = 0.95) -> Interval:
    """The percentile interval of a figure from its resamples."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
