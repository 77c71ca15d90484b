"""Bootstrap intervals of error rates, over utterances or over clusters of them such as speakers.

Trials are drawn with replacement within each class, so that both classes are always there (stratified bootstrap;
Bengio & Mariéthoz, Odyssey 2004, for clusters: Field & Welsh, JRSS-B 2007). Scores are sorted once: a resample is a
count per cluster, and an error rate needs cumulative sums of counts only. Of many trials, those far from where the
error rates cross are summed per cluster beforehand, and counts are expanded only in a window around the crossing that
holds it nearly always; a resample whose crossing lies outside is counted in full, so that the window changes no result.

A class of one cluster is the same in every resample, and the interval would leave out all that it varies by; so single
trials are drawn where a class has one cluster only, and `Resamples.note` says so.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.clusters import FEW_CLUSTERS, UTTERANCE
from probing.metrics.eer import OperatingPoints, ScoresError, eer, eer_of_counts, operating_points

BLOCK_VALUES = 1_000_000  # most values of a table in memory at once
STORED_COUNTS = 20_000_000  # more counts than these are drawn again whenever they are needed
WINDOW_SIGMAS = 5.0
THREADS = 2
RESAMPLES = 1000  # behind every interval, unless asked otherwise


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same resamples (paired).

    difference: EER of the first less that of the second; below 0 where the first is better.
    first_better: share of resamples where the first has the lower EER, ties counted half.
    """

    difference: Interval
    first_better: float


