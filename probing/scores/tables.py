"""Tables of text as score files and protocols have them: blanks, tabs or csv, header or none.

They may be compressed, as .gz.
"""

import csv
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cache.bounds import TooLarge
from probing.labels import LABELS
from probing.metrics.eer import ScoresError
from probing.metrics.tdcf import KEYS
from probing.rows import BYTE_ORDER_MARK, first_double, fit, open_text, separated_rows, stripped
from probing.scores.names import is_csv

ALIASES = {
    "filename": "utterance_id",
    "utterance": "utterance_id",
    "trial": "utterance_id",
    "file": "utterance_id",
    "cm-score": "score",
    "cm_score": "score",
    "cm-label": "label",
    "cm_label": "label",
    "key": "label",
    "subset": "split",
    "trial_anon": "utterance_id",
    "attack_anon": "attack",
    "asv-label": "asv_label",
    "asv-score": "asv_score",
    "sasv-score": "sasv_score",
}
SCORED = 1000  # lines that decide which column is which


def read_table(
    path: Path,
    what: str,
    forms: Mapping[int, str | tuple[str, ...]],
    needed: tuple[str, ...],
    instead: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Read a table of text; empty lines do not count, nor separators at the end of a line.

    Args:
        path: comma separated if named so, else by tabs if the first line has one, else by white
            space.
        what: is expected there, for messages.
        forms: by number of fields, the columns of files without a header, or several orders of
            them, of which that is taken whose labels are labels and whose scores are numbers;
            columns called `_` are left out.
        needed: columns that make a first line a header, under these names or their aliases.
        instead: columns any of which may be there instead of the last one needed.

    Returns:
        Columns of text; the index is the line of the file.

    Raises:
        ScoresError: the file cannot be read, is empty, or a line, named by its number, is not of
            the form.
    """
    orders = {n: (form,) if isinstance(form, str) else form for n, form in forms.items()}
    forms_known = [f"`{form[0]}`" for form in orders.values()]
    expected = " or ".join([*forms_known, f"a header with {','.join(needed)}"])
    try:
        rows = _rows(path)
    except FileNotFoundError as error:
        raise ScoresError(
            f"{path}: cannot be read as {what} ({error.strerror}). Name a file that is there"
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error, TooLarge) as error:
        why = getattr(error, "strerror", None) or error
        raise ScoresError(
            f"{path}: cannot be read as {what} ({why}). Expected {expected}"
        ) from None
    first = fit(rows.head[0], 1) if rows.lines else []
    names = _header(first, needed, instead)
    skipped = 1 if names else 0
    if (twice := first_double(names)) is not None:
        raise ScoresError(
            f"{path}, line {rows.lines[0]}: column {twice!r} is "
            "there twice; expected one of each name"
        )
    if len(rows.lines) == skipped:
        raise ScoresError(f"{path}: no {what}. Expected {expected}")
    if not names:
        if len(first) not in orders:
            raise ScoresError(
                f"{path}, line {rows.lines[0]}: {len(first)} fields; expected {expected}"
            )
        names = _order(orders[len(first)], [fit(row, len(first)) for row in rows.head], path)
    lines = pd.Index(rows.lines[skipped:])
    columns = zip(names, rows.columns(len(names), skipped, path), strict=True)
    return pd.DataFrame(
        {name: pd.Series(column, lines, dtype=str) for name, column in columns if name != "_"}
    )


def _order(orders: tuple[str, ...], rows: list[list[str]], path: Path) -> list[str]:
    """The one order of columns that the rows fit, by the first row, and where that leaves several,
    by many.
    """
    fitting = [order for order in orders if _fits(order.split(), rows[:1])] or [orders[0]]
    if len(fitting) > 1:
        fitting = [order for order in fitting if _fits(order.split(), rows, names_are_whole=True)]
    if len(fitting) != 1:
        raise ScoresError(
            f"{path}: the order of its {len(rows[0])} columns cannot be told, as two could be "
            "scores or labels. Write a header above them, as 'utterance_id score label'"
        )
    return fitting[0].split()


def _fits(names: list[str], rows: list[list[str]], names_are_whole: bool = False) -> bool:
    """Whether labels are labels and scores are numbers.

    With `names_are_whole` no utterance may have a fraction as its name.
    """
    for name, column in zip(
        names, zip(*(row for row in rows if len(row) == len(names)), strict=True), strict=True
    ):
        if name == "label" and not all(
            field.lower() in LABELS or field in KEYS for field in column
        ):
            return False
        if name == "score" and any(math.isnan(_number(field)) for field in column):
            return False
        if name == "utterance_id" and names_are_whole:
            odd = [
                field
                for field in column
                if not field.isdecimal() and not math.isnan(_number(field))
            ]
            if odd or len(set(column)) < len(column):
                return False
    return True


def with_numbers(
    table: pd.DataFrame, path: Path, column: str = "score", infinite: bool = False
) -> pd.DataFrame:
    """The table with a column of scores as float64; one that is no finite number is refused.

    If asked, `-inf` and `inf` are taken as the lowest and the highest there are.
    """
    scores = pd.Series(_numbers(table[column].tolist()), table.index, dtype="float64")
    wrong = scores.isna() if infinite else ~np.isfinite(scores)
    refuse(table, wrong, column=column, expected="expected a finite number", path=path)
    return table.assign(**{column: scores})


def with_labels(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its labels as `bonafide` or `spoof`, however they were spelled.

    Others are refused.
    """
    labels = table["label"].str.strip().str.lower().map(LABELS)
    refuse(table, labels.isna(), column="label", expected="expected bonafide or spoof", path=path)
    return table.assign(label=labels)


def with_kinds(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its kinds of trials as `target`, `nontarget` or `spoof`, and with labels that
    say the same.
    """
    kinds = table["asv_label"].str.strip().str.lower()
    of_track_2 = (
        table["track_2_tag"].ne("dummy") if "track_2_tag" in table else pd.Series(True, table.index)
    )
    refuse(
        table,
        ~kinds.isin(KEYS) & of_track_2,
        column="asv_label",
        expected=f"expected one of {', '.join(KEYS)}",
        path=path,
    )
    labels = kinds.map({"target": "bonafide", "nontarget": "bonafide", "spoof": "spoof"})
    if "label" in table:
        table = with_labels(table, path)
        refuse(
            table,
            labels.ne(table["label"]) & of_track_2,
            column="label",
            expected="its asv_label says otherwise",
            path=path,
        )
        labels = table["label"]
    return table.assign(asv_label=kinds, label=labels)


def refuse(
    table: pd.DataFrame, wrong: "pd.Series[bool]", column: str, expected: str, path: Path
) -> None:
    """Raise a ScoresError that names the first line at fault, if any is."""
    if wrong.any():
        i = int(wrong.to_numpy().argmax())
        others = f" ({wrong.sum()} such lines)" if wrong.sum() > 1 else ""
        raise ScoresError(
            f"{path}, line {table.index[i]}: {column} {table[column].iloc[i]!r}; "
            f"{expected}{others}. Mend the line, or write the file again"
        )


@dataclass(frozen=True)
class _Rows:
    """Rows of a file.

    lines: their numbers.
    head: the first SCORED.
    fields: all, or none where `words` has them all.

    Most files have as many words in every line. They are kept as one list, as a list a row costs
    most of the time.
    """

    lines: list[int]
    head: list[list[str]]
    fields: list[list[str]]
    words: list[str]

    def columns(self, n: int, skipped: int, path: Path) -> list[list[str]]:
        """The n columns without the first rows; another number of fields in a row is refused."""
        if self.words and len(self.head[0]) == n:
            return [self.words[skipped * n + i :: n] for i in range(n)]
        rows = [
            fit(row, n)
            for row in (self.fields or _in_rows(self.words, len(self.head[0])))[skipped:]
        ]
        for line, row in zip(self.lines[skipped:], rows, strict=True):
            if len(row) != n:
                raise ScoresError(
                    f"{path}, line {line}: {len(row)} fields; expected {n} as in the first. Mend "
                    "the line, or write the file again"
                )
        return [list(column) for column in zip(*rows, strict=True)]


def _in_rows(words: list[str], n: int) -> list[list[str]]:
    return [words[i : i + n] for i in range(0, len(words), n)]


def _rows(path: Path) -> _Rows:
    # Not by pandas: it takes a quotation mark in a name for a quotation, and has no line numbers.
    with open_text(path) as handle:
        if is_csv(path):
            return _of_fields(separated_rows(handle, ","))
        text = handle.read()
    lines = text.split("\n")
    bare = stripped if BYTE_ORDER_MARK in text else str.strip
    if "\t" in bare(next((line for line in lines if bare(line)), "")):
        return _of_fields(
            {
                i: [bare(field) for field in line.split("\t")]
                for i, line in enumerate(lines, 1)
                if bare(line)
            }
        )
    widths = [len(line.split()) for line in lines]
    if len(set(widths) - {0}) != 1 or BYTE_ORDER_MARK in text:
        return _of_fields(
            {i: fields for i, line in enumerate(lines, 1) if (fields := bare(line).split())}
        )
    words = text.split()
    width = max(widths)
    return _Rows(
        [i for i, n in enumerate(widths, 1) if n],
        _in_rows(words[: SCORED * width], width),
        [],
        words,
    )


def _of_fields(rows: dict[int, list[str]]) -> _Rows:
    fields = list(rows.values())
    return _Rows(list(rows), fields[:SCORED], fields, [])


def _header(fields: list[str], needed: tuple[str, ...], instead: tuple[str, ...]) -> list[str]:
    """The columns that a first line names, or none where it is no header.

    A name of ours is taken before an alias.
    """
    names = [field.lower() if field.lower() in needed else field for field in fields]
    for i, name in enumerate(names):
        alias = ALIASES.get(name.lower(), name)
        if name not in needed and alias not in names:
            names[i] = alias
    found = set(names)
    return names if set(needed[:-1]) <= found and found & {needed[-1], *instead} else []


def _numbers(texts: list[str]) -> list[float]:
    """Each text as a number; the common case, that all are plain and finite, at once."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = []
    if values and all(map(math.isfinite, values)) and "_" not in "".join(texts):
        return values
    return [_number(text) for text in texts]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    overflown = math.isinf(value) and any(letter.isdigit() for letter in text)
    return math.nan if overflown or "_" in text else value
