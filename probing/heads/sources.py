"""Sources of batches: the layers of utterances, in memory or streamed from a cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Queue
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import Cache

T = TypeVar("T")
FRAME_COPIES = 6  # of a batch of frames: two ahead, the one in use, standardised, merged, gradients


@dataclass(frozen=True)
class Batch:
    """Utterances at `rows` of their source: x (B, L, T, D) float32, mask (B, T) or None where T is
    1.

    In memory x lies layers first, which is how merges take it.
    """

    rows: NDArray[np.intp]
    x: Tensor
    mask: Tensor | None


class Source(Protocol):
    """Layers 1..L of N utterances."""

    n_layers: int
    dim: int
    frames: bool

    def __len__(self) -> int: ...

    def batches(
        self, order: NDArray[np.intp], size: int, crop_seed: int | None = None
    ) -> Iterator[Batch]:
        """Batches in an order; a crop seed draws crops where the source crops, None takes the first
        frames.
        """

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (L, D) of every feature over the utterances."""


class PooledSource:
    """Mean and deviation over time as one vector of 2 D features.

    Args:
        x: (L, N, 2 D), layers 1..L; or None to read from a cache.
        cache, table: an open cache and rows of its utterances.
        memory_gb: read once and keep if it fits, else stream.

    >>> source = PooledSource(np.arange(12.0).reshape(1, 3, 4))
    >>> [batch.x.shape for batch in source.batches(np.arange(3), 2)]
    [torch.Size([2, 1, 1, 4]), torch.Size([1, 1, 1, 4])]
    """

    frames = False

    def __init__(
        self,
        x: NDArray[Any] | None = None,
        cache: Cache | None = None,
        table: pd.DataFrame | None = None,
        memory_gb: float = 1.0,
    ) -> None:
        if x is None:
            assert cache is not None
            assert table is not None
            self.layers = [k for k in cache.layers if k > 0]
            self.table = table
            self.cache = cache
            self.n_layers = len(self.layers)
            self.dim = 2 * cache.dim
            self._n = len(table)
            if 4 * self._n * self.n_layers * self.dim <= memory_gb * 1e9:
                x = self._read(np.arange(self._n))
        else:
            self.n_layers, self._n, self.dim = x.shape
        self.x = None if x is None else torch.from_numpy(np.asarray(x, np.float32))

    def __len__(self) -> int:
        return self._n

    def _read(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        return self.cache.pooled(self.layers, self.table.iloc[rows]).reshape(
            self.n_layers, len(rows), -1
        )

    def batches(
        self, order: NDArray[np.intp], size: int, crop_seed: int | None = None
    ) -> Iterator[Batch]:
        """See `Source.batches`."""
        parts = (order[first : first + size] for first in range(0, len(order), size))
        if self.x is not None:
            for rows in parts:
                yield Batch(
                    rows, self.x[:, torch.from_numpy(rows)].transpose(0, 1)[:, :, None], None
                )
            return
        read = (
            Batch(rows, torch.from_numpy(self._read(rows).astype(np.float32)), None)
            for rows in parts
        )
        for batch in prefetched(read):
            yield Batch(batch.rows, batch.x.transpose(0, 1)[:, :, None], None)

    def moments(self) -> tuple[Tensor, Tensor]:
        """See `Source.moments`."""
        total = torch.zeros(2, self.n_layers, self.dim, dtype=torch.float64)
        reference = None
        for batch in self.batches(np.arange(len(self)), 1024):
            x = batch.x[:, :, 0].double()
            reference = x.mean(0) if reference is None else reference
            total += torch.stack([(x - reference).sum(0), (x - reference).square().sum(0)])
        assert reference is not None
        mean, square = total / len(self)
        return (reference + mean).float(), deviation(square - mean.square(), reference + mean)


class FrameSource:
    """Every frame of utterances, streamed from a cache by a thread that reads ahead.

    Args:
        cache, table: an open cache with frames and rows of its utterances.
        n_frames: longest crop; None takes all frames.
        memory_gb: of the batches in flight; larger ones come in parts (`part_size`).

    Attributes:
        longest: most frames of an utterance in a batch.
    """

    frames = True

    def __init__(
        self, cache: Cache, table: pd.DataFrame, n_frames: int | None = None, memory_gb: float = 1.0
    ) -> None:
        self.cache = cache
        self.table = table.reset_index(drop=True)
        self.n_frames = n_frames
        self.layers = [k for k in cache.layers if k > 0]
        self.n_layers, self.dim = len(self.layers), cache.dim
        self.longest = min(int(self.table["n_frames"].max()), n_frames or 10**9)
        self.part_size = max(
            1, int(memory_gb * 1e9 / (FRAME_COPIES * 4 * self.n_layers * self.dim * self.longest))
        )

    def __len__(self) -> int:
        return len(self.table)

    def batches(
        self, order: NDArray[np.intp], size: int, crop_seed: int | None = None
    ) -> Iterator[Batch]:
        """See `Source.batches`; no batch is larger than `part_size`."""
        size = min(size, self.part_size)
        parts = (order[first : first + size] for first in range(0, len(order), size))
        return prefetched(self._batch(rows, crop_seed) for rows in parts)

    def _batch(self, rows: NDArray[np.intp], crop_seed: int | None) -> Batch:
        counts = self.table["n_frames"].to_numpy()[rows]
        kept = np.minimum(counts, self.n_frames or counts.max())
        first = [
            self._first(int(row), int(n), crop_seed)
            for row, n in zip(rows, counts - kept, strict=True)
        ]
        x = np.empty((self.n_layers, len(rows), kept.max(), self.dim), np.float32).swapaxes(0, 1)
        self.cache.frames_into(
            x, self.table["utterance_id"].iloc[rows].tolist(), self.layers, first
        )
        return Batch(
            rows, torch.from_numpy(x), torch.from_numpy(np.arange(x.shape[2]) < kept[:, None])
        )

    def _first(self, row: int, surplus: int, crop_seed: int | None) -> int:
        """The frame at which the crop of an utterance begins."""
        if surplus == 0 or crop_seed is None:
            return 0
        return int(np.random.default_rng([crop_seed, row]).integers(surplus + 1))

    def moments(self) -> tuple[Tensor, Tensor]:
        """See `Source.moments`.

        They are over frames, each utterance weighing the same, from the pooled tier.
        """
        pooled = self.cache.pooled(self.layers, self.table).astype(np.float64)
        mean = pooled[:, :, 0].mean(1)
        variance = pooled[:, :, 0].var(1) + np.square(pooled[:, :, 1]).mean(1)
        return torch.from_numpy(mean).float(), deviation(
            torch.from_numpy(variance), torch.from_numpy(mean)
        )


def prefetched(items: Iterable[T], ahead: int = 2) -> Iterator[T]:
    """The items of an iterable, computed by a thread at most `ahead` items before their turn.

    >>> list(prefetched(range(4)))
    [0, 1, 2, 3]
    """
    queue: Queue[tuple[str, Any]] = Queue(ahead)
    stop = Event()

    def work() -> None:
        try:
            for item in items:
                queue.put(("item", item))
                if stop.is_set():
                    return
            queue.put(("end", None))
        except BaseException as error:  # raised where the items are read
            queue.put(("error", error))

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, item = queue.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get()
            thread.join(0.01)


def deviation(variance: Tensor, mean: Tensor) -> Tensor:
    """The deviation that features are divided by; 1 if they do not vary beyond rounding.

    >>> deviation(torch.tensor([4.0, 0.0]), torch.tensor([1.0, 1.0]))
    tensor([2., 1.])
    """
    scale = variance.clamp_min(0).sqrt()
    return torch.where(
        scale <= 1e-6 * mean.abs().clamp_min(1e-12), torch.ones_like(scale), scale
    ).float()
