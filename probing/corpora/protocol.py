"""Protocols: the lists of utterances that corpora come with, as tables of text."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError
from probing.rows import first_double, fit, open_text, separated_rows

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


class ProtocolMissing(ProbeError):
    """A protocol of a corpus is not below its root."""


def find(root: Path, name: str) -> list[Path]:
    """`root/name` and `root/*/name`, if they are there.

    Parts of a corpus may be unpacked each to a folder of its own.
    """
    parts = sorted(
        path
        for path in root.glob(f"*/{name}")
        if not path.relative_to(root).parts[0].startswith(".")
    )
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
    """Read a protocol without a header; columns named - are left out.

    Spaces or tabs are between its columns.

    Args:
        path: the file, in UTF-8.
        forms: names of the columns with spaces between, once for each form the protocol was
            released in.

    Raises:
        ProbeError: the file cannot be read, is empty, or a row has another number of columns than
            the first.
    """
    import pandas as pd

    try:
        with open_text(path) as handle:
            lines = handle.read().split("\n")
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise ProbeError(
            f"{path}: cannot be read ({error}). Unpack it again from the official archive."
        ) from None
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


def read_csv(
    path: Path,
    columns: Sequence[str],
    separator: str = ",",
    called: Callable[[list[str]], list[str]] = lambda names: names,
) -> pd.DataFrame:
    """Read a table with a header as text, without outer white space.

    An empty field is an empty text.

    Args:
        path: the file, `.gz` or not.
        columns: that it must have.
        separator: of its fields.
        called: from the names of the header to those of the columns.

    Raises:
        ProbeError: the file cannot be read, lacks one of `columns`, has two of one name, or a line
            has more or fewer fields than the header.
    """
    import pandas as pd

    try:
        with open_text(path) as lines:
            rows = separated_rows(lines, separator)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        advice = ". Save it as UTF-8" if isinstance(error, UnicodeError) else ""
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error}){advice}") from None
    if not rows:
        raise ProbeError(
            f"{path}: is empty. Expected a header with "
            f"{','.join(columns)}, and a line for each utterance"
        )
    header = fit(rows.pop(min(rows)), 1)
    # as pandas calls an index without a name
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    table = with_columns(pd.DataFrame(columns=called(names), dtype=str), columns, path)
    for line, row in rows.items():
        rows[line] = fit(row, len(names))
        if len(rows[line]) != len(names):
            raise ProbeError(
                f"{path}, line {line}: {len(row)} fields; expected {len(names)} as in the "
                "header. Mend the line; a field with a separator in it is put in quotation marks"
            )
    return pd.DataFrame(list(rows.values()), columns=table.columns, dtype=str)


def with_columns(table: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """The table, if it has the columns; a ProbeError names the first that it lacks.

    It also names one that is there twice.
    """
    names = [str(name) for name in table.columns]
    if (twice := first_double(names)) is not None:
        raise ProbeError(f"{path}: two columns are called {twice!r}. Give one of them another name")
    missing = [column for column in columns if column not in names]
    if missing:
        others = [mark for mark in SEPARATORS if mark in names[0] and len(names) == 1]
        advice = (
            f". Its fields are separated by {SEPARATORS[others[0]]}: save it with {_wanted(path)}"
            if others
            else ""
        )
        raise ProbeError(
            f"{path}: no column {missing[0]!r}. Expected {','.join(columns)}; found "
            f"{','.join(names)}{advice}"
        )
    return table


def is_tsv(path: Path) -> bool:
    """Whether a table is taken for tab separated: `x.tsv`, `x.tsv.gz`."""
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def _wanted(path: Path) -> str:
    return "tabs, or name it .csv" if is_tsv(path) else "commas, or with tabs and named .tsv"
