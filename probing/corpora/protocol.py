"""Protocols: the lists of utterances that corpora come with, as tables of text."""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cache.bounds import TooLarge, check_text, open_text
from cache.errors import ProbeError


class ProtocolMissing(ProbeError):
    """A protocol of a corpus is not below its root."""


def find(root: Path, name: str) -> list[Path]:
    """`root/name` and `root/*/name`, where they are: the parts of a corpus may be unpacked each to its own folder."""
    parts = sorted(path for path in root.glob(f"*/{name}") if not path.relative_to(root).parts[0].startswith("."))
    return ([root / name] if (root / name).exists() else []) + parts


def the_protocol(root: Path, names: Sequence[str], what: str) -> Path:
    """The first of `names` that is below the root.

    Args:
        root: folder of the corpus.
        names: the file in its official places, the newest form first.
        what: what to get and where to unpack it, for the message.

    Raises:
        ProtocolMissing: none of them is there.
    """
    for name in names:
        for path in find(root, name):
            return path
    raise ProtocolMissing(f"{root / names[0]}: no such file. Expected {what}")


def read_lines(path: Path, *forms: str) -> pd.DataFrame:
    """Read a protocol without a header, spaces or tabs between its columns; those named - are left out.

    Args:
        path: the file, in UTF-8.
        forms: names of the columns with spaces between, once for each form the protocol was released in.

    Raises:
        ProbeError: the file cannot be read, is empty, or a row has another number of columns than the first.
    """
    try:
        with open_text(path) as handle:
            lines = handle.read().split("\n")
    except TooLarge:
        raise
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ProbeError(f"{path}: cannot be read ({error}). Unpack it again from the official archive.") from None
    rows = [row for row in (re.findall(r"[^ \t\r]+", line) for line in lines) if row]
    if not rows:
        raise ProbeError(f"{path}: no rows. Unpack it again from the official archive.")
    counts = {len(form.split()): form.split() for form in forms}
    columns = counts.get(len(rows[0]), forms[0].split())
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            expected = " or ".join(f"'{form}'" for form in forms)
            raise ProbeError(f"{path}, row {i + 1}: {len(row)} columns, expected {expected}")
    kept = [i for i, name in enumerate(columns) if name != "-"]
    return pd.DataFrame({columns[i]: [row[i] for row in rows] for i in kept})


def read_csv(path: Path, columns: Sequence[str], separator: str = ",") -> pd.DataFrame:
    """Read a table with a header as text; an empty field is an empty text.

    Raises:
        ProbeError: the file cannot be read or lacks one of `columns`.
    """
    try:
        check_text(path)
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except TooLarge:
        raise
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error})") from None
    return with_columns(table, columns, path)


def with_columns(table: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """The table, if it has the columns; ProbeError naming the first it lacks."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        found = ",".join(map(str, table.columns))
        raise ProbeError(f"{path}: no column {missing[0]!r}. Expected {','.join(columns)}; found {found}")
    return table
