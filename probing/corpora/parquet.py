"""Parquet tables from anywhere: plain names of columns, an index as a column, texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.bounds import read_arrow
from cache.errors import ProbeError
from probing.corpora.protocol import with_columns
from probing.rows import stripped

if TYPE_CHECKING:
    import pyarrow as pa

NAMELESS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet_columns(
    path: Path,
    columns: Sequence[str],
    called: Callable[[list[str]], list[str]] = lambda names: names,
) -> dict[str, list[Any]]:
    """Column -> its values: texts without outer white space, numbers, None if missing.

    Args:
        path: of the table.
        columns: that it must have.
        called: gives columns their names, as `read_csv` has it.

    Raises:
        ProbeError: it cannot be read, lacks a column, has one twice, or bytes that are no text.
    """
    import pandas as pd
    import pyarrow as pa

    # Not by pandas: it drops the index, and makes 7.0 of 7 where another value of the column is
    # missing.
    try:
        table = read_arrow(path)
        names = called([stripped(name) for name in table.column_names])
        kept = [i for i, name in enumerate(names) if not NAMELESS_INDEX.fullmatch(name)]
        with_columns(pd.DataFrame(columns=[names[i] for i in kept]), columns, path)
        return {names[i]: _values(table.column(i)) for i in kept}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        if isinstance(error, ProbeError):
            raise
        raise ProbeError(f"{path}: cannot be read as {path.suffix} ({error})") from None


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if (
        pa.types.is_binary(column.type)
        or pa.types.is_large_binary(column.type)
        or pa.types.is_string(column.type)
    ):
        column.validate(full=True)
        column = column.cast(pa.large_string())  # raises if its bytes are no text
    values = (None if value is None or value != value else value for value in column.to_pylist())
    return [stripped(value) if isinstance(value, str) else value for value in values]
