"""Caches that hold given hidden states."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cache import Cache
from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES


def table_of(n: int, **columns: Sequence[str]) -> pd.DataFrame:
    """`n` utterances; every third spoofed, speakers of five, splits as they come."""
    rows = [
        {
            "utterance_id": f"ü{i:04d}",
            "path": f"{i}.wav",
            "split": ("train", "dev", "eval")[i % 3],
            "label": "bonafide" if i % 2 else "spoof",
            "speaker": f"s{i % 5}",
            "attack": "-" if i % 2 else f"A{i % 3:02d}",
        }
        for i in range(n)
    ]
    return pd.DataFrame(rows).assign(**columns)


def store(
    folder: Path,
    pooled: np.ndarray,
    table: pd.DataFrame | None = None,
    frames: Sequence[np.ndarray] | None = None,
    measures: np.ndarray | None = None,
    name: str = "stored",
) -> Cache:
    """A cache in three shards of pooled (L, N, 2, D) and frames (L, T, D) an utterance, in the
    order of the table.
    """
    n_layers, n, _, dim = pooled.shape
    table = table_of(n) if table is None else table
    place = {utterance: i for i, utterance in enumerate(table["utterance_id"])}
    measures = (
        np.random.default_rng(9).normal(size=(n, len(MEASURES))) if measures is None else measures
    )
    tiers = {"pooled": "float32", **({"frames": "float32"} if frames else {})}
    about = {"backbone": name, "corpus": "made", "random_weights": False}
    manifest = Manifest({"made": name}, tuple(range(n_layers)), dim, tiers, MEASURES, about)
    with CacheWriter(folder, manifest, table, shard_size=-(-n // 3)) as writer:
        for index, rows in list(writer.pending()):
            at = [place[utterance] for utterance in rows["utterance_id"]]
            counts = [frames[i].shape[1] for i in at] if frames else [2] * len(at)
            values = {measure: measures[at, k] for k, measure in enumerate(MEASURES)}
            shard = writer.start_shard(
                index, list(rows["utterance_id"]), [320 * c for c in counts], counts, values
            )
            for layer in range(n_layers):
                shard.write(0, "pooled", layer, pooled[layer, at], len(at))
                if frames:
                    shard.write(
                        0, "frames", layer, np.concatenate([frames[i][layer] for i in at]), len(at)
                    )
            writer.finish_shard(index, shard, {})
    return Cache(folder)
