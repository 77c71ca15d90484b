"""TextGrids of Praat, long and short, by the grammar of Praat itself.

Praat reads a text file as a row of free-standing numbers, "texts" and <flags>, and passes over
every other word and whatever follows an exclamation mark (Praat manual, "TextGrid file formats");
long and short files are then the same. Readers that look for lines and words, as praatio 6.2 does,
lose or change intervals of valid files: the last one of a short file whose last line does not end,
a minus sign, times such as 5e-05, labels that hold `intervals [`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cache.bounds import MOST_TEXT_BYTES, read_bytes
from cache.errors import argument
from probing.alignments.alignments import AlignmentError, Interval, opened
from probing.rows import stripped

TOKEN = re.compile(
    r"(?<!\S)(?:(?P<comment>![^\r\n]*)"
    r'|"(?P<text>(?:[^"]++|"")*+)"(?!\S)'
    r"|<(?P<flag>[^<>\s]*)>(?!\S)"
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?)(?:!\S*)?(?!\S))"
)
INTERVALS = "IntervalTier"
POINTS = "TextTier"
MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


class _End(Exception):
    """A file ends, or goes on with something else than was expected."""


def read_textgrid(
    path: Path, name: str, tier: str | None, option: str = "tier"
) -> list[Interval] | None:
    """The intervals of one tier.

    Args:
        path: the file: UTF-8, UTF-16 with its mark, or Latin-1, as old versions of Praat wrote it.
        name: of the utterance.
        tier: its name; None for the only tier of intervals.
        option: what messages call `tier`.

    Returns:
        The intervals, those without a label too; None if there is no such tier.

    Raises:
        AlignmentError: not a TextGrid, or cut short; several tiers, and none is named; several of
            this name; a tier of points.
    """
    tiers = list(_tiers(path, name))
    found = [(kind, rows) for kind, title, rows in tiers if title == tier]
    if tier is None:
        found = [(kind, rows) for kind, _, rows in tiers if kind == INTERVALS]
        if len(found) > 1:
            raise AlignmentError(
                f"{path}: has {len(found)} tiers of intervals: {_titles(tiers)}. Name one: "
                f"{argument(option, '...')}"
            )
    if not found:
        return None
    if len(found) > 1:
        raise AlignmentError(
            f"{path}: {len(found)} tiers are called {tier!r}. Rename one in Praat."
        )
    kind, rows = found[0]
    if kind != INTERVALS:
        raise AlignmentError(
            f"{path}: the tier {tier!r} has points, not intervals. It has {_titles(tiers)}"
        )
    return rows


def tier_titles(path: Path) -> str:
    """The names of the tiers of a file, in words."""
    return _titles(list(_tiers(path, "")))


def _titles(tiers: list[tuple[str, str, list[Interval]]]) -> str:
    return ", ".join(repr(title) for _, title, _ in tiers) or "no tier"


def _tiers(path: Path, name: str) -> Iterator[tuple[str, str, list[Interval]]]:
    """Kind, name and intervals of each tier; of a tier of points no intervals."""
    tokens = _tokens(_text(path))
    number = 0
    try:
        if "ooTextFile" not in _next(tokens, "text") or _next(tokens, "text") != "TextGrid":
            raise _End
        _next(tokens, "number"), _next(tokens, "number")
        if _next(tokens, "flag") != "exists":
            return
        for _ in range(_count(tokens)):
            number += 1
            kind = _next(tokens, "text")
            title = _next(tokens, "text")
            _next(tokens, "number"), _next(tokens, "number")
            rows = []
            for place in range(1, _count(tokens) + 1):
                start = _time(tokens)
                end = _time(tokens) if kind == INTERVALS else start
                rows.append(
                    Interval(
                        name, start, end=end, label=stripped(_next(tokens, "text")), place=place
                    )
                )
            if kind not in (INTERVALS, POINTS):
                raise _End
            yield kind, title, rows if kind == INTERVALS else []
    except _End:
        where = f"in tier {number}" if number else "at its beginning"
        raise AlignmentError(
            f"{path}: no TextGrid as Praat writes it ({where}), or cut "
            "short. Save it again from Praat as a text file."
        ) from None


def _text(path: Path) -> str:
    with opened(path):
        content = read_bytes(path, MOST_TEXT_BYTES)
    encoding = next((encoding for mark, encoding in MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise AlignmentError(
                f"{path}: no text of {encoding}, as its first bytes say. Save it again."
            ) from None
        return content.decode("latin-1")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in TOKEN.finditer(text):
        kind = found.lastgroup
        if kind is not None and kind != "comment":
            yield kind, found[kind]


def _next(tokens: Iterator[tuple[str, str]], wanted: str) -> str:
    kind, value = next(tokens, ("", ""))
    if kind != wanted:
        raise _End
    return value.replace('""', '"') if wanted == "text" else value


def _time(tokens: Iterator[tuple[str, str]]) -> float:
    value = _next(tokens, "number")
    return float(value[:-1]) / 100 if value.endswith("%") else float(value)


def _count(tokens: Iterator[tuple[str, str]]) -> int:
    value = _next(tokens, "number")
    if not value.isdigit():
        raise _End
    return int(value)
