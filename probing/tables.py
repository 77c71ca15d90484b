"""Tables of text in the forms of score files and protocols: white space, tabs or csv, with a header or without; .gz."""

import csv
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cache.bounds import TooLarge, open_text
from probing.corpora.corpus import LABELS
from probing.metrics.eer import ScoresError

ALIASES = {
    "filename": "utterance_id", "utterance": "utterance_id", "trial": "utterance_id", "file": "utterance_id",
    "cm-score": "score", "cm_score": "score", "cm-label": "label", "cm_label": "label",
    "key": "label", "subset": "split",
}  # fmt: skip


def is_csv(path: Path) -> bool:
    """Whether a file is taken for comma separated: `x.csv`, `x.csv.gz`."""
    return path.name.lower().removesuffix(".gz").endswith(".csv")


def read_table(path: Path, what: str, forms: Mapping[int, str], needed: tuple[str, ...]) -> pd.DataFrame:
    """Read a table of text; empty lines do not count.

    Args:
        path: comma separated if named so, else by tabs if the first line has one, else by white space.
        what: is expected there, for messages.
        forms: by number of fields, the columns of files without a header; those called `_` are left out.
        needed: columns that make a first line a header, under these names or their aliases.

    Returns:
        Columns of text; the index is the line of the file.

    Raises:
        ScoresError: the file cannot be read, is empty, or a line, named by its number, is not of the form.
    """
    expected = " or ".join([*(f"`{form}`" for form in forms.values()), f"a header with {','.join(needed)}"])
    try:
        rows = _rows(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, TooLarge) as error:
        raise ScoresError(f"{path}: cannot be read as {what} ({error}). Expected {expected}") from None
    names = _header(next(iter(rows.values()), []), needed)
    if names:
        line = next(iter(rows))
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise ScoresError(f"{path}, line {line}: column {twice[0]!r} is there twice; expected one of each name")
        del rows[line]
    if not rows:
        raise ScoresError(f"{path}: no {what}. Expected {expected}")
    first, fields = next(iter(rows.items()))
    if not names:
        if len(fields) not in forms:
            raise ScoresError(f"{path}, line {first}: {len(fields)} fields; expected {expected}")
        names = forms[len(fields)].split()
    for line, fields in rows.items():
        if len(fields) != len(names):
            raise ScoresError(
                f"{path}, line {line}: {len(fields)} fields; expected {len(names)} as in the first. Mend the line, or "
                "write the file again"
            )
    columns = zip(names, zip(*rows.values(), strict=True), strict=True)
    kept = {name: pd.Series(column, list(rows), dtype=str) for name, column in columns if name != "_"}
    return pd.DataFrame(kept)


def with_numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its scores as float64; one that is not a finite number is refused."""
    scores = pd.Series([_number(text) for text in table["score"]], table.index, dtype="float64")
    refuse(table, scores.isna(), "score", "expected a finite number", path)
    return table.assign(score=scores)


def with_labels(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its labels as `bonafide` or `spoof`, however they were spelled; others are refused."""
    labels = table["label"].str.strip().str.lower().map(LABELS)
    refuse(table, labels.isna(), "label", "expected bonafide or spoof", path)
    return table.assign(label=labels)


def refuse(table: pd.DataFrame, wrong: "pd.Series[bool]", column: str, expected: str, path: Path) -> None:
    """Raise a ScoresError that names the first line at fault, if any is."""
    if wrong.any():
        i = int(wrong.to_numpy().argmax())
        others = f" ({wrong.sum()} such lines)" if wrong.sum() > 1 else ""
        raise ScoresError(
            f"{path}, line {table.index[i]}: {column} {table[column].iloc[i]!r}; {expected}{others}. Mend the line, or "
            "write the file again"
        )


def _rows(path: Path) -> dict[int, list[str]]:
    # Not by pandas: it takes a quotation mark in a name for a quotation, and has no line numbers.
    with open_text(path) as handle:
        if is_csv(path):
            reader = csv.reader(handle, strict=True)
            rows = ((reader.line_num, [field.strip() for field in row]) for row in reader)
            return {number: row for number, row in rows if any(row)}
        lines = {number: line for number, line in enumerate(handle, 1) if line.strip()}
    if "\t" in next(iter(lines.values()), ""):
        return {number: [field.strip() for field in line.split("\t")] for number, line in lines.items()}
    return {number: line.split() for number, line in lines.items()}


def _header(fields: list[str], needed: tuple[str, ...]) -> list[str]:
    """The columns that a first line names, or none where it is no header. A name of ours is taken before an alias."""
    names = [field.lower() if field.lower() in needed else field for field in fields]
    for i, name in enumerate(names):
        alias = ALIASES.get(name.lower(), name)
        if name not in needed and alias not in names:
            names[i] = alias
    return names if set(needed) <= set(names) else []


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in text else math.nan
