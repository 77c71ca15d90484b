"""The writer of a cache: plans shards, resumes after any kind of stop, records what is finished."""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from zlib import crc32

import filelock
import numpy as np
import pandas as pd

from cache.atomic import PARTIAL, replace_file
from cache.errors import CacheBusy, CacheCorrupt, CacheMissing, ProbeError
from cache.manifest import FAILURES, MANIFEST, UTTERANCES, Manifest, ShardRecord, check_fingerprint, load_manifest
from cache.shard import Array, ShardWriter
from cache.table import load_table, plan, recover, save_failures, settle, table_bytes

LOCK = ".lock"
OWN_PARTIAL = re.compile(
    rf"(shard-\d+\.h5|{re.escape(MANIFEST)}|{re.escape(UTTERANCES)}|{re.escape(FAILURES)}){re.escape(PARTIAL)}"
)


class CacheWriter:
    """A cache open for writing; use it in a `with` statement.

    Opening the folder of an unfinished cache resumes it: finished shards are kept, partial files are deleted, and
    utterances of `corpus` that are not planned yet are added in new shards.

    Args:
        folder: the cache; made if it does not exist.
        manifest: fingerprint, layers, width, tiers, measures and `about` of what is to be written (no shards).
        corpus: a row per utterance, `utterance_id` and `path` at least.
        shard_size: utterances a new shard.

    Raises:
        FingerprintMismatch, CacheBusy, CacheCorrupt, ProbeError (folder not empty, not writable, corpus changed).
    """

    def __init__(self, folder: Path, manifest: Manifest, corpus: pd.DataFrame, shard_size: int = 256) -> None:
        self.folder = folder
        self.lock = lock_folder(folder)
        try:
            try:
                found = load_manifest(folder)
            except CacheMissing:
                strangers = _strangers(folder)
                if strangers:
                    raise ProbeError(
                        f"{folder}: holds {strangers[0]} and is no cache. Name a new or an empty folder."
                    ) from None
                self.manifest, known = manifest, None
            else:
                check_fingerprint(folder, found.fingerprint, manifest.fingerprint)
                self.manifest, known = recover(folder, found, corpus)
            for path in folder.iterdir():
                if OWN_PARTIAL.fullmatch(path.name):
                    path.unlink()
            self.table = plan(known, corpus, self.manifest.measures, shard_size)
            self._save_table()
        except BaseException:
            self.lock.release()
            raise

    def _save_table(self) -> None:
        """Write the table and what describes it; a kill in between leaves a table that the manifest knows."""
        content = table_bytes(self.table)
        if (self.folder / MANIFEST).exists():
            replace(self.manifest, next_table_crc32=crc32(content)).save(self.folder)
        replace_file(self.folder / UTTERANCES, content)
        self.manifest = replace(self.manifest, table_crc32=crc32(content), next_table_crc32=None)
        self.manifest.save(self.folder)
        save_failures(self.folder, self.manifest, self.table)

    def pending(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """The shards not finished yet: number and planned utterances."""
        finished = {record.index for record in self.manifest.shards}
        for index, rows in self.table.groupby("shard", sort=True):
            if index not in finished:
                yield int(str(index)), rows

    def start_shard(
        self,
        index: int,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, Array],
    ) -> ShardWriter:
        """A partial shard to write hidden states to."""
        return ShardWriter(self.folder, index, self.manifest, utterance_ids, n_samples, n_frames, measures)

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """Record a shard as finished; `shard` is None when none of its utterances could be used."""
        record = shard.finish(failures) if shard else ShardRecord(index, None, 0, 0, 0, dict(failures))
        self.manifest = self.manifest.with_shard(record)
        self.manifest.save(self.folder)

    def forget_rows(self, index: int) -> None:
        """Mark the rows of a shard that is about to be written again as unknown, on disk as well."""
        rows = self.table["shard"] == index
        self.table.loc[rows, ["row", "n_samples", "n_frames"]] = [-1, 0, 0]
        self.table.loc[rows, list(self.manifest.measures)] = np.nan
        self._save_table()

    def note(self, session: dict[str, Any]) -> None:
        """Add what a run did to the history."""
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.manifest = replace(self.manifest, history=(*self.manifest.history, {"when": when, **session}))

    def close(self) -> None:
        """Bring the table up to date and release the lock."""
        try:
            self.manifest, self.table = settle(self.folder, self.manifest, self.table)
            self._save_table()
        finally:
            self.lock.release()

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock_folder(folder: Path) -> filelock.BaseFileLock:
    """Take the lock of a cache folder, made if need be, or say who has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise CacheBusy(
            f"{folder}: another process is writing to this cache. Wait for it to end, or name another folder."
        ) from None
    except OSError as error:
        raise ProbeError(
            f"{folder}: cannot be written to ({error.strerror}). Name a folder you may write to."
        ) from None
    return lock


def _strangers(folder: Path) -> list[str]:
    """What a folder without `cache.json` holds beside what a killed start leaves there."""
    names = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    return [name for name in names if not OWN_PARTIAL.fullmatch(name) and not _is_first_table(folder, name)]


def _is_first_table(folder: Path, name: str) -> bool:
    """Whether a file is the table of a cache in which nothing is finished: `cache.json` comes right after it."""
    try:
        return name == UTTERANCES and bool((load_table(folder)["row"] < 0).all())
    except CacheCorrupt:
        return False
