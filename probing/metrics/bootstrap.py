"""Error rates of the resamples of a bootstrap, fast.

Scores are sorted once: a resample is a count per cluster, and an error rate needs cumulative sums
of counts only. If there are many trials, those far from where the rates cross are summed per
cluster beforehand, and counts are expanded only in a window around the crossing that holds it
nearly always. A resample whose crossing lies outside is counted in full, so that the window changes
no result.

If trials are drawn one by one and a figure is compared with no other on the same resamples, no more
is drawn than how many trials fall below the window, and which of those within.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError, checked
from probing.metrics.resamples import Resamples
from probing.threads import Threads

BLOCK_VALUES = 1_000_000  # most values of a table in memory at once
WINDOW_SIGMAS = 5.0
THREADS = 2
FAST_VALUES = 125_000  # of a table that stays in a cache of the processor
SHORT = 50  # values of a row


def eer_resamples(
    bonafide: ArrayLike, scores: ArrayLike, resamples: Resamples, *, alone: bool = False
) -> NDArray[np.float64]:
    """Equal error rates (R,) of the resamples.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.
        resamples: of these trials.
        alone: whether the rates are compared with no others on the same resamples. Many single
            trials are then drawn near the crossing only: as many resamples, drawn alike, in a
            fraction of the time, which are others.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> from probing.metrics import draw
    >>> scores = [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]
    >>> found = eer_resamples([1, 1, 1, 0, 0, 0], scores, draw([1, 1, 1, 0, 0, 0], n=500))
    >>> found.shape, bool(0 <= found.min() <= found.max() <= 1)
    ((500,), True)
    """
    trials = _Sorted(*checked(bonafide, scores), resamples)
    if len(trials.cluster) * resamples.n <= BLOCK_VALUES:
        return trials.rates(resamples.counts)
    window = _Window(trials)
    if alone and window.single:
        return _Drawn(window, resamples.seed).rates(resamples.n)
    blocks = _blocks(resamples.n, THREADS * max(len(trials.cluster) // 8, sum(resamples.sizes)))
    with Threads(THREADS, thread_name_prefix="resample") as pool:
        return np.concatenate(
            list(pool.map(lambda block: window.rates(resamples.rows(*block)), blocks))
        )


def _summed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative sums over rows (N, R), in place.

    numpy sums one column after another, which takes thrice as long where rows are not short.
    """
    if rows.shape[1] < SHORT:
        return np.cumsum(rows, axis=0, out=rows)
    for before, row in pairwise(rows):
        row += before
    return rows


