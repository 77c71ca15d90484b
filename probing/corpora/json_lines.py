"""JSON lines: a table with one object a line, as NeMo writes its manifests."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import ProbeError
from probing.corpora.protocol import with_columns
from probing.rows import first_double, open_text, stripped

if TYPE_CHECKING:
    import pandas as pd

EXAMPLE = '{"path": "a.wav", "speaker": "anna"}'


def read_json_lines(
    path: Path, columns: Sequence[str], called: Callable[[list[str]], list[str]]
) -> pd.DataFrame:
    """Read a table of one JSON object a line as text; empty lines do not count.

    A number is written as Python does, a missing value and a key that an object lacks are an empty
    text, lists and objects inside are JSON.

    Args:
        path: the file, `.gz` or not, in UTF-8.
        columns: that it must have.
        called: from the names of all keys, in the order in which they are first met, to those of
            the columns.

    Raises:
        ProbeError: the file cannot be read, a line is no object or has a key twice, or a column is
            missing.
    """
    import pandas as pd

    rows: list[dict[str, str]] = []
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if stripped(line):
                    rows.append(_row(stripped(line), f"{path}, line {number}"))
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        advice = ". Save it as UTF-8" if isinstance(error, UnicodeError) else ""
        raise ProbeError(f"{path}: cannot be read as JSON lines ({error}){advice}") from None
    if not rows:
        raise ProbeError(f"{path}: is empty. Expected a JSON object a line, as {EXAMPLE}")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    header = with_columns(pd.DataFrame(columns=called(keys)), columns, path)
    table = pd.DataFrame({key: [row.get(key, "") for row in rows] for key in keys}, dtype=str)
    return table.set_axis(header.columns, axis=1)


def _row(line: str, where: str) -> dict[str, str]:
    try:
        found = json.loads(line, object_pairs_hook=_Pairs)
        if not isinstance(found, _Pairs):
            raise ValueError(f"found {line[:40]!r}")
        keys = [stripped(key) for key, _ in found]
        if (twice := first_double(keys)) is not None:
            raise ValueError(f"two keys are called {twice!r}")
        return {key: text_of(value) for key, (_, value) in zip(keys, found, strict=True)}
    except (ValueError, RecursionError) as error:
        raise ProbeError(
            f"{where}: no JSON object ({error}). Expected one object a line, as {EXAMPLE}"
        ) from None


class _Pairs(list[tuple[str, Any]]):
    """The keys of an object with their values, doubles too."""


def text_of(value: Any) -> str:
    """A value of JSON, or of a table of values, as a text.

    >>> text_of(7), text_of(0.5), text_of(None), text_of(" a b "), text_of([1, "x"])
    ('7', '0.5', '', 'a b', '[1, "x"]')
    """
    if value is None or value != value:
        return ""
    text = (
        json.dumps(_plain(value), ensure_ascii=False)
        if isinstance(value, (list, dict))
        else stripped(str(value))
    )
    # raises UnicodeEncodeError, a ValueError, on half a surrogate pair, which no table can hold
    text.encode()
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(part) for key, part in value}
    return [_plain(part) for part in value] if isinstance(value, list) else value
