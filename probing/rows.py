"""Rows of text files: decoded as they were saved, split into fields without white space around."""

import codecs
import csv
import gzip
import io
from pathlib import Path
from typing import TextIO

from cache.bounds import check_text

BYTE_ORDER_MARK = "\ufeff"  # of no width; joining files that begin with it leaves it before a field


def stripped(text: str) -> str:
    """A text without white space, of any kind that Unicode has, at either end, nor byte order marks
    before it.

    >>> stripped("\\ufeff\\xa0A07\\t")
    'A07'
    """
    text = text.strip()
    while text.startswith(BYTE_ORDER_MARK):
        text = text.lstrip(BYTE_ORDER_MARK).strip()
    return text


def open_text(path: Path) -> TextIO:
    """Open a list for reading, `.gz` or not: UTF-8, or UTF-16 where it begins with its mark, as
    Excel saves it.

    Raises:
        OSError, EOFError, zlib.error: it cannot be opened.
        TooLarge: it unpacks to more than can be held.
    """
    check_text(path)
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    binary = opened(path, "rb")
    mark = binary.peek(2)[:2]
    encoding = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    return io.TextIOWrapper(binary, encoding=encoding)


def separated_rows(lines: TextIO, separator: str) -> dict[int, list[str]]:
    """Fields by the number of the line, of a csv or tsv; lines without any field are left out.

    Raises:
        csv.Error: a quotation does not end, or goes on behind its end.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    rows = ((reader.line_num, [stripped(field) for field in row]) for row in reader)
    return {number: row for number, row in rows if any(row)}


def fit(fields: list[str], n: int) -> list[str]:
    """Fields without empty ones beyond the n that a row should have, which separators at the end of
    a line make.
    """
    while len(fields) > n and not fields[-1]:
        fields = fields[:-1]
    return fields


def first_double(names: list[str]) -> str | None:
    """The first name that is there twice."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)
