"""Views: the rows of one layer or many, read in blocks that fit the memory.

On the pooled tier a row is an utterance: its mean over time, or mean and deviation side by side. On
the frames tier an utterance gives up to `frames_per_utterance` rows, its frames at even distances.
Two caches are joined by utterance id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from cache.manifest import DTYPES
from cache.reader import Where
from probing.options import one_of
from probing.runs import Run

FRAMES_PER_UTTERANCE = 8
UTTERANCES_AT_ONCE = 512
Array = NDArray[Any]


@dataclass(frozen=True)
class View:
    """The rows that some utterances of a cache give.

    cache: an open cache.
    layers: those of interest.
    table: utterances, rows of `cache.utterances`.
    tier: `pooled` or `frames`.
    deviation: pooled tier: rows are mean and standard deviation, 2 D wide, instead of the mean
        alone.
    picked: frames tier: the frames of each utterance that are rows.
    """

    cache: Cache
    layers: list[int]
    table: pd.DataFrame
    tier: str = "pooled"
    deviation: bool = False
    picked: tuple[Array, ...] = ()

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.cache.dim * (2 if self.deviation else 1)

    @property
    def name(self) -> str:
        """Backbone, corpus and cache, as figures call it."""
        about = self.cache.about
        return f"{about.get('backbone')} on {about.get('corpus')} (cache {self.cache.id})"

    @cached_property
    def _places(self) -> pd.DataFrame:
        """Where the cache has the utterances, without columns of text, which cost most."""
        return self.table[["shard", "row"]]

    def counts(self) -> NDArray[np.int64]:
        """Rows of each utterance, (N,)."""
        return np.array(
            [len(frames) for frames in self.picked] if self.picked else np.ones(len(self.table)),
            np.int64,
        )

    def rows(self, layers: Sequence[int], positions: Array) -> list[Array]:
        """Rows of the utterances at `positions`, (rows, width) a layer, in the cache's type."""
        if self.tier == "pooled":
            pooled = self.cache.pooled(layers, self._places.iloc[positions])
            return list(
                pooled.reshape(len(pooled), len(positions), -1)
                if self.deviation
                else pooled[:, :, 0]
            )
        blocks: list[list[Array]] = [[] for _ in layers]
        for name, position in zip(
            self.table["utterance_id"].iloc[positions], positions, strict=True
        ):
            clip = self.cache.frames([name], layers)[0]
            for i in range(len(blocks)):
                blocks[i].append(clip[i, self.picked[position]])
        return [np.concatenate(of_layer) for of_layer in blocks]

    def at_once(self, n_layers: int, memory_gb: float) -> int:
        """How many utterances are read at once, so that their rows fit the memory as float64.

        `n_layers` are read; as much memory again is left to work in.
        """
        per_utterance = 8 * n_layers * self.width * max(1, int(self.counts().max(initial=1)))
        return int(np.clip(memory_gb * 1e9 / (2 * per_utterance), 1, UTTERANCES_AT_ONCE))

    def blocks(
        self, layers: Sequence[int], memory_gb: float
    ) -> Iterator[tuple[Array, list[Array]]]:
        """Utterances in order, as many at once as the memory allows: positions and `rows`."""
        for positions in parts(len(self.table), self.at_once(len(layers), memory_gb)):
            yield positions, self.rows(layers, positions)