def _blocks(n: int, width: int) -> list[tuple[int, int]]:
    """First and last of runs of resamples whose tables of `width` columns fit the memory."""
    step = max(1, BLOCK_VALUES // max(width, 1))
    return [(first, min(first + step, n)) for first in range(0, n, step)]


class _Sorted:
    """Trials in ascending order of score, with their clusters.

    cluster, bonafide: (N,). starts: (M + 1,) where each distinct score begins, and N.
    """

    def __init__(
        self, bonafide: NDArray[np.bool_], scores: NDArray[np.float64], resamples: Resamples
    ) -> None:
        if len(scores) != len(resamples.cluster):
            raise ScoresError(
                f"{len(scores)} scores, resamples of "
                f"{len(resamples.cluster)}: expected the same trials"
            )
        order = np.argsort(scores, kind="stable")
        ascending = scores[order]
        self.cluster, self.bonafide = resamples.cluster[order], bonafide[order]
        self.starts = np.concatenate(
            [[0], np.flatnonzero(ascending[1:] != ascending[:-1]) + 1, [len(scores)]]
        )
        self.sizes, self.levels = resamples.sizes, resamples.levels

    def rates(self, counts: NDArray[np.number]) -> NDArray[np.float64]:
        """Equal error rates (R,) of resamples (R, clusters), every trial counted."""
        rates = []
        step = max(1, FAST_VALUES // len(self.cluster))
        for first in range(0, len(counts), step):
            # resamples side by side in memory: a row of them is copied, and summed, in one go
            by_cluster = np.ascontiguousarray(counts[first : first + step].T, np.float64)
            rates.append(self.rates_of(by_cluster[self.cluster]))
        return np.concatenate(rates)

    def rates_of(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Equal error rates of resamples by how often each trial (N, R) counts."""
        human = weights[self.bonafide]
        spoof = weights[~self.bonafide]
        n_bonafide = human.sum(axis=0)
        n_spoof = spoof.sum(axis=0)
        # misses less false alarms, times both numbers of trials: exact in whole numbers
        gap = np.empty_like(weights)
        gap[self.bonafide] = human * n_spoof
        gap[~self.bonafide] = spoof * n_bonafide
        gap = _summed(gap)[self.starts[1:] - 1] - n_bonafide * n_spoof
        k = np.count_nonzero(gap < 0, axis=0)
        rows = np.arange(len(k))
        before = np.where(k > 0, gap[k - 1, rows], -n_bonafide * n_spoof)
        share = before / (before - gap[k, rows])
        n_missed = np.cumsum(self.bonafide) - 1  # where in `missed` a trial is
        missed = np.concatenate([_summed(human), np.zeros((1, len(k)))])  # the last row: none
        below = missed[np.where(k > 0, n_missed[self.starts[k] - 1], -1), rows]
        within = missed[n_missed[self.starts[k + 1] - 1], rows] - below
        return (below + share * within) / n_bonafide

    def per_cluster(self, n: int) -> NDArray[np.float64]:
        """How many of the lowest `n` trials are of each cluster."""
        return np.bincount(self.cluster[:n], minlength=sum(self.sizes)).astype(np.float64)


class _Window:
    """The distinct scores between which the rates of nearly every resample cross.

    Everything below is summed up. Misses less false alarms at a score vary over resamples with the
    variance of a ratio of cluster sums.
    """

    def __init__(self, trials: _Sorted) -> None:
        self.all = trials
        starts = trials.starts
        total = trials.per_cluster(len(trials.cluster))
        self.classes = slice(0, trials.sizes[0]), slice(trials.sizes[0], None)
        n_bonafide, n_spoof = (total[kind].sum() for kind in self.classes)
        missed = np.concatenate([[0], np.cumsum(trials.bonafide)])[starts]
        gap = missed / n_bonafide - 1 + (starts - missed) / n_spoof
        below = trials.per_cluster(starts[np.searchsorted(gap, 0.0)])
        variance = 0.0
        for kind, levels in zip(self.classes, trials.levels, strict=True):
            over = below[kind] - total[kind] * (below[kind].sum() / total[kind].sum())
            for size, of_cells in zip(levels.sizes, levels.of_cells, strict=True):
                of_values = np.bincount(of_cells, over, size)
                variance += float((of_values**2).sum()) / total[kind].sum() ** 2
        half = WINDOW_SIGMAS * np.sqrt(variance) + 2 / min(n_bonafide, n_spoof)
        low = max(0, int(np.searchsorted(gap, -half)) - 1)
        high = min(len(starts) - 1, int(np.searchsorted(gap, half)) + 1)
        within = slice(starts[low], starts[high])
        self.first = int(starts[low])
        self.is_first = low == 0
        self.single = bool((total == 1).all()) and all(
            len(level.sizes) == 1 for level in trials.levels
        )
        self.ends = starts[low + 1 : high + 1] - starts[low] - 1
        self.cluster, self.bonafide = trials.cluster[within], trials.bonafide[within]
        below = trials.per_cluster(starts[low])
        self.below, self.total = (
            [column[kind] for kind in self.classes] for column in (below, total)
        )

    def rates(self, counts: NDArray[np.number]) -> NDArray[np.float64]:
        """Equal error rates (R,) of resamples (R, clusters)."""
        values = counts.astype(np.float64, copy=False)
        below = [
            values[:, kind] @ column for kind, column in zip(self.classes, self.below, strict=True)
        ]
        if self.single:
            total = [np.full(len(values), float(size)) for size in self.all.sizes]
        else:
            total = [
                values[:, kind] @ column
                for kind, column in zip(self.classes, self.total, strict=True)
            ]
        inside = counts[:, self.cluster].astype(np.int64)
        rates = np.empty(len(counts))
        for i, (missed, passed, n_bonafide, n_spoof) in enumerate(
            np.array([*below, *total], np.int64).T
        ):
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
            rates[i] = (
                missed + inside[i, here] @ self.bonafide[here] * (before / (before - gap[k]))
            ) / n_bonafide
        return rates


class _Drawn:
    """Resamples of single trials of which only the window is drawn, and how many fall below it.

    Within a class any trial is drawn as often as any other: how many fall below, within and above
    the window is multinomial, and so is then which of those within.
    """

    def __init__(self, window: _Window, seed: int) -> None:
        self.window, self.seed = window, seed
        self.kinds = window.bonafide, ~window.bonafide
        self.inside = [int(kind.sum()) for kind in self.kinds]
        self.below = [int(column.sum()) for column in window.below]
        self.ends = [np.concatenate([[0], np.cumsum(kind)[window.ends]]) for kind in self.kinds]

    def rates(self, n: int) -> NDArray[np.float64]:
        """Equal error rates of `n` resamples."""
        generator = np.random.Generator(np.random.SFC64((self.seed, n)))
        sizes = self.window.all.sizes
        parts = []
        for size, inside, below in zip(sizes, self.inside, self.below, strict=True):
            shares = np.array([below, inside, size - below - inside]) / size
            parts.append(generator.multinomial(size, shares, size=n))
        blocks = _blocks(n, max(sum(self.inside), 1))
        return np.concatenate(
            [self._rates(generator, [part[first:last] for part in parts]) for first, last in blocks]
        )

    def _rates(
        self, generator: np.random.Generator, parts: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Equal error rates of resamples of which each class has (R, 3) trials below, within and
        above the window.
        """
        rows = np.arange(len(parts[0]))
        counts = []
        summed = []
        for part, inside, ends in zip(parts, self.inside, self.ends, strict=True):
            drawn = generator.integers(0, max(inside, 1), int(part[:, 1].sum())) + np.repeat(
                rows * inside, part[:, 1]
            )
            counts.append(
                np.bincount(drawn, minlength=len(rows) * inside).reshape(len(rows), inside)
            )
            at_least = np.concatenate(
                [np.zeros((len(rows), 1), np.int64), np.cumsum(counts[-1], axis=1)], axis=1
            )
            summed.append(part[:, :1] + at_least[:, ends])
        n_bonafide, n_spoof = self.window.all.sizes
        gap = summed[0] * n_spoof + (summed[1] - n_spoof) * n_bonafide
        after = np.argmax(gap >= 0, axis=1)  # never 0 where the window begins with the lowest score
        outside = (gap[:, -1] < 0) | (after == 0)
        rates = np.empty(len(rows))
        rows = rows[~outside]
        after = after[~outside]
        before = gap[rows, after - 1]
        missed = summed[0][rows, after - 1]
        share = before / (before - gap[rows, after])
        rates[rows] = (missed + share * (summed[0][rows, after] - missed)) / n_bonafide
        for row in np.flatnonzero(outside):
            rates[row] = self._in_full(
                generator, [part[row] for part in parts], [count[row] for count in counts]
            )
        return rates

    def _in_full(
        self,
        generator: np.random.Generator,
        parts: list[NDArray[np.int64]],
        inside: list[NDArray[np.int64]],
    ) -> float:
        """The rate of one resample whose crossing is outside, with the trials below and above drawn
        as well.
        """
        trials = self.window.all
        weights = np.zeros(len(trials.bonafide))
        for kind, (below, _, above), drawn in zip(
            (trials.bonafide, ~trials.bonafide), parts, inside, strict=True
        ):
            positions = np.flatnonzero(kind)
            first = int(np.searchsorted(positions, self.window.first))
            counts = [
                np.bincount(generator.integers(0, max(size, 1), n), minlength=size)
                for size, n in ((first, below), (len(positions) - first - len(drawn), above))
            ]
            weights[positions] = np.concatenate([counts[0], drawn, counts[1]])
        return float(trials.rates_of(weights[:, None])[0])
