"""Ways to spoil a file: its bytes, the values of its JSON, the cells of its table; alike for the
same seed.
"""

import json
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NASTY = [
    *(
        b"\x00",
        b"\x1b[31m",
        b"\xff\xfe",
        b"\xf0\x9f",
        b"\r",
        b"\n",
        b'"',
        b"'",
        b",",
        b"\t",
        b" ",
        b"\x85",
        b"\xe2\x80\xa8",
    ),
    *(
        b"../../x",
        b"/etc/passwd",
        b"-1",
        b"1e999",
        b"nan",
        b"null",
        b"9" * 30,
        b"9" * 5000,
        b"[" * 3000,
        b"{",
        b"}",
    ),
]
VALUES: list[Callable[[], Any]] = [
    *(
        lambda value=value: value
        for value in (None, True, -1, 0, 3, 2.5, 1e308, float("nan"), 10**30, 2**40, "", "x")
    ),
    *(
        lambda text=text: text
        for text in ("../../x", "/etc/passwd", "\x00", "\ud800", "embedded", "x" * 10_000)
    ),
    *(list, dict, lambda: [None], lambda: {"x": 1}, lambda: [[]] * 50),
]
CELLS = [
    -1,
    0,
    1,
    7,
    2**31,
    2**40,
    2**62,
    -(2**62),
    2.5,
    float("nan"),
    None,
    "",
    "x",
    "../../x",
    "\x00",
    "bonafide",
]


def spoil_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip, cut, repeat and insert, once or a few times."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        at, n = chance.randrange(len(content) + 1), chance.choice([1, 1, 2, 8, 64])
        how = chance.randrange(6)
        if how == 0 and content:
            at = min(at, len(content) - 1)
            content = (
                content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
            )
        elif how == 1:
            content = content[:at] + chance.choice(NASTY) + content[at:]
        elif how == 2:
            content = content[:at] + content[at + n :]
        elif how == 3:
            content = content[:at]
        elif how == 4:
            content = content[:at] + chance.randbytes(n) + content[at + n :]
        else:
            content = (
                content[:at] + content[at : at + n] * chance.choice([2, 9]) + content[at + n :]
            )
    return content


def spoil_json(value: Any, chance: random.Random) -> Any:
    """Replace, drop or add something somewhere in a JSON value."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.choice([1, 1, 1, 3])):
        parent, key = _somewhere(value, chance)
        if parent is None:
            continue
        how = chance.randrange(4)
        if how == 0:
            del parent[key]
        elif how == 1 and isinstance(parent, dict):
            parent[chance.choice(["x", "", "file", "../x"])] = chance.choice(VALUES)()
        else:
            parent[key] = chance.choice(VALUES)()
    return value


def _somewhere(value: Any, chance: random.Random) -> tuple[Any, Any]:
    found: list[tuple[Any, Any]] = []

    def walk(parent: Any) -> None:
        items = (
            parent.items()
            if isinstance(parent, dict)
            else enumerate(parent)
            if isinstance(parent, list)
            else ()
        )
        for key, child in items:
            found.append((parent, key))
            walk(child)

    walk(value)
    return chance.choice(found) if found else (None, None)


def spoil_table(content: bytes, chance: random.Random) -> bytes:
    """Change cells, columns or types of a parquet file."""
    table = pq.read_table(pa.BufferReader(content)).to_pandas()
    for _ in range(chance.choice([1, 1, 2])):
        column = chance.choice(list(table.columns)) if len(table.columns) else "x"
        how = chance.randrange(7)
        if how == 0:
            table = table.drop(columns=column, errors="ignore")
        elif how == 1:
            table = table.rename(columns={column: chance.choice(["x", "row", "", "label"])})
        elif how == 2:
            table[column] = pd.Series(
                [chance.choice(CELLS)] * len(table), table.index, object
            ).astype("string")
        elif how == 3 and len(table):
            table = table.iloc[
                [chance.randrange(len(table)) for _ in range(len(table))]
            ].reset_index(drop=True)
        elif how == 4:
            table[column] = [[1, 2]] * len(table)
        elif len(table) and column in table:
            cells = list(table[column])
            cells[chance.randrange(len(cells))] = chance.choice(CELLS)
            table[column] = cells
    try:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink)
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError):
        return spoil_bytes(content, chance)  # no such table can be written
    return bytes(sink.getvalue().to_pybytes())
