"""Resamples: how often each trial counts in each of R draws with replacement.

Trials are drawn within each class, so that both classes are always there (stratified bootstrap;
Bengio & Mariéthoz, Odyssey 2004, for clusters: Field & Welsh, JRSS-B 2007). Where a class is drawn
by two things, as spoofs by speaker and attack, either is drawn by itself, and a trial counts as
often as its speaker was drawn times as often as its attack was (pigeonhole bootstrap; Owen, AOAS
2007; Owen & Eckles, AOAS 2012): mildly conservative, as no bootstrap of crossed clusters is exact.

A class of one cluster is the same in every resample, and the interval would leave out all that it
varies by; so single trials are drawn where a class has one cluster only, and `Resamples.note` says
so.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.clusters import (
    BONAFIDE,
    FEW_CLUSTERS,
    SPOOF,
    UTTERANCE,
    Clusters,
    Factor,
    Levels,
    by_trial,
    in_words,
    levels_of,
)

RESAMPLES = 1000  # behind every interval, unless asked otherwise
ALIKE = 0.03  # least correlation of errors within a cluster that is assumed; chosen by coverage.py
STORED_COUNTS = 20_000_000  # more counts than these are drawn again whenever they are needed


@dataclass(frozen=True)
class Resamples:
    """R resamples of N trials, the same for every score that is compared on them (paired).

    cluster: (N,) cluster of each trial, numbered from 0, those of bona fide trials first. Where a
        class is drawn by two things, a cluster is a combination of them.
    sizes: numbers of bona fide and spoof clusters.
    levels: what is drawn in either class.
    n: number R of resamples.
    seed: of the generators.
    unit: what was drawn, for people, as `speaker and attack`.
    drawn: the same with its numbers, and what a person should know.
    note: only that: a class of one cluster, or few.

    >>> draw([True, False] * 10, n=200).n
    200
    """

    cluster: NDArray[np.intp]
    sizes: tuple[int, int]
    levels: tuple[Levels, Levels]
    n: int
    seed: int
    unit: str
    drawn: str
    note: str = ""

    @cached_property
    def stored(self) -> NDArray[np.int16] | None:
        """How often each value was drawn, (R, values); None if resamples are drawn when needed."""
        if self.n * sum(size for level in self.levels for size in level.sizes) > STORED_COUNTS:
            return None
        return _drawn(np.random.default_rng(self.seed), self.levels, self.n)

    @property
    def fewest(self) -> int:
        """Number of clusters of that class and unit which has fewest."""
        return int(self._sizes().min())

    @property
    def scarcest(self) -> str:
        """The unit whose clusters are `fewest`: `speaker`, `attack`, `utterance`."""
        named = [
            (size, name)
            for level in self.levels
            for size, name in zip(level.sizes, level.names, strict=True)
            if size  # a class may not be there
        ]
        return min(named)[1]

    @property
    def degrees(self) -> float:
        """Degrees of freedom that the clusters leave, each class and unit having a share of the
        variance as 1 / K.

        (Satterthwaite 1946.) So the class of fewest clusters counts most. 0 if one of them has a
        single one.
        """
        sizes = self._sizes()
        if (sizes == 1).any():
            return 0.0
        return float((1 / sizes).sum() ** 2 / (1 / sizes**2 / (sizes - 1)).sum())

    @property
    def correction(self) -> float:
        """What the standard error over resamples is too small by: a bootstrap of K has (K - 1) / K
        of the variance.
        """
        sizes = self._sizes()
        return float(np.sqrt((1 / (sizes - 1)).sum() / (1 / sizes).sum()))

    @property
    def most_trials(self) -> float:
        """How many independent trials these are worth at most, half of each class if there are two.

        Of few errors no resample shows how much they keep to a few clusters, so a little is assumed
        (`ALIKE`). The classes count by their harmonic mean, as the variances of misses and false
        alarms add up.
        """
        worth = []
        for level in self.levels:
            if len(level.cell):
                of_class = [
                    np.bincount(of_cells[level.cell], minlength=size).astype(np.float64)
                    for size, of_cells in zip(level.sizes, level.of_cells, strict=True)
                ]
                alike = max((trials**2).sum() / trials.sum() - 1 for trials in of_class)
                worth.append(len(level.cell) / (1 + ALIKE * alike))
        return float(len(worth) ** 2 / sum(1 / trials for trials in worth))

    def _sizes(self) -> NDArray[np.float64]:
        return np.array([size for level in self.levels for size in level.sizes if size], np.float64)

    @property
    def counts(self) -> NDArray[np.number]:
        """How often each cluster was drawn, (R, clusters); gigabytes where there are very many."""
        return self.rows(0, self.n)

    def rows(self, first: int, last: int) -> NDArray[np.number]:
        """Counts of the resamples from `first` to before `last`, (last - first, clusters), whole
        numbers.
        """
        if self.stored is not None:
            return _of_cells(self.stored[first:last], self.levels)
        counts = np.empty((last - first, sum(self.sizes)))
        for row, resample in zip(counts, range(first, last), strict=True):
            generator = np.random.Generator(np.random.SFC64((self.seed, resample)))
            row[:] = _drawn_once(generator, self.levels)
        return counts


def draw(
    bonafide: ArrayLike,
    clusters: ArrayLike | Clusters | None = None,
    *,
    n: int = RESAMPLES,
    seed: int = 0,
    unit: str = "speaker",
    words: tuple[str, str] = (BONAFIDE, SPOOF),
) -> Resamples:
    """Draw resamples, stratified by class; trials of one class are drawn all alike.

    Args:
        bonafide: (N,) true for bona fide trials.
        clusters: what is drawn whole, from `clusters_of` or (N,) such as the speaker; None draws
            single trials, and so do both classes if one of them has one cluster only.
        n: number of resamples.
        seed: seed of the generator.
        unit: what a cluster is, for people, where `clusters` are an array.
        words: what the classes are called, for people; empty where there is nothing to tell apart.

    >>> drawn = draw([1, 1, 0, 0, 0], n=200)
    >>> drawn.counts.shape, int(drawn.counts[0].sum())
    ((200, 5), 5)
    """
    is_bonafide = np.asarray(bonafide, bool)
    if not isinstance(clusters, Clusters):
        clusters = Clusters(() if clusters is None else (Factor(unit, np.asarray(clusters)),))
    rows = {BONAFIDE: np.flatnonzero(is_bonafide), SPOOF: np.flatnonzero(~is_bonafide)}
    called = dict(zip((BONAFIDE, SPOOF), words, strict=True))
    levels, note, fell_back = _levels(
        clusters, {kind: of for kind, of in rows.items() if len(of)}, called
    )
    nothing = Levels((UTTERANCE,), (0,), np.empty(0, np.intp), (np.empty(0, np.intp),))
    both = levels.get(BONAFIDE, nothing), levels.get(SPOOF, nothing)
    cluster = np.empty(len(is_bonafide), np.intp)
    cluster[rows[BONAFIDE]], cluster[rows[SPOOF]] = both[0].cell, both[1].cell + both[0].n_cells
    names = dict.fromkeys(
        name for level in levels.values() for name in level.names if name != UTTERANCE
    )
    attacks = () if clusters.attacks is None else clusters.attacks[rows[SPOOF]]
    drawn = (
        note
        if fell_back
        else "; ".join(
            part
            for part in (
                in_words({called[kind]: level for kind, level in levels.items()}, attacks),
                note,
            )
            if part
        )
    )
    sizes = both[0].n_cells, both[1].n_cells
    return Resamples(
        cluster,
        sizes,
        levels=both,
        n=n,
        seed=seed,
        unit=" and ".join(names) or UTTERANCE,
        drawn=drawn,
        note=note,
    )


def _levels(
    clusters: Clusters, rows: dict[str, NDArray[np.intp]], called: dict[str, str]
) -> tuple[dict[str, Levels], str, bool]:
    """What is drawn in each class, what a person should know of it, and whether it is not what was
    asked for.
    """
    found = {kind: levels_of(clusters, kind, of) for kind, of in rows.items()}
    lacking = {kind: alone for kind, (levels, alone) in found.items() if levels is None}
    if lacking:
        units = " and ".join(dict.fromkeys(name for alone in lacking.values() for name in alone))
        trials = _words(" and ".join(called[kind] for kind in lacking), "trials")
        note = f"by utterance, since the {trials} are of one {units}"
        return {kind: by_trial(clusters, of) for kind, of in rows.items()}, note, True
    levels = {kind: level for kind, (level, _) in found.items() if level is not None}
    notes = [
        f"not by {name}, as the {_words(called[kind], 'trials')} are of one"
        for kind, (_, alone) in found.items()
        for name in alone
    ]
    few = [
        _words(str(size), called[kind], f"{name}s")
        for kind, level in levels.items()
        for name, size in zip(level.names, level.sizes, strict=True)
        if size < FEW_CLUSTERS and name != UTTERANCE
    ]
    notes += [f"from {' and '.join(few)} only, so that it is rough"] if few else []
    return levels, "; ".join(notes), False


def _words(*words: str) -> str:
    return " ".join(word for word in words if word)


def _drawn(
    generator: np.random.Generator, levels: tuple[Levels, Levels], n: int
) -> NDArray[np.int16]:
    """How often each value of each factor was drawn, (n, values).

    No class of a resample is empty.
    """
    parts = []
    for level in levels:
        of_class = [
            generator.multinomial(size, np.full(size, 1 / size), size=n)
            for size in level.sizes
            if size
        ]
        while len(of_class) > 1 and (empty := _empty(of_class, level)).size:
            for part, size in zip(of_class, level.sizes, strict=True):
                part[empty] = generator.multinomial(size, np.full(size, 1 / size), size=len(empty))
        parts += of_class
    return np.concatenate(parts, axis=1).astype(np.int16)


def _empty(parts: list[NDArray[np.int64]], levels: Levels) -> NDArray[np.intp]:
    """The resamples in which no trial of a class was drawn.

    There the class has none of the combinations of values that were drawn.
    """
    step = max(1, 1_000_000 // levels.n_cells)
    drawn = [
        _product([part[i : i + step] for part in parts], levels).any(1)
        for i in range(0, len(parts[0]), step)
    ]
    return np.flatnonzero(~np.concatenate(drawn))


def _drawn_once(
    generator: np.random.Generator, levels: tuple[Levels, Levels]
) -> NDArray[np.float64]:
    """How often each cluster was drawn in one resample."""
    parts = []
    for level in levels:
        counts = np.zeros(0)
        while level.n_cells and not counts.any():
            of_class = [np.empty(size) for size in level.sizes]
            for part in of_class:
                _count_draws(generator, part)
            counts = _product([part[None] for part in of_class], level)[0]
        parts.append(counts)
    return np.concatenate(parts)


def _of_cells(counts: NDArray[np.int16], levels: tuple[Levels, Levels]) -> NDArray[np.number]:
    """How often each cluster was drawn, of how often each value was."""
    if all(len(level.sizes) == 1 for level in levels):
        return counts
    ends = np.cumsum([size for level in levels for size in level.sizes])[:-1]
    parts = iter(np.split(counts, ends, axis=1))
    return np.concatenate(
        [_product([next(parts) for _ in level.sizes], level) for level in levels], axis=1
    )


def _product(parts: list[NDArray[np.number]], levels: Levels) -> NDArray[np.number]:
    """Counts of the cells of a class: those of their values multiplied."""
    if len(parts) == 1:
        return parts[0]
    product = np.ones((len(parts[0]), levels.n_cells), np.int32)
    for part, of_cells in zip(parts, levels.of_cells, strict=True):
        product *= part[:, of_cells].astype(np.int32)
    return product


def _count_draws(generator: np.random.Generator, counts: NDArray[np.float64]) -> None:
    """Draw as many as there are `counts` with replacement, and fill in how often each was drawn.

    Exact, in two steps: how many fall into each run of 2 ** 16, then where; whole 16-bit numbers
    cost least to draw.
    """
    runs = [counts[first : first + 65536] for first in range(0, len(counts), 65536)]
    for run, n in zip(
        runs, generator.multinomial(len(counts), [len(r) / len(counts) for r in runs]), strict=True
    ):
        if len(run) == 65536:
            drawn = generator.bit_generator.random_raw(n // 4 + 1).view(np.uint16)[:n]
        else:
            drawn = generator.integers(0, len(run), n, dtype=np.uint16)
        # bincount is slow on other whole numbers
        run[:] = np.bincount(drawn.astype(np.intp), minlength=len(run))
