"""Features of units, read from a cache in one pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from cache.streaming import BLOCK, FrameBlock, frame_blocks
from probing.units.units import UnitError

Rows = NDArray[np.int64]
Features = NDArray[np.float32]


def unit_blocks(
    cache: Cache, layer: int, units: pd.DataFrame, most: int = BLOCK
) -> Iterator[tuple[Rows, Features]]:
    """Features of units in blocks, so that memory is bounded: each shard is read once.

    Args:
        cache: that the units are of.
        layer: its number.
        units: `Units.table`, or rows of it in any order.
        most: frames in memory, but for an utterance that has more.

    Yields:
        Positions in `units` (n,), and their features (n, D) float32: a frame, or the mean of the
        frames first_frame to last_frame, summed in float64. Every position comes once.

    Raises:
        UnitError: a unit that is not of this cache.

    >>> cache = Cache("results/demo.cache")
    >>> first = cache.utterances["utterance_id"].head(2)
    >>> units = pd.DataFrame({"utterance_id": first, "first_frame": 0, "last_frame": 3})
    >>> [features.shape for _, features in unit_blocks(cache, 3, units)]
    [(2, 192)]
    """
    own = cache.utterances
    codes, names = pd.factorize(units["utterance_id"])  # millions of units have few names
    at = pd.Index(own["utterance_id"].to_numpy(object)).get_indexer(np.asarray(names, object))[
        codes
    ]
    first = units["first_frame"].to_numpy(np.int64)
    last = units["last_frame"].to_numpy(np.int64)
    wrong = (at < 0) | (first < 0) | (last < first) | (last >= own["n_frames"].to_numpy()[at])
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise UnitError(
            f"{cache.folder}: unit {i} is of frames {first[i]} to {last[i]} of "
            f"{units['utterance_id'].iloc[i]!r}, which are not in it. "
            "Give units that were made from this cache."
        )
    used, of = np.unique(at, return_inverse=True)
    order = np.argsort(of, kind="stable")
    bounds = np.searchsorted(of[order], np.arange(len(used) + 1))
    for block in frame_blocks(cache, layer, own.iloc[used], most):
        chosen = np.concatenate([order[bounds[row] : bounds[row + 1]] for row in block.rows])
        offset = np.repeat(block.first[:-1], bounds[block.rows + 1] - bounds[block.rows])
        yield chosen, _means(block, first[chosen] + offset, last[chosen] + offset + 1)


def unit_features(cache: Cache, layer: int, units: pd.DataFrame) -> Features:
    """Features (N, D) float32 of units, in their order.

    Memory must hold all; `unit_blocks` needs less.

    >>> cache = Cache("results/demo.cache")
    >>> first = cache.utterances["utterance_id"].head(2)
    >>> units = pd.DataFrame({"utterance_id": first, "first_frame": 0, "last_frame": 3})
    >>> unit_features(cache, 3, units).shape
    (2, 192)
    """
    out = np.empty((len(units), cache.dim), np.float32)
    for rows, features in unit_blocks(cache, layer, units):
        out[rows] = features
    return out


def _means(block: FrameBlock, start: Rows, stop: Rows) -> Features:
    """Means of rows start to stop - 1 of a block; single rows are copied as they are."""
    lengths = stop - start
    if (lengths == 1).all():
        return np.asarray(block.frames[start], np.float32)
    order = np.argsort(-lengths, kind="stable")
    begin = start[order]
    sums = block.frames[begin].astype(np.float64)
    # The i-th frames of all stretches that have one, which are the first ones in this order.
    for i, n in enumerate(
        np.searchsorted(-lengths[order], -np.arange(2, lengths.max() + 1), side="right"), 1
    ):
        sums[:n] += block.frames[begin[:n] + i]
    out = np.empty(sums.shape, np.float32)
    out[order] = sums / lengths[order, None]
    return out
