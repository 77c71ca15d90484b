"""The audio of a data set of Hugging Face, which holds it as bytes, written out as files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cache.errors import ProbeError, argument
from probing.corpora.corpus import NOT_IN_IDS

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 64  # whose audio is in memory at a time
LONGEST_NAME = 150


def names_of(split: Any, audio: str, name: str) -> list[str]:
    """A path for each row: the name of its file if all differ, or else the number of the row."""
    import pyarrow.compute as pc

    paths = pc.struct_field(_column(split, audio), "path").to_pylist()
    files = [PurePosixPath((path or "").replace("\\", "/")).name for path in paths]
    stems = [re.sub(NOT_IN_IDS, "_", os.path.splitext(file)[0]) for file in files]
    usable = all(stem.strip(".") and len(stem.encode()) <= LONGEST_NAME for stem in stems)
    if not usable or len({stem.casefold() for stem in stems}) < len(stems):
        stems = [f"{i:07d}" for i in range(len(files))]
    endings = [os.path.splitext(file)[1].lower() for file in files]
    return [
        f"{name}/{stem}{ending if re.fullmatch(r'[.][a-z0-9]{1,8}', ending) else ''}"
        for stem, ending in zip(stems, endings, strict=True)
    ]


def _column(split: Any, audio: str) -> pa.ChunkedArray:
    import pyarrow as pa

    column = split.with_format("arrow").select_columns([audio])[:][audio]
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def written(split: Any, audio: str, root: Path, files: list[str]) -> Iterator[int]:
    """Write the files that are not there yet, and yield how many rows are done, now and then.

    A file of another length than its bytes was cut by a crash, and is written again. A row without
    bytes names a file on this disk, which is copied; if it is not there, neither is the audio, and
    `check_files` says so.
    """
    import pyarrow.compute as pc

    column = _column(split, audio)
    for start in range(0, len(files), ROWS):
        rows = column.slice(start, ROWS)
        lengths = pc.binary_length(pc.struct_field(rows, "bytes")).to_pylist()
        for i, n_bytes in enumerate(lengths):
            path = root / files[start + i]
            if path.is_file() and n_bytes in (None, path.stat().st_size):
                continue
            row = rows[i].as_py() or {}
            content = row.get("bytes")
            if content is None and row.get("path") and os.path.isfile(row["path"]):
                content = Path(row["path"]).read_bytes()
            if content is not None:
                _write(path, content)
        yield len(lengths)


def _write(path: Path, content: bytes) -> None:
    # other jobs may write the same file at the same time
    partial = path.with_name(f"{uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ProbeError(
            f"{path}: cannot be written to ({error.strerror or error}). Make room, or name a "
            f"folder: {argument('audio_root', '...')}"
        ) from None
