"""Where heads of a sweep read the layers of a part from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.heads.recipes import Recipe
from probing.heads.sources import FrameSource, PooledSource, Source
from probing.sweep.linear import READ_VALUES, features_of
from probing.sweep.split import Split
from probing.targets.task import CLIP


def open_source(split: Split, tier: str, recipe: Recipe, memory_gb: float, folder: Path) -> Source:
    """The layers 1..L of a part.

    Args:
        split: utterances, or units inside them, each of which is one vector a layer.
        tier: pooled or frames, of utterances.
        recipe: of the heads.
        memory_gb: most memory for them.
        folder: where units are put that the memory does not hold, in a file that is gone when
            nothing reads it.
    """
    if split.unit:
        return _unit_source(split, memory_gb, folder)
    if tier == "frames":
        return FrameSource(split.cache, split.table, recipe.n_frames, memory_gb)
    return PooledSource(cache=split.cache, table=split.table, memory_gb=memory_gb)


def unit_sources(split: Split) -> Iterator[tuple[NDArray[np.intp], PooledSource]]:
    """The layers 1..L of all units of a part, a block in memory at a time.

    Yields the rows of a block, and where their layers are read from.
    """
    layers = _layers(split)
    place = pd.Index(split.cache.utterances["utterance_id"].to_numpy(object)).get_indexer(
        split.table[CLIP]
    )
    order = np.argsort(place, kind="stable")  # so that an utterance is read for one block, or two
    most = max(1, READ_VALUES // (len(layers) * split.cache.dim))
    for first in range(0, len(order), most):
        rows = order[first : first + most]
        table = split.table.iloc[rows]
        yield rows, PooledSource(np.stack([features_of(split, layer, table) for layer in layers]))


def _unit_source(split: Split, memory_gb: float, folder: Path) -> PooledSource:
    layers = _layers(split)
    shape = len(layers), len(split), split.cache.dim
    if 4 * np.prod(shape, dtype=float) <= memory_gb * 1e9:
        x: NDArray[Any] = np.empty(shape, np.float32)
        for i, layer in enumerate(layers):
            x[i] = features_of(split, layer, split.table)
        return PooledSource(x)
    with tempfile.TemporaryFile(dir=folder) as file:
        # written, not mapped: a full disk is an error then, and no fault of memory
        for layer in layers:
            file.write(
                features_of(split, layer, split.table).astype(np.float32, copy=False).tobytes()
            )
        file.flush()
        return PooledSource(np.memmap(file, np.float32, "c", shape=shape))


def _layers(split: Split) -> list[int]:
    return [layer for layer in split.cache.layers if layer > 0]
