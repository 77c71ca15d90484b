"""Audio that changed since it was extracted: found by size and time, then by content."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from cache.errors import ProbeError, quoted
from cache.writer import CacheWriter
from probing.audio import STAMPS, stamp
from probing.progress import progress_line, several
from probing.threads import Threads

# files whose status is read in parallel: on a disk of a network each is a wait
LOOKS = 8
CHUNK = 1000


def changed_audio(root: Path, table: pd.DataFrame) -> tuple[frozenset[str], dict[int, float]]:
    """Look for the extracted utterances of a table whose file is another now.

    A file of another size or time is read again: only its content counts, so a copied corpus is the
    same corpus. A file that is gone counts as unchanged.

    Args:
        root: folder that the paths of the table start from.
        table: the utterances; those without stamps, of a version before 0.2, are left out.

    Returns:
        Ids of the utterances, and index of the table -> new time of files that are the same.
    """
    if not set(STAMPS) <= set(table.columns):
        return frozenset(), {}
    known = table[(table["row"] >= 0) & table["file_bytes"].notna()]
    rows = list(
        zip(
            known.index,
            known["utterance_id"],
            known["path"],
            *(known[name] for name in STAMPS),
            strict=True,
        )
    )
    chunks = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
    changed = set[str]()
    moved = dict[int, float]()

    def look(
        chunk: Sequence[tuple[int, str, str, float, float, float]],
    ) -> list[tuple[int, str, float | None]]:
        return list(_look(root, chunk))

    with (
        progress_line("Looking for changed audio", len(rows), "files") as line,
        Threads(LOOKS) as threads,
    ):
        for chunk, found in zip(chunks, threads.map(look, chunks), strict=True):
            for index, name, time in found:
                if time is None:
                    changed.add(name)
                else:
                    moved[index] = time
            line.advance(len(chunk))
    return frozenset(changed), moved


def _look(
    root: Path, rows: Sequence[tuple[int, str, str, float, float, float]]
) -> Iterator[tuple[int, str, float | None]]:
    """Rows whose file has another time: with that time, or None if its content changed."""
    for index, name, path, n_bytes, mtime, crc in rows:
        full = f"{root}/{path}"
        try:
            status = os.stat(full)
            if (status.st_size, status.st_mtime_ns // 1000) == (n_bytes, mtime):
                continue
            now = stamp(Path(full)) if status.st_size == n_bytes else {}
        except OSError:
            continue
        yield index, name, now["file_mtime_us"] if now.get("file_crc32") == crc else None


def refuse_changed(writer: CacheWriter, root: Path) -> None:
    """Raise ProbeError if audio changed since it was extracted; note the times of copies.

    A copy is the same audio with another time, which the table is given.
    """
    changed, moved = changed_audio(root, writer.table)
    if changed:
        shown = ", ".join(sorted(changed)[:5]) + (" ..." if len(changed) > 5 else "")
        count = several(len(changed), "utterance")
        raise ProbeError(
            f"{writer.folder}: the audio of {count} below {root} is not what "
            f"was extracted: {shown}. Put the files of then back, or extract these again: probe "
            f"cache repair {quoted(writer.folder)}"
        )
    if moved:
        times = writer.table["file_mtime_us"].copy()
        times[list(moved)] = list(moved.values())
        writer.table = writer.table.assign(file_mtime_us=times)
