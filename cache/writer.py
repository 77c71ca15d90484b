"""The writer of a cache: plans shards, resumes after any kind of stop, records what is finished."""

import datetime
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from zlib import crc32

import pandas as pd

from cache.atomic import DISK, PARTIAL, fsync_folder, link_or_copy, replace_file
from cache.errors import CacheCorrupt, CacheMissing, ProbeError, quoted
from cache.lock import LOCK, lock_folder
from cache.manifest import (
    FAILURES,
    MANIFEST,
    UTTERANCES,
    Manifest,
    ShardRecord,
    check_fingerprint,
    load_manifest,
    shard_name,
)
from cache.places import recover, settle
from cache.shard import Array
from cache.shard_writer import ShardWriter
from cache.table import failures_bytes, load_table, plan, table_bytes

OWN_PARTIAL = re.compile(
    rf"(shard-\d+(-\d+)?\.h5(\.[0-9a-f]{{32}}{re.escape(PARTIAL)})?"
    rf"|{re.escape(MANIFEST)}|{re.escape(UTTERANCES)}|{re.escape(FAILURES)}){re.escape(PARTIAL)}"
    # of a worker, see probing.extraction.driver
    rf"|shard-\d+\.h5\.[0-9a-f]{{32}}{re.escape(PARTIAL)}"
)
SHARD_NAME = re.compile(r"shard-(\d+)(?:-\d+)?\.h5")


