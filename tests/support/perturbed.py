"""Views of planted caches: the same rows with known noise or shifts in the layers that
are named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cache import Cache
from cache.table import PLACE_COLUMNS
from cache.writer import CacheWriter

Change = Callable[[np.ndarray, pd.DataFrame, np.random.Generator], np.ndarray]


def noise(deviation: float) -> Change:
    """Add normal noise to the mean over time."""

    def change(x: np.ndarray, table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
        y = x.copy()
        y[:, 0] += deviation * generator.normal(size=y[:, 0].shape)
        return y

    return change


def shift(by: np.ndarray, label: str) -> Change:
    """Move the mean over time of one class by a vector (D,)."""

    def change(x: np.ndarray, table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
        y = x.copy()
        y[:, 0] += by * (table["label"] == label).to_numpy()[:, None]
        return y

    return change


def perturb(
    clean: Cache, folder: Path, changes: Mapping[int, Change], seed: int = 0, leave_out: int = 0
) -> Cache:
    """Write a cache of the eval rows of another, some layers changed; `leave_out` of
    them failed.
    """
    generator = np.random.default_rng(seed)
    rows = clean.select({"split": "eval"}).reset_index(drop=True)
    columns = [name for name in rows if name not in (*PLACE_COLUMNS, *clean.manifest.measures)]
    made = {**clean.fingerprint, "view": folder.name, "view_seed": 0}
    about = {**clean.about, "options": {"view": f"gain:{seed}"}}
    manifest = replace(clean.manifest, shards=(), fingerprint=made, about=about)
    with CacheWriter(folder, manifest, rows[columns]) as writer:
        for index, planned in list(writer.pending()):
            failed = dict.fromkeys(planned["utterance_id"].head(leave_out), "too short: as planned")
            used = rows.set_index("utterance_id", drop=False).loc[
                planned["utterance_id"].iloc[leave_out:]
            ]
            n = len(used)
            measures = {name: used[name].to_numpy() for name in manifest.measures}
            shard = writer.start_shard(
                index, list(used["utterance_id"]), [800] * n, [2] * n, measures
            )
            for layer in clean.layers:
                x = clean.pooled([layer], used)[0]
                shard.write(
                    0,
                    "pooled",
                    layer,
                    changes[layer](x, used, generator) if layer in changes else x,
                    n,
                )
            writer.finish_shard(index, shard, failed)
    return Cache(folder)
