"""Bounds: how much of a file from somebody else is read, checked before it is.

A few megabytes of parquet or gzip can unpack to more than any memory holds, and a pipe in the place
of a file keeps its reader waiting for ever. Every reader of tables, records and lists goes through
here.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from cache.errors import ProbeError

if TYPE_CHECKING:  # at run time they take half a second
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

MOST_JSON_BYTES = 256_000_000
# unpacked; lists of 3 million utterances, the largest there are, have 0.3 GB
MOST_TEXT_BYTES = 1_000_000_000
MOST_TABLE_BYTES = 2_000_000_000  # of a parquet table, unpacked
MOST_VALUES = 50_000_000  # of a table, rows x columns: 3 million utterances with 16 columns
MOST_LINE_BYTES = 1_000_000
BLOCK = 1 << 20
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


class TooLarge(ProbeError, ValueError):
    """A file holds, or unpacks to, more than is read."""


def check_regular(path: str | Path) -> None:
    """Raise OSError if something is no file but a pipe, a device or a folder, or is missing."""
    _check_kind(path, os.stat(path).st_mode)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading, at once: a pipe that nobody writes to would be waited for.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or a folder.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_kind(path, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_bytes(path: str | Path, most: int) -> bytes:
    """Every byte of a file.

    Raises:
        OSError: as `open_regular`.
        TooLarge: it has more than `most`.
    """
    with open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes > most:
            raise TooLarge(f"{path}: has {n_bytes:,} bytes, more than the {most:,} that are read")
        return file.read()


def is_packed(path: str | Path) -> bool:
    """Whether a file is taken for gzip."""
    return str(path).lower().endswith(".gz")


def check_text(path: str | Path) -> None:
    """Raise if a list, plain or `.gz`, unpacks to more than can be held.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read.
        TooLarge: it unpacks to more than MOST_TEXT_BYTES or MOST_VALUES, or to a line longer than
            MOST_LINE_BYTES.
    """
    packed = is_packed(path)
    n_bytes = 0
    n_values = 0
    in_line = 0
    with open_regular(path) as file:
        stream: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
        while block := stream.read(BLOCK):
            n_bytes += len(block)
            n_values += sum(map(block.count, (b"\n", b" ", b"\t", b",")))
            in_line = (
                in_line + len(block) if b"\n" not in block else len(block) - block.rindex(b"\n") - 1
            )
            for found, most, what in (
                (n_bytes, MOST_TEXT_BYTES, "bytes"),
                (n_values, MOST_VALUES, "values"),
                (in_line, MOST_LINE_BYTES, "bytes in one line"),
            ):
                if found > most:
                    raise TooLarge(
                        f"{path}: {'unpacks to' if packed else 'has'} more than the {most:,} "
                        f"{what} that are read. Leave out columns that are not needed, or cut it "
                        "into parts, by split say"
                    )


def read_parquet(
    source: Path | bytes, path: Path | None = None, *, check: bool = False
) -> pd.DataFrame:
    """A parquet table as pandas has it; see `read_arrow`."""
    return read_arrow(source, path, check=check).to_pandas()


def read_arrow(source: Path | bytes, path: Path | None = None, *, check: bool = False) -> pa.Table:
    """A parquet table, once its metadata and its dictionaries say that it can be held.

    Args:
        source: the file, or what is in it.
        path: of what is in it, for messages.
        check: compare pages with their checksums, where they have any.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: it cannot be read.
        TooLarge: it has more values than MOST_VALUES, or unpacks to more bytes than
            MOST_TABLE_BYTES.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = path or Path(str(source))
    buffer = source if isinstance(source, bytes) else read_bytes(source, MOST_TABLE_BYTES)
    file = pq.ParquetFile(pa.BufferReader(buffer), page_checksum_verification=check)
    texts = _check_metadata(file.metadata, path)
    # A text that is there once for a million rows is kept once, until it is known how long all of
    # them are.
    narrow = pq.ParquetFile(
        pa.BufferReader(buffer), page_checksum_verification=check, read_dictionary=texts
    )
    table = narrow.read()
    n_bytes = 0
    for name in texts:
        column = (
            table.column(name) if name in table.column_names else pa.chunked_array([], pa.string())
        )
        for chunk in column.chunks:
            if isinstance(chunk, pa.DictionaryArray):
                lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
                n_bytes += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    _refuse(path, n_bytes, MOST_TABLE_BYTES, "bytes")
    return file.read()


def _check_metadata(metadata: pq.FileMetaData, path: Path) -> list[str]:
    """Raise TooLarge by what the metadata says; gives the names of the columns of text."""
    n_values = 0
    n_bytes = 0
    texts = []
    for i in range(metadata.num_columns):
        column = metadata.schema.column(i)
        width = max(8, column.length or 0)
        chunks = [metadata.row_group(group).column(i) for group in range(metadata.num_row_groups)]
        values = max(sum(chunk.num_values for chunk in chunks), metadata.num_rows)
        n_values += values
        n_bytes += max(sum(chunk.total_uncompressed_size for chunk in chunks), values * width)
        if column.physical_type == "BYTE_ARRAY" and "." not in column.path:
            texts.append(column.name)
    _refuse(path, n_values, MOST_VALUES, "values (rows x columns)")
    _refuse(path, n_bytes, MOST_TABLE_BYTES, "bytes")
    return texts


def _refuse(path: Path, found: int, most: int, what: str) -> None:
    if found > most:
        raise TooLarge(
            f"{path}: unpacks to {found:,} {what}, more than the {most:,} that are read. Leave "
            "out columns that are not needed, or cut it into parts, by split say"
        )


def _check_kind(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        advice = ". Write what it gives to a file first" if stat.S_ISFIFO(mode) else ""
        raise OSError(errno.EINVAL, f"{kind}, expected a file{advice}", str(path))
