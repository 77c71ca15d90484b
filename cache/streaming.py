"""Frames of one layer in one pass, a block of utterances at a time: memory is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import CacheCorrupt
from cache.quantization import decode
from cache.reader import Cache
from cache.shard import Array, Shard

BLOCK = 1 << 16  # frames; of 1,024 values they are 256 MiB


@dataclass(frozen=True)
class FrameBlock:
    """Frames of a few whole utterances.

    Attributes:
        rows: (U,) positions of the utterances in the table that was asked for.
        first: (U + 1,) where in `frames` those of each begin, and the end.
        frames: (F, D) float32.
    """

    rows: NDArray[np.int64]
    first: NDArray[np.int64]
    frames: Array


def frame_blocks(
    cache: Cache, layer: int, table: pd.DataFrame | None = None, most: int = BLOCK
) -> Iterator[FrameBlock]:
    """Every frame of one layer, each shard read once and from its beginning to its end.

    Args:
        cache: with the frames tier, of any type on disk.
        layer: its number.
        table: utterances, as `select` gives them; default all. Its order does not matter.
        most: frames a block, but for an utterance that has more.

    Raises:
        ProbeError: no such layer or tier. CacheCorrupt: a block of the cache is not what was
            written.

    >>> cache = Cache("results/demo.cache")
    >>> blocks = list(frame_blocks(cache, 3))
    >>> sum(len(block.frames) for block in blocks) == sum(cache.utterances["n_frames"])
    True
    """
    cache.require("frames", [layer])
    table = cache.utterances if table is None else table
    for shard, positions, rows in cache.by_shard(table):
        order = np.argsort(rows, kind="stable")
        lengths = _lengths(cache, shard, table=table, positions=positions[order], rows=rows[order])
        ends = np.cumsum(lengths)
        start = 0
        while start < len(order):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
            chosen = order[start:stop]
            yield _block(
                shard,
                layer,
                positions=positions[chosen],
                rows=rows[chosen],
                lengths=lengths[start:stop],
                dim=cache.dim,
            )
            start = stop


def _lengths(
    cache: Cache,
    shard: Shard,
    table: pd.DataFrame,
    positions: NDArray[np.intp],
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Frames of some utterances, which the table and the shard must have alike."""
    counts = table["n_frames"].to_numpy()[positions]
    lengths = shard.n_frames[rows]
    for i in np.flatnonzero(lengths != counts)[:1].tolist():
        name = table["utterance_id"].iloc[positions[i]]
        raise CacheCorrupt(f"{cache.folder}: {name} has not {counts[i]} frames in its shard")
    return np.asarray(lengths, np.int64)


def _block(
    shard: Shard,
    layer: int,
    positions: NDArray[np.intp],
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    dim: int,
) -> FrameBlock:
    shard.check("frames", [layer], rows)
    stored = shard.frames(layer)
    first = np.concatenate([[0], np.cumsum(lengths)])
    frames = np.empty((int(first[-1]), dim), np.float32)
    starts = shard.offsets[rows]
    # Utterances that lie behind one another are one run of bytes, mostly the whole block.
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        at, end = first[run[0]], first[run[-1] + 1]
        begin = starts[run[0]]
        decode(stored[begin : begin + end - at], frames[at:end])
    return FrameBlock(positions.astype(np.int64), first, frames)