def parts(n: int, at_once: int) -> Iterator[Array]:
    """The positions 0..n-1, `at_once` after another.

    >>> [found.tolist() for found in parts(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    for first in range(0, n, at_once):
        yield np.arange(first, min(first + at_once, n))


def view(
    cache: Cache,
    layers: Sequence[int] | None = None,
    where: Where = None,
    tier: str = "pooled",
    deviation: bool = False,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
) -> View:
    """The view of a cache.

    Raises:
        ProbeError: no such layer or tier, or no utterances.

    >>> from cache import Cache
    >>> found = view(Cache("results/demo.cache"), [0, 4], "split == 'dev'")
    >>> len(found.table), found.layers
    (12, [0, 4])
    """
    return views(
        [(cache, layers)],
        where,
        tier=tier,
        deviation=deviation,
        frames_per_utterance=frames_per_utterance,
    )[0]


def views(
    given: Sequence[tuple[Cache, Sequence[int] | None]],
    where: Where = None,
    tier: str = "pooled",
    deviation: bool = False,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
) -> list[View]:
    """Views of caches on the utterances they have in common, in the same order.

    Args:
        given: caches, and which of their layers; None all.
        where: utterances, of the first cache, see `Cache.select`.
        tier: see `View`.
        deviation: see `View`.
        frames_per_utterance: frames tier: so many of each utterance, at even distances.

    Raises:
        ProbeError: a path or a run instead of an open cache, no such layer or tier, no utterances
            in common, or on the frames tier other numbers of frames.

    >>> from cache import Cache
    >>> caches = [Cache(f"results/{name}.cache") for name in ("demo", "random")]
    >>> [len(seen.table) for seen in views([(cache, None) for cache in caches])]
    [56, 56]
    """
    if frames_per_utterance < 1:
        raise ProbeError(f"frames_per_utterance={frames_per_utterance}: expected 1 or more")
    if deviation and tier != "pooled":
        raise ProbeError(
            f"deviation with tier={tier!r}: a frame has no deviation over time. Leave it out"
        )
    for cache, _ in given:
        check_open(cache)
    chosen = [_layers_of(cache, layers, tier) for cache, layers in given]
    tables = _in_common([cache for cache, _ in given], where)
    picked: tuple[Array, ...] = ()
    if tier == "frames":
        picked = tuple(_spread(n, frames_per_utterance) for n in _frames_in_common(tables))
    return [
        View(cache, layers, table=table, tier=tier, deviation=deviation, picked=picked)
        for (cache, _), layers, table in zip(given, chosen, tables, strict=True)
    ]


def check_open(cache: object) -> None:
    """Refuse what is given for an open cache: a path, or a run.

    >>> check_open("my.cache")
    Traceback (most recent call last):
    cache.errors.ProbeError: 'my.cache': expected an open cache, as cache.Cache('demo.cache')
    """
    if isinstance(cache, Cache):
        return
    if isinstance(cache, Run):
        raise ProbeError(
            f"{cache.folder}: a run, where a cache is expected. Give the run's `cache`"
        )
    raise ProbeError(f"{cache!r}: expected an open cache, as cache.Cache('demo.cache')")


def _layers_of(cache: Cache, layers: Sequence[int] | None, tier: str) -> list[int]:
    """Layers of a cache, all if None; ProbeError if it lacks one or the tier."""
    chosen = list(cache.layers if layers is None else layers)
    missing = [k for k in chosen if k not in cache.layers]
    if missing or not chosen:
        lacking = f"no layer {missing[0]}" if missing else "no layers asked for"
        raise ProbeError(f"{cache.folder}: {lacking}; it has {cache.layers[0]}..{cache.layers[-1]}")
    if tier not in DTYPES:
        raise OptionError("tier", tier, f"expected {one_of(DTYPES)}")
    if tier not in cache.tiers:
        raise ProbeError(
            f"{cache.folder}: no tier {tier!r}, only {', '.join(cache.tiers)}. Extract again "
            f"with --{tier} into another folder, or compare the pooled tier"
        )
    return chosen


def _in_common(caches: Sequence[Cache], where: Where) -> list[pd.DataFrame]:
    """The utterances of each cache that all have, in the order of the first; ProbeError if none."""
    first = caches[0]
    table = first.select(where)
    for cache in caches[1:]:
        table = table[table["utterance_id"].isin(cache.utterances["utterance_id"])]
    if table.empty:
        others = ", ".join(str(cache.folder) for cache in caches[1:])
        values = list(where.values()) if isinstance(where, Mapping) else [where]
        named = argument(
            "where", values[0] if len(values) == 1 and isinstance(values[0], str) else None
        )
        splits = ", ".join(sorted(map(str, first.utterances["split"].unique())))
        raise ProbeError(
            f"{first.folder}: no utterances for {named}"
            f"{f' that are also in {others}' if others else ''}. Its splits: {splits}"
        )
    tables = [table.reset_index(drop=True)]
    for cache in caches[1:]:
        rows = cache.utterances.set_index("utterance_id", drop=False)
        tables.append(rows.loc[table["utterance_id"]].reset_index(drop=True))
    return tables


def _frames_in_common(tables: Sequence[pd.DataFrame]) -> list[int]:
    """Frames of each utterance in every cache; ProbeError if one has two more than another."""
    n_frames = np.stack([table["n_frames"].to_numpy() for table in tables])
    apart = np.ptp(n_frames, axis=0) > 1
    if apart.any():
        i = int(apart.argmax())
        raise ProbeError(
            f"{tables[0]['utterance_id'][i]} has {' and '.join(map(str, n_frames[:, i]))} "
            "frames: these backbones have other frame rates or crops. Compare them with "
            f"{argument('tier', 'pooled')}"
        )
    return [int(n) for n in n_frames.min(axis=0)]


def _spread(n_frames: int, wanted: int) -> Array:
    """At most `wanted` of `n_frames` frames, at even distances."""
    m = min(n_frames, wanted)
    return ((np.arange(m) + 0.5) * n_frames / max(m, 1)).astype(np.int64)