class CacheWriter:
    """A cache open for writing; use it in a `with` statement.

    Opening the folder of an unfinished cache resumes it: finished shards are kept, partial files
    are deleted, and utterances of `corpus` that are not planned yet are added in new shards.

    Args:
        folder: the cache; made if it does not exist.
        manifest: fingerprint, layers, width, tiers, measures and `about` of what is to be written
            (no shards).
        corpus: a row per utterance, `utterance_id` and `path` at least.
        shard_size: utterances a new shard.
        shard_of: utterance_id -> shard, where that is decided already (see cache.parts).
        wait: seconds to wait for another writer to end.
        say: called with a sentence on what is waited for.

    Raises:
        FingerprintMismatch, CacheBusy, CacheCorrupt, ProbeError (folder not empty, not writable,
            corpus changed).
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        corpus: pd.DataFrame,
        shard_size: int = 256,
        shard_of: Mapping[str, int] | None = None,
        wait: float = 0.0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.folder = folder
        self.lock = lock_folder(folder, wait, say)
        try:
            found = begun(folder)
            if found is None:
                self.manifest, known = manifest, None
            else:
                check_fingerprint(folder, found.fingerprint, manifest.fingerprint)
                self.manifest, known = recover(folder, found, corpus)
            self._remove_partial()
            self._remove_replaced()
            self.table = plan(
                known,
                corpus,
                measures=self.manifest.measures,
                shard_size=shard_size,
                shard_of=shard_of,
            )
            self._save_table()
        except BaseException as error:
            self.lock.release()
            _refuse_to_go_on(folder, error)
            raise

    def _save_table(self) -> None:
        """Write the tables and the manifest; a kill in between leaves tables that it describes."""
        table, failures = table_bytes(self.table), failures_bytes(self.manifest, self.table)
        announced = replace(
            self.manifest, next_table_crc32=crc32(table), next_failures_crc32=crc32(failures)
        )
        if (self.folder / MANIFEST).exists():
            announced.save(self.folder)
        replace_file(self.folder / UTTERANCES, table)
        if not (self.folder / MANIFEST).exists():
            announced.save(self.folder)
        replace_file(self.folder / FAILURES, failures)
        self.manifest = replace(
            self.manifest,
            shards=tuple(replace(record, moved=False) for record in self.manifest.shards),
            table_crc32=crc32(table),
            next_table_crc32=None,
            failures_crc32=crc32(failures),
            next_failures_crc32=None,
        )
        self.manifest.save(self.folder)
        self._saved = self.manifest, self.table

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
        return ShardWriter(
            self.folder,
            index,
            manifest=self.manifest,
            utterance_ids=utterance_ids,
            n_samples=n_samples,
            n_frames=n_frames,
            measures=measures,
            generation=self._generation(index),
        )

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """Record a shard as finished; `shard` is None when none of its utterances could be used."""
        self.lock.check()
        if shard:
            record = shard.finish(failures)
        else:
            record = ShardRecord(
                index,
                None,
                rows=0,
                bytes=0,
                crc32=0,
                failures=dict(failures),
                generation=self._generation(index),
            )
        moved = any(old.index == index for old in self.manifest.shards)
        self.manifest = self.manifest.with_shard(replace(record, moved=moved))
        self.manifest.save(self.folder)
        self._remove_replaced()

    def _generation(self, index: int) -> int:
        """How many files a shard had before the next."""
        old = [
            record.generation + bool(record.file)
            for record in self.manifest.shards
            if record.index == index
        ]
        return old[0] if old else 0

    def _remove_partial(self) -> None:
        for path in self.folder.iterdir():
            if OWN_PARTIAL.fullmatch(path.name):
                path.unlink()

    def _remove_replaced(self) -> None:
        """Delete the files of shards that have another one now; a kill may have left some."""
        files = {record.index: record.file for record in self.manifest.shards}
        for path in self.folder.glob("shard-*.h5"):
            name = SHARD_NAME.fullmatch(path.name)
            if name and files.get(int(name[1]), path.name) != path.name:
                path.unlink()

    def adopt_shard(self, record: ShardRecord, source: Path | None) -> None:
        """Record a pending shard that was finished elsewhere.

        Its file `source` is renamed if it is in this folder, else linked, or where that cannot be
        copied and compared with its checksum; None if no utterance of it could be used.
        """
        self.lock.check()
        generation = self._generation(record.index)
        record = replace(record, generation=generation, moved=False)
        if source is not None:
            final = self.folder / shard_name(record.index, generation)
            if source.parent == self.folder:
                partial = source
            else:
                partial = final.with_name(final.name + PARTIAL)
                if link_or_copy(source, partial) not in (None, record.crc32):
                    partial.unlink()
                    raise CacheCorrupt(
                        f"{source}: damaged. Mend it: probe cache repair {quoted(source.parent)}"
                    )
            os.replace(partial, final)
            fsync_folder(self.folder)
            record = replace(record, file=final.name)
        self.manifest = self.manifest.with_shard(record)
        self.manifest.save(self.folder)

    def note(self, session: dict[str, Any]) -> None:
        """Add what a run did to the history."""
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.manifest = replace(
            self.manifest, history=(*self.manifest.history, {"when": when, **session})
        )

    def close(self) -> None:
        """Bring the table up to date and release the lock."""
        try:
            self.lock.check()
            self._remove_partial()
            self.manifest, self.table = settle(self.folder, self.manifest, self.table)
            if self.manifest != self._saved[0] or self.table is not self._saved[1]:
                self._save_table()
        finally:
            self.lock.release()

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except OSError as error:
            if value is None:
                _refuse_to_go_on(self.folder, error)
                raise
        _refuse_to_go_on(self.folder, value)


def _refuse_to_go_on(folder: Path, error: BaseException | None) -> None:
    """Raise a ProbeError if the disk is what an error is about."""
    if isinstance(error, OSError) and error.errno in DISK and not isinstance(error, ProbeError):
        raise ProbeError(
            f"{folder}: cannot be written to ({error.strerror}). What was finished is kept; make "
            "room, or the folder writable: the same command goes on where it stopped."
        ) from error


def begun(folder: Path) -> Manifest | None:
    """The manifest of the cache in a folder that is to be written to; None if there is none yet.

    Raises:
        CacheCorrupt: its `cache.json` is damaged.
        ProbeError: there is something else in the folder, or it is a file.

    >>> begun(Path("missing")) is None
    True
    """
    try:
        return load_manifest(folder)
    except CacheMissing:
        if not folder.exists():
            return None
        if not folder.is_dir():
            raise ProbeError(f"{folder}: is a file. Name a new or an empty folder.") from None
        if strangers := _strangers(folder):
            raise ProbeError(
                f"{folder}: holds {strangers[0]} and is no cache. Name a new or an empty folder."
            ) from None
        return None


def _strangers(folder: Path) -> list[str]:
    """What a folder without `cache.json` holds beside what a killed start leaves there."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(LOCK))
    return [
        name
        for name in names
        if not OWN_PARTIAL.fullmatch(name) and not _is_first_table(folder, name)
    ]


def _is_first_table(folder: Path, name: str) -> bool:
    """Whether a file is the table of a cache in which nothing is finished yet.

    It is written right before `cache.json`, so a kill may leave it alone.
    """
    try:
        return name == UTTERANCES and bool((load_table(folder)["row"] < 0).all())
    except CacheCorrupt:
        return False
