"""A torch data set over a cache, safe with worker processes."""

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from cache.quantization import read_as
from cache.reader import Cache, Where

TARGETS = {"bonafide": 1.0, "spoof": 0.0}


class CacheDataset(Dataset[dict[str, Any]]):
    """Utterances of a cache, one item each.

    Args:
        cache: an open cache; workers map its shards themselves.
        tier: `pooled` or `frames`.
        layers: default all.
        where: which utterances (see Cache.select).

    An item is a dict: `x` a tensor (layers, 2, D) or (layers, n_frames, D), `target` 1.0 for bona
    fide, 0.0 for spoof and NaN for any other label, `utterance_id`, `n_frames`. `table` has the
    other columns of the utterances, row by row.
    """

    def __init__(
        self,
        cache: Cache,
        tier: str = "frames",
        layers: Sequence[int] | None = None,
        where: Where = None,
    ) -> None:
        self.cache, self.tier = cache, tier
        self.layers = cache.layers if layers is None else list(layers)
        cache.require(tier, self.layers)
        self.table = cache.select(where).reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> "Items":
        """The items of a batch, read together; a DataLoader asks for them so."""
        rows = self.table.iloc[list(indices)]
        ids, labels, counts = (
            rows[name].tolist() for name in ("utterance_id", "label", "n_frames")
        )
        if self.tier == "frames":
            shape = (len(ids), len(self.layers), max(counts, default=0), self.cache.dim)
            states = np.empty(shape, read_as(self.cache.tiers["frames"]))
            self.cache.frames_into(states, ids, self.layers)
        else:
            states = np.ascontiguousarray(np.moveaxis(self.cache.pooled(self.layers, rows), 1, 0))
        x = torch.from_numpy(states)
        of_each = counts if self.tier == "frames" else [2] * len(ids)
        items = (
            {
                "x": x[i, :, :length],
                "target": TARGETS.get(label, nan),
                "utterance_id": name,
                "n_frames": n,
            }
            for i, (length, label, name, n) in enumerate(
                zip(of_each, labels, ids, counts, strict=True)
            )
        )
        return Items(x, items)


class Items(list[dict[str, Any]]):
    """Items of a CacheDataset that were read together, parts of one padded (B, layers, T, D)."""

    def __init__(self, x: torch.Tensor, items: Iterable[dict[str, Any]]) -> None:
        super().__init__(items)
        self.x = x


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Batch items of a CacheDataset.

    Gives `x` (B, layers, T, D), padded with zeros to the longest, and `n_frames` (B,).
    """
    return {
        "x": items.x if isinstance(items, Items) else _padded([item["x"] for item in items]),
        "target": torch.tensor([item["target"] for item in items]),
        "utterance_id": [item["utterance_id"] for item in items],
        "n_frames": torch.tensor([item["n_frames"] for item in items]),
    }


def _padded(states: Sequence[torch.Tensor]) -> torch.Tensor:
    n_layers, _, dim = states[0].shape
    x = states[0].new_zeros((len(states), n_layers, max(values.shape[1] for values in states), dim))
    for i, values in enumerate(states):
        x[i, :, : values.shape[1]] = values
    return x
