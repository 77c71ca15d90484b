"""Verification of a cache: every byte is read again and compared with what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.atomic import crc32_of_file
from cache.errors import CacheCorrupt
from cache.manifest import FAILURES, UTTERANCES, Manifest, ShardRecord, load_manifest
from cache.places import fill_places
from cache.shard import Shard
from cache.table import failures_are_whole, load_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Fault:
    """A file that is not as it was written, the utterances it concerns, and what is wrong.

    >>> Fault("shard-00000.h5", "the file is missing").utterance_ids
    ()
    """

    file: str
    what: str
    utterance_ids: tuple[str, ...] = ()
    shard: int | None = None


def verify(folder: Path, progress: Callable[[int], None] = lambda n_bytes: None) -> list[Fault]:
    """Read everything in a cache again and list every fault; an empty list is a sound cache.

    `progress` is called with the bytes of each shard once it is read. Raises CacheMissing, and
    CacheCorrupt if `cache.json` itself is damaged.

    >>> verify(Path("results/demo.cache"))
    []
    """
    manifest = load_manifest(folder)
    table: pd.DataFrame | None = None
    faults: list[Fault] = []
    try:
        table = load_table(folder, manifest)
    except CacheCorrupt as error:
        faults.append(Fault(UTTERANCES, error.what))
    if not failures_are_whole(folder, manifest):
        faults.append(Fault(FAILURES, "missing, or its bytes do not match their checksum"))
    faults += _shard_faults(folder, manifest, table, progress)
    if table is not None and not faults:
        try:
            fill_places(folder, manifest, table)
        except CacheCorrupt as error:
            faults.append(Fault(UTTERANCES, error.what))
    return faults


def _shard_faults(
    folder: Path, manifest: Manifest, table: pd.DataFrame | None, progress: Callable[[int], None]
) -> list[Fault]:
    faults = []
    for record in manifest.shards:
        if record.file is not None:
            faults += shard_faults(folder, record, manifest, table)
            progress(record.bytes)
    return faults


def shard_faults(
    folder: Path, record: ShardRecord, manifest: Manifest, table: pd.DataFrame | None = None
) -> list[Fault]:
    """The faults of one shard; one that cannot be narrowed down names every utterance of it."""
    import pandas as pd

    file = str(record.file)
    planned: tuple[str, ...] = ()
    if table is not None:
        rows = table[
            (table["shard"] == record.index) & ~table["utterance_id"].isin(record.failures)
        ]
        planned = tuple(rows["utterance_id"])
    try:
        # to name what is bad, not only to refuse it
        shard = Shard(folder, record, manifest, check=False)
    except CacheCorrupt as error:
        return [Fault(file, error.what, planned, record.index)]
    if table is not None and sorted(shard.utterance_ids) != sorted(planned):
        return [Fault(file, "its utterances are not those planned", planned, record.index)]
    faults = []
    bad = pd.DataFrame(shard.bad_blocks(), columns=["tier", "layer", "row"])
    for row, blocks in bad.groupby("row"):
        places = ", ".join(
            f"{tier} layer {layer}"
            for tier, layer in zip(blocks["tier"], blocks["layer"], strict=True)
        )
        name = shard.utterance_ids[int(str(row))]
        faults.append(
            Fault(file, f"bytes do not match their checksum: {places}", (name,), record.index)
        )
    if table is not None and not faults:
        stored = table[(table["shard"] == record.index) & (table["row"] >= 0)].sort_values("row")
        if len(stored) and list(stored["utterance_id"]) != shard.utterance_ids:
            faults.append(
                Fault(UTTERANCES, f"its rows are not those of {file}", planned, record.index)
            )
    if not faults and crc32_of_file(folder / file) != record.crc32:
        faults.append(
            Fault(file, "bytes outside the hidden states do not match", planned, record.index)
        )
    return faults
