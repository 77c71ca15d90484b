"""Places: which row of which shard an utterance has, filled into the table from finished shards.

A kill between a shard and the table leaves a table that does not know it yet; a table that is
damaged is rebuilt from the shards.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import CacheCorrupt, as_flag, quoted
from cache.manifest import UTTERANCES, Manifest, ShardRecord
from cache.shard import Shard, check_size, shard_fault
from cache.table import load_table, planned, table_is_whole


def fill_places(folder: Path, manifest: Manifest, table: pd.DataFrame) -> pd.DataFrame:
    """Fill in the rows of finished shards that the table does not have yet.

    Raises CacheCorrupt if a shard cannot be read, or holds other utterances than planned.
    """
    filled, refused = _filled(folder, manifest, table)
    for error in refused.values():
        raise error
    return filled


def settle(folder: Path, manifest: Manifest, table: pd.DataFrame) -> tuple[Manifest, pd.DataFrame]:
    """As `fill_places`, but utterances of a shard that cannot be read are pending again."""
    filled, refused = _filled(folder, manifest, table)
    return manifest.with_only(
        [record for record in manifest.shards if record.index not in refused]
    ), filled


def _filled(
    folder: Path, manifest: Manifest, table: pd.DataFrame
) -> tuple[pd.DataFrame, dict[int, CacheCorrupt]]:
    """The table with the rows of all shards, and the shards that cannot be read, with why.

    All shards are filled in together: the ids of a table are indexed once, and each column is
    written once.
    """
    pending = _unknown_to(table, manifest)
    if not pending:
        return table, {}
    refused = dict[int, CacheCorrupt]()
    shards = dict[int, Shard]()
    for record in pending:
        try:
            if record.file is not None:
                shards[record.index] = Shard(folder, record, manifest, states=False)
        except CacheCorrupt as error:
            refused[record.index] = error
    names = [name for shard in shards.values() for name in shard.utterance_ids]
    places = pd.Index(table["utterance_id"].to_numpy(object)).get_indexer(
        pd.Index(names, dtype=object)
    )
    planned = table["shard"].to_numpy()
    owners = np.repeat(
        np.array(list(shards), np.int64), [shard.n_rows for shard in shards.values()]
    )
    times = np.bincount(places[places >= 0], minlength=len(table))
    strange = (
        (places < 0) | (planned[places] != owners) | (times[places] > 1)
        if len(table)
        else np.ones(len(names), bool)
    )
    for index in np.unique(owners[strange]).tolist():
        refused[index] = shard_fault(shards[index].path, "its utterances are not those planned")
    sound = {index: shard for index, shard in shards.items() if index not in refused}
    places = places[~np.isin(owners, list(refused))]
    empty = np.isin(
        planned, [record.index for record in pending if record.moved or record.index in refused]
    )
    columns = {}
    for name in ("row", "n_samples", "n_frames", *manifest.measures):
        values = table[name].to_numpy(copy=True)
        values[empty] = {"row": -1, "n_samples": 0, "n_frames": 0}.get(name, np.nan)
        if sound:
            values[places] = np.concatenate([_column(shard, name) for shard in sound.values()])
        columns[name] = values
    return table.assign(**columns), refused


def _column(shard: Shard, name: str) -> NDArray[Any]:
    own = {"row": np.arange(shard.n_rows), "n_samples": shard.n_samples, "n_frames": shard.n_frames}
    return own[name] if name in own else shard.measures[name]


def _unknown_to(table: pd.DataFrame, manifest: Manifest) -> list[ShardRecord]:
    """Finished shards whose rows the table does not have, or has of a file that was replaced."""
    known = set(table.loc[table["row"] >= 0, "shard"].unique())
    return [
        shard
        for shard in manifest.shards
        if shard.moved or (shard.file and shard.index not in known)
    ]


def check_shards(folder: Path, manifest: Manifest) -> None:
    """Raise CacheCorrupt if a finished shard is missing or cut, by the sizes of the files alone.

    Shards that the table does not know are left out: a writer that opens the cache forgets those
    it cannot read, and extracts them again. So are all if the table itself is damaged.
    """
    if not table_is_whole(folder, manifest):
        return
    unknown = _unknown_to(load_table(folder, manifest), manifest)
    for record in manifest.shards:
        if record.file is not None and record not in unknown:
            check_size(folder, record)


def stored_ids(folder: Path, manifest: Manifest) -> tuple[Manifest, dict[str, int]]:
    """Utterance id -> shard, by the shards alone, and a manifest of those that can be read."""
    shard_of: dict[str, int] = {}
    kept = []
    for record in manifest.shards:
        try:
            names = (
                Shard(folder, record, manifest, states=False).utterance_ids if record.file else []
            )
        except CacheCorrupt:
            continue
        kept.append(record)
        shard_of.update(dict.fromkeys([*names, *record.failures], record.index))
    return manifest.with_only(kept), shard_of


def recover(
    folder: Path, manifest: Manifest, corpus: pd.DataFrame
) -> tuple[Manifest, pd.DataFrame]:
    """The table of an existing cache, rebuilt from shards and corpus if its file is damaged.

    A shard that cannot be read either is forgotten: its utterances are planned again.
    """
    if table_is_whole(folder, manifest):
        return settle(folder, manifest, load_table(folder, manifest))
    whole, shard_of = stored_ids(folder, manifest)
    for record in manifest.shards:
        if record.file and record not in whole.shards:
            (folder / record.file).unlink(missing_ok=True)
    manifest = whole
    unknown = set(shard_of) - set(corpus["utterance_id"])
    if unknown:
        raise CacheCorrupt(
            f"{folder / UTTERANCES}: damaged, and the corpus given lacks {len(unknown)} "
            f"utterances of the shards, as {min(unknown)}. Rebuild it with the whole corpus: "
            f"probe cache repair {quoted(folder)} {as_flag('corpus', '...')}"
        )
    rows = corpus[corpus["utterance_id"].isin(shard_of)].sort_values("utterance_id", kind="stable")
    table = planned(
        rows.reset_index(drop=True),
        rows["utterance_id"].map(shard_of).to_numpy(),
        manifest.measures,
    )
    return manifest, fill_places(folder, manifest, table)