@dataclass(frozen=True)
class Resamples:
    """R resamples of N trials, the same for every score that is compared on them (paired).

    cluster: (N,) cluster of each trial, numbered from 0, those of bona fide trials first.
    sizes: numbers of bona fide and spoof clusters; as many of each are drawn.
    n: number R of resamples. seed: of the generators. unit: what was drawn, for people.
    note: what a person should know of the clusters: that a class has one or few; empty if there is nothing to say.
    stored: (R, clusters) how often each cluster was drawn, or None where each resample is drawn when it is needed.
    """

    cluster: NDArray[np.intp]
    sizes: tuple[int, int]
    n: int
    seed: int
    unit: str
    stored: NDArray[np.int16] | None
    note: str = ""

    @property
    def counts(self) -> NDArray[np.number]:
        """How often each cluster was drawn, (R, clusters); gigabytes where there are very many."""
        return self.rows(0, self.n)

    def rows(self, first: int, last: int) -> NDArray[np.number]:
        """Counts of the resamples from `first` to before `last`, (last - first, clusters), whole numbers."""
        if self.stored is not None:
            return self.stored[first:last]
        counts = np.empty((last - first, sum(self.sizes)))
        for row, resample in zip(counts, range(first, last), strict=True):
            generator = np.random.Generator(np.random.SFC64((self.seed, resample)))
            _count_draws(generator, row[: self.sizes[0]])
            _count_draws(generator, row[self.sizes[0] :])
        return counts

    def blocks(self, width: int) -> list[tuple[int, int]]:
        """First and last of runs of resamples whose tables of `width` columns fit the memory."""
        step = max(1, BLOCK_VALUES // max(width, 1))
        return [(first, min(first + step, self.n)) for first in range(0, self.n, step)]


def draw(
    bonafide: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    n: int = RESAMPLES,
    seed: int = 0,
    unit: str = "speaker",
) -> Resamples:
    """Draw resamples, stratified by class.

    Args:
        bonafide: (N,) true for bona fide trials.
        clusters: (N,) what is drawn whole, such as the speaker; None draws single trials, and so does a class that has
            one cluster only.
        n: number of resamples.
        seed: seed of the generator.
        unit: what a cluster is, for people.
    """
    is_bonafide = np.asarray(bonafide, bool)
    names = np.arange(len(is_bonafide)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    found, cluster = np.unique(names + ~is_bonafide * len(names), return_inverse=True)
    sizes = int((found < len(names)).sum()), int((found >= len(names)).sum())
    counts = {"bona fide": sizes[0], "spoof": sizes[1]}
    few = {kind: size for kind, size in counts.items() if 0 < size < FEW_CLUSTERS}
    note = ""
    if clusters is not None and 1 in few.values():
        kinds = " and ".join(kind for kind, size in few.items() if size == 1)
        alone = draw(is_bonafide, n=n, seed=seed)
        return replace(alone, note=f"by utterance, since the {kinds} trials are of one {unit}")
    if clusters is not None and few:
        counted = " and ".join(f"{size} {kind}" for kind, size in few.items())
        note = f"from {counted} {unit}s only, so that it is too short"
    stored = None
    if n * len(found) <= STORED_COUNTS:
        generator = np.random.default_rng(seed)
        drawn = [generator.multinomial(size, np.full(size, 1 / size), size=n) for size in sizes if size]
        stored = np.concatenate(drawn, axis=1).astype(np.int16)
    return Resamples(cluster, sizes, n, seed, UTTERANCE if clusters is None else unit, stored, note)


def _count_draws(generator: np.random.Generator, counts: NDArray[np.float64]) -> None:
    """Draw as many as there are `counts` with replacement, and fill in how often each was drawn.

    Exact, in two steps: how many fall into each run of 2 ** 16, then where; whole 16-bit numbers cost least to draw.
    """
    runs = [counts[first : first + 65536] for first in range(0, len(counts), 65536)]
    for run, n in zip(runs, generator.multinomial(len(counts), [len(r) / len(counts) for r in runs]), strict=True):
        if len(run) == 65536:
            drawn = generator.bit_generator.random_raw(n // 4 + 1).view(np.uint16)[:n]
        else:
            drawn = generator.integers(0, len(run), n, dtype=np.uint16)
        run[:] = np.bincount(drawn.astype(np.intp), minlength=len(run))  # bincount is slow on other whole numbers


def eer_resamples(bonafide: ArrayLike, scores: ArrayLike, resamples: Resamples) -> NDArray[np.float64]:
    """Equal error rates (R,) of the resamples; see `eer` for the arguments and errors."""
    trials = _Sorted(operating_points(bonafide, scores), resamples)
    if len(trials.cluster) * resamples.n <= BLOCK_VALUES:
        return trials.rates(resamples.counts)
    window = _Window(trials)
    blocks = resamples.blocks(THREADS * max(len(trials.cluster) // 8, sum(resamples.sizes)))
    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate(list(pool.map(lambda block: window.rates(resamples.rows(*block)), blocks)))


class _Sorted:
    """Trials in ascending order of score, with their clusters.

    cluster, bonafide: (N,). starts: (M + 1,) where each distinct score begins, and N.
    """

    def __init__(self, points: OperatingPoints, resamples: Resamples) -> None:
        if len(points.group) != len(resamples.cluster):
            raise ScoresError(
                f"{len(points.group)} scores, resamples of {len(resamples.cluster)}: expected the same trials"
            )
        order = np.argsort(points.group, kind="stable")
        self.cluster, self.bonafide = resamples.cluster[order], points.bonafide[order]
        self.starts = np.searchsorted(points.group[order], np.arange(points.n_groups + 1))
        self.sizes = resamples.sizes

    def rates(self, counts: NDArray[np.number]) -> NDArray[np.float64]:
        """Equal error rates (R,) of resamples (R, clusters), every trial counted."""
        weights = counts[:, self.cluster].astype(np.float64)
        bonafide = np.add.reduceat(np.where(self.bonafide, weights, 0.0), self.starts[:-1], axis=1)
        spoof = np.add.reduceat(np.where(self.bonafide, 0.0, weights), self.starts[:-1], axis=1)
        return eer_of_counts(bonafide, spoof)

    def per_cluster(self, n: int) -> NDArray[np.float64]:
        """How many of the lowest `n` trials are of each cluster."""
        return np.bincount(self.cluster[:n], minlength=sum(self.sizes)).astype(np.float64)


class _Window:
    """The distinct scores between which the rates of nearly every resample cross, everything below summed up.

    Misses less false alarms at a score vary over resamples with the variance of a ratio of cluster sums.
    """

    def __init__(self, trials: _Sorted) -> None:
        self.all, starts, total = trials, trials.starts, trials.per_cluster(len(trials.cluster))
        self.classes = slice(0, trials.sizes[0]), slice(trials.sizes[0], None)
        n_bonafide, n_spoof = (total[kind].sum() for kind in self.classes)
        missed = np.concatenate([[0], np.cumsum(trials.bonafide)])[starts]
        gap = missed / n_bonafide - 1 + (starts - missed) / n_spoof
        below, variance = trials.per_cluster(starts[np.searchsorted(gap, 0.0)]), 0.0
        for kind in self.classes:
            share = below[kind].sum() / total[kind].sum()
            variance += float(((below[kind] - share * total[kind]) ** 2).sum()) / total[kind].sum() ** 2
        half = WINDOW_SIGMAS * np.sqrt(variance) + 2 / min(n_bonafide, n_spoof)
        low = max(0, int(np.searchsorted(gap, -half)) - 1)
        high = min(len(starts) - 1, int(np.searchsorted(gap, half)) + 1)
        within = slice(starts[low], starts[high])
        self.is_first, self.single = low == 0, bool((total == 1).all())
        self.ends = starts[low + 1 : high + 1] - starts[low] - 1
        self.cluster, self.bonafide = trials.cluster[within], trials.bonafide[within]
        below = trials.per_cluster(starts[low])
        self.below, self.total = ([column[kind] for kind in self.classes] for column in (below, total))

    def rates(self, counts: NDArray[np.number]) -> NDArray[np.float64]:
        """Equal error rates (R,) of resamples (R, clusters)."""
        values = counts.astype(np.float64, copy=False)
        below = [values[:, kind] @ column for kind, column in zip(self.classes, self.below, strict=True)]
        if self.single:
            total = [np.full(len(values), float(size)) for size in self.all.sizes]
        else:
            total = [values[:, kind] @ column for kind, column in zip(self.classes, self.total, strict=True)]
        inside, rates = counts[:, self.cluster].astype(np.int64), np.empty(len(counts))
        for i, (missed, passed, n_bonafide, n_spoof) in enumerate(np.array([*below, *total], np.int64).T):
            # misses less false alarms, times both numbers of trials: exact in whole numbers
            gap = np.cumsum(inside[i] * np.where(self.bonafide, n_spoof, n_bonafide))[self.ends]
            base = missed * n_spoof + (passed - n_spoof) * n_bonafide
            gap += base
            k = int(np.searchsorted(gap, 0))
            if k == len(gap) or (k == 0 and not self.is_first):
                rates[i] = self.all.rates(counts[i : i + 1])[0]
                continue
            before, first = (gap[k - 1], self.ends[k - 1] + 1) if k else (base, 0)
            missed += inside[i, :first] @ self.bonafide[:first]
            here = slice(first, self.ends[k] + 1)
            rates[i] = (missed + inside[i, here] @ self.bonafide[here] * (before / (before - gap[k]))) / n_bonafide
        return rates


def percentile_interval(value: float, resampled: NDArray[np.float64], level: float = 0.95) -> Interval:
    """The percentile interval of a figure from its resamples; it holds the figure, whatever they lean to."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value))


def compare(
    bonafide: ArrayLike, first: ArrayLike, second: ArrayLike, resamples: Resamples, level: float = 0.95
) -> Comparison:
    """Compare the equal error rates of two systems on the same resamples of the same trials.

    Args:
        bonafide: (N,) true for bona fide trials.
        first: (N,) scores of one system, higher for bona fide.
        second: (N,) scores of the other.
        resamples: of these trials.
        level: share of resamples within the interval.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.
    """
    difference = eer_resamples(bonafide, first, resamples) - eer_resamples(bonafide, second, resamples)
    interval = percentile_interval(eer(bonafide, first) - eer(bonafide, second), difference, level)
    return Comparison(interval, float((difference < 0).mean() + (difference == 0).mean() / 2))
