"""Shards as an extraction sees them: where it takes them from, and what it writes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
from numpy.typing import NDArray

from cache.manifest import Manifest
from cache.shard_writer import ShardWriter


@dataclass(frozen=True)
class KeptRows:
    """Rows of a shard that are sound, so that a repair copies them into the new one.

    Attributes:
        rows: (utterance_id, n_samples, measures) of each.
        copy: writes them to a new shard, given the row of each utterance.
    """

    rows: list[tuple[str, int, dict[str, float]]]
    copy: Callable[[ShardWriter, dict[str, int]], None]


class Shards(Protocol):
    """Where a pipeline takes its work from and puts it; a CacheWriter, mostly."""

    manifest: Manifest

    def pending(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Shards to extract: number and planned utterances."""

    def start_shard(
        self,
        index: int,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, NDArray[Any]],
    ) -> ShardWriter:
        """A partial shard to write hidden states to."""

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """Take a shard that is whole; None if no utterance of it could be used."""


def write_states(
    shard: ShardWriter, rows: list[int], layers: Sequence[int], blocks: dict[str, NDArray[Any]]
) -> None:
    """Write the states of a batch: tier -> (layers, ...), to these rows of a shard."""
    first = rows[0]
    n_rows = len(rows)
    contiguous = rows == list(range(first, first + n_rows))
    for tier, block in blocks.items():
        for layer, values in zip(layers, block, strict=True):
            if contiguous:
                shard.write(first, tier, layer=layer, block=values, n_rows=n_rows)
                continue
            at = 0
            for row in rows:
                n = int(shard.offsets[row + 1] - shard.offsets[row]) if tier == "frames" else 1
                shard.write(row, tier, layer=layer, block=values[at : at + n], n_rows=1)
                at += n
