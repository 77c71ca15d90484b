"""A torch data set over a cache, safe with worker processes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from cache.reader import Cache, Where


class CacheDataset(Dataset[dict[str, Any]]):
    """Utterances of a cache, one item each.

    Args:
        cache: an open cache; workers map its shards themselves.
        tier: `pooled` or `frames`.
        layers: default all.
        where: which utterances (see Cache.select).

    An item is a dict: `x` a tensor (layers, 2, D) or (layers, n_frames, D), `target` 1.0 for bona fide and 0.0 for
    spoof, `utterance_id`, `n_frames`.
    """

    def __init__(
        self, cache: Cache, tier: str = "frames", layers: Sequence[int] | None = None, where: Where = None
    ) -> None:
        self.cache, self.tier = cache, tier
        self.layers = cache.layers if layers is None else list(layers)
        cache.require(tier, self.layers)
        self.table = cache.select(where).reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The items of a batch, read together; a DataLoader asks for them so."""
        rows = self.table.iloc[list(indices)]
        ids = rows["utterance_id"].tolist()
        if self.tier == "frames":
            states = self.cache.frames(ids, self.layers)
        else:
            states = list(np.moveaxis(self.cache.pooled(self.layers, rows), 1, 0))
        labels, counts = rows["label"].tolist(), rows["n_frames"].tolist()
        return [
            {"x": torch.from_numpy(x), "target": float(label == "bonafide"), "utterance_id": name, "n_frames": n}
            for x, label, name, n in zip(states, labels, ids, counts, strict=True)
        ]


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Batch items of a CacheDataset: `x` (B, layers, T, D), padded with zeros to the longest, `n_frames` (B,)."""
    length = max(item["x"].shape[1] for item in items)
    x = items[0]["x"].new_zeros((len(items), items[0]["x"].shape[0], length, items[0]["x"].shape[2]))
    for i, item in enumerate(items):
        x[i, :, : item["x"].shape[1]] = item["x"]
    return {
        "x": x,
        "target": torch.tensor([item["target"] for item in items]),
        "utterance_id": [item["utterance_id"] for item in items],
        "n_frames": torch.tensor([item["n_frames"] for item in items]),
    }
