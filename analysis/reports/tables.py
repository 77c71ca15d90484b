"""Tables of a page: numbers under each other by their decimal point, headings that sort."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import pandas as pd

# as wide as a digit, and as a point
FIGURE_SPACE = "\u2007"
POINT_SPACE = "\u2008"
# an interval stays on one line
NO_BREAK = "\u00a0"
NUMBER = re.compile(r"([-+]?\d+(?:,\d{3})*)((?:\.\d+)?)((?:e[-+]?\d+)?)")
FRAME = re.compile(r"#(?: %| (?:\.\.|of) #| \[#, #\])*")  # numbers alone, or an interval
MANY = 12  # columns, which paper has no room for at their usual size


def table_of(table: pd.DataFrame, form: str = ".1f") -> str:
    """A table in a box that scrolls where it is wider than the screen, without its index.

    Args:
        table: its names and texts are of others, and escaped.
        form: of floats; strengths are written as they are.

    >>> "<table" in table_of(pd.DataFrame({"layer": [1], "EER": [12.5]}))
    True
    """
    columns = [_texts(table.iloc[:, i], form) for i in range(table.shape[1])]
    numeric = [
        any(column) and all(not text or FRAME.fullmatch(NUMBER.sub("#", text)) for text in column)
        for column in columns
    ]
    columns = [
        _aligned(column) if each else column for column, each in zip(columns, numeric, strict=True)
    ]
    sorts = len(table) > 1
    heads = [
        _heading(str(name), each, sorts) for name, each in zip(table.columns, numeric, strict=True)
    ]
    rows = [
        "".join(_cell(text, numeric[i], i) for i, text in enumerate(row))
        for row in zip(*columns, strict=True)
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    many = ' class="many"' if len(columns) > MANY else ""
    return (
        f'<div class="scroll"><table{many}><thead><tr>{"".join(heads)}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _texts(column: pd.Series, form: str) -> list[str]:
    """What stands in the cells of a column."""
    form = "g" if column.name == "strength" else form
    return [
        "" if pd.isna(cell) else f"{cell:{form}}" if isinstance(cell, float) else str(cell)
        for cell in column.tolist()
    ]


def _heading(name: str, numeric: bool, sorts: bool) -> str:
    shown = html.escape(name.replace(" %", f"{NO_BREAK}%"))
    what = ' class="n"' if numeric else ""
    if sorts and name:
        return f'<th scope="col"{what} aria-sort="none"><button type="button">{shown}</button></th>'
    return f'<th scope="col"{what}>{shown}</th>'


def _cell(text: str, numeric: bool, place: int) -> str:
    tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
    what = ' class="n"' if numeric else ""
    return f"<{tag}{scope}{what}>{html.escape(text)}</{tag}>"


def _aligned(column: Sequence[str]) -> list[str]:
    """Cells padded so that their numbers stand under each other.

    They stay as they are unless all hold the same but for the numbers.
    """
    frames = {NUMBER.sub("#", text) for text in column if text}
    if len(frames) != 1:
        return list(column)
    numbers = [NUMBER.findall(text) for text in column]
    n = max(map(len, numbers))
    left = [max(len(found[i][0]) for found in numbers if found) for i in range(n)]
    right = [max(len("".join(found[i][1:])) for found in numbers if found) for i in range(n)]

    def padded(text: str) -> str:
        place = iter(range(n))

        def one(found: re.Match[str]) -> str:
            i = next(place)
            after = found[2] + found[3]
            lacking = right[i] - len(after)
            point = POINT_SPACE if lacking and not after and "." not in after else ""
            # the first is at the right end anyway
            before = FIGURE_SPACE * (left[i] - len(found[1])) if i else ""
            return before + found[0] + point + FIGURE_SPACE * (lacking - len(point))

        return NUMBER.sub(one, text)

    return [padded(text) for text in column]
