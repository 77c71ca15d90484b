"""Data frames as LaTeX and Markdown that show every name as it is."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cache.atomic import replaced
from cache.errors import ProbeError
from probing.console import visible

SUFFIXES = (".csv", ".tex", ".md")
NUMBER = re.compile(r"\s*[-+<]?\s*\d")  # how the text of a number begins
NO_NUMBER = ("not measured", "none shown", "by fold")
MINUS = re.compile(r"(?<![\w.)\]-])-(?=\.?\d)")
POWER = re.compile(r"(?:1(?=e)|(\d[\d.]*))e([+-])0*(\d+)")  # 1e-05
# a line of LaTeX's article at 10 pt, the narrowest of one column that a table is likely to stand in
LINE_PT = 345.0
LETTER_PT = 4.8  # of Computer Modern at 10 pt on average
GAPS_PT = 12.0, 8.0  # two times \tabcolsep, as it is and in wide tables
# widths of letters
SIZES = {"": 1.0, r"\small": 0.93, r"\footnotesize": 0.86, r"\scriptsize": 0.79}
PAGE_ROWS = 50
LAST_OF_PDFTEX = "\u024f"  # the last letter of extended Latin, which pdfLaTeX knows
# [ and * would be taken for options of the line break before them
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "²": r"\textsuperscript{2}",
    "⁹": r"\textsuperscript{9}",
    "τ": r"$\tau$",
    "–": "--",
    "…": r"\ldots{}",
    "−": "$-$",
    "\n": " ",
    "\t": " ",
}


def save_table(
    table: pd.DataFrame, path: str | Path, title: str = "", shown: pd.DataFrame | None = None
) -> Path:
    """Write a table as .csv with every digit, or as .tex or .md as people read it.

    The file is written whole or not at all.

    Args:
        table: without an index of its own; `reset_index()` brings one into columns.
        path: its suffix says what is written.
        title: a line above a table in LaTeX (a comment) or Markdown.
        shown: texts to be written instead as .tex and .md; default `with_intervals` of the table.

    Raises:
        ProbeError: another suffix, or a folder that cannot be written to.

    >>> from analysis import load, save_table
    >>> save_table(load("results/demo.run").layers, "layers.tex").name
    'layers.tex'
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ProbeError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if path.suffix == ".csv":
        text = table.to_csv(index=False)
    else:
        written = as_latex if path.suffix == ".tex" else as_markdown
        text = written(with_intervals(table) if shown is None else shown, title)
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """A table as texts, in which figures stand with their interval, as `12.5 [10.0, 15.1]`.

    Ends are columns of the name of the figure and `low`, `high`, as `eer`, `eer_low`, `eer_high`;
    or columns `low` and `high` after the one of the figure.

    >>> with_intervals(
    ...     pd.DataFrame({"layer": [1], "eer": [12.54], "low": [-0.001], "high": [15.0]})
    ... ).loc[0].to_list()
    ['1', '12.5 [0.0, 15.0]']
    """
    names = [str(name) for name in table.columns]
    found: dict[str, pd.Series[str]] = {}
    ends = set()
    for place, name in enumerate(names):
        pairs = _ends(name)
        if names[place + 1 : place + 3] in (["low", "high"], ["min", "max"]):
            pairs.append((names[place + 1], names[place + 2]))
        pair = next((pair for pair in pairs if set(pair) <= set(names)), None)
        column = table.iloc[:, place]
        if pair is None:
            found[name] = _texts(column)
            continue
        ends |= set(pair)
        three = [column, table[pair[0]], table[pair[1]]]
        digits = _digits(three)
        texts = [
            _interval(value, low, high, digits) for value, low, high in zip(*three, strict=True)
        ]
        found[name] = pd.Series(texts, index=table.index, dtype=object)
    return pd.DataFrame({name: values for name, values in found.items() if name not in ends})


def _ends(name: str) -> list[tuple[str, str]]:
    """What the columns of the ends may be called: `eer low %` of `eer %`, `eer_low` of `eer`."""
    stem, percent = (name[:-2], " %") if name.endswith(" %") else (name, "")
    return [(f"{stem}{joint}low{percent}", f"{stem}{joint}high{percent}") for joint in "_ "]


def _digits(columns: list[pd.Series[Any]]) -> int:
    """Digits behind the point, the same for a whole column: 1 of what is in per cent, else 3."""
    values = pd.concat(columns)
    if values.dtype == object:
        return 0
    return 1 if values.abs().max() >= 2 else 3


def _interval(value: Any, low: Any, high: Any, digits: int) -> str:
    if any(isinstance(cell, str) for cell in (value, low, high)):
        return f"{value} [{low}, {high}]" if low and high else str(value)
    if pd.isna(value):
        return ""
    if pd.isna(low) or pd.isna(high):
        return f"{value:z.{digits}f}"
    return f"{value:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def _texts(column: pd.Series[Any]) -> pd.Series[str]:
    """Four digits of the largest number, and as many behind the point of all; of each its own where
    that blurs one.
    """
    numbers = [value for value in column if isinstance(value, float) and math.isfinite(value)]
    bare = [f"{value:.4g}" for value in numbers]
    behind = max((len(text.partition(".")[2]) for text in bare), default=0)
    largest = max(map(abs, numbers), default=0.0)
    behind = min(behind, max(0, 3 - math.floor(math.log10(largest)))) if largest else 0
    blurs = any(abs(round(value, behind) - value) > 0.1 * abs(value) for value in numbers)
    form = "z.4g" if blurs or any("e" in text for text in bare) else f"z.{behind}f"

    def text_of(value: Any) -> str:
        if isinstance(value, str):
            return value
        if pd.isna(value):
            return ""
        return format(value, form) if isinstance(value, float) else str(value)

    return column.map(text_of)


def as_latex(table: pd.DataFrame, title: str = "") -> str:
    r"""A `tabular` with the rules of booktabs, and a comment of what its preamble needs.

    One that is wider than a line lacks columns without any value, which a comment names; has its
    heads in several lines; and smaller letters if need be.

    >>> print(as_latex(pd.DataFrame({"head": ["a_b & c"], "EER (%)": ["-0.3 [-1.0, 0.2]"]})))
    % Needs \usepackage{booktabs} in the preamble.
    \begin{tabular}{lr}
    \toprule
    head & EER (\%) \\
    \midrule
    a\_b \& c & $-$0.3 {[}$-$1.0, 0.2] \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    texts = _as_texts(table)
    notes = [r"% Needs \usepackage{booktabs} in the preamble."]
    everything = "".join([*map(str, texts.columns), *texts.to_numpy().ravel()])
    if any(letter > LAST_OF_PDFTEX and letter not in SPECIAL for letter in visible(everything)):
        notes.append(
            "% Has letters that LuaLaTeX or XeLaTeX set with a font "
            "that has them, and pdfLaTeX does not."
        )
    if len(texts) > PAGE_ROWS:
        notes.append(
            f"% {len(texts)} rows, more than a page holds: longtable "
            r"(\usepackage{longtable}) breaks them."
        )
    is_wide = _points(texts, texts.columns) > LINE_PT
    begin, end = [], []
    if is_wide and (empty := _empty(texts)):
        texts = texts.drop(columns=empty)
        names = ", ".join(map(visible, empty))
        notes.append(f"% Columns without any value are left out: {names}")
    numbers = [_is_numeric(texts.iloc[:, i]) for i in range(texts.shape[1])]
    heads = [_escaped(str(name), False) for name in texts.columns]
    if is_wide:
        broken = [_broken(str(name), texts.iloc[:, i]) for i, name in enumerate(texts.columns)]
        heads = [_stacked(name, is_number) for name, is_number in zip(broken, numbers, strict=True)]
        sizes = {size: _points(texts, broken, share, GAPS_PT[1]) for size, share in SIZES.items()}
        size = next((size for size, points in sizes.items() if points <= LINE_PT), r"\scriptsize")
        begin = [rf"\begingroup{size}\setlength{{\tabcolsep}}{{{GAPS_PT[1] / 2:g}pt}}"]
        end = [r"\endgroup"]
        if sizes[size] > LINE_PT:
            notes.append(
                f"% About {sizes[size] / 72:.0f} inches wide: leave columns out, or turn the page."
            )
    lines = [
        *notes,
        *([f"% {' '.join(visible(title).split())}"] if title else []),
        *begin,
        rf"\begin{{tabular}}{{{''.join('r' if is_number else 'l' for is_number in numbers)}}}",
        r"\toprule",
        rf"{' & '.join(heads)} \\",
        r"\midrule",
    ]
    for row in texts.itertuples(index=False, name=None):
        cells = [_escaped(text, is_number) for text, is_number in zip(row, numbers, strict=True)]
        lines.append(rf"{' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *end, ""])


def _as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the texts that are shown."""
    if not len(table.columns):
        return table
    return pd.concat([_texts(column) for _, column in table.items()], axis=1)


def _empty(texts: pd.DataFrame) -> list[str]:
    """Columns without any value, if others have some."""
    filled = (texts != "").any()
    return list(texts.columns[~filled]) if filled.any() else []


def _points(
    texts: pd.DataFrame, names: Iterable[Any], share: float = 1.0, gap: float = GAPS_PT[0]
) -> float:
    """About how wide a table is set; lines of a name stand one below the other."""
    letters = [
        max(map(len, [*texts.iloc[:, i], *str(name).split("\n")])) for i, name in enumerate(names)
    ]
    return LETTER_PT * share * sum(letters) + gap * len(letters)


def _broken(name: str, cells: pd.Series[str]) -> str:
    """The head of a column in lines that are no wider than its cells, if its words are not."""
    return textwrap.fill(name, max(1, *map(len, [*cells, *name.split()])), break_on_hyphens=False)


def _stacked(name: str, is_number: bool) -> str:
    """The lines of a head, one below the other."""
    lines = [_escaped(line, False) for line in name.split("\n")]
    side = "r" if is_number else "l"
    stack = r" \\ ".join(lines)
    return (
        stack
        if len(lines) == 1
        else rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{stack}\end{{tabular}}"
    )


def _escaped(text: str, is_number: bool) -> str:
    shown = "".join(SPECIAL.get(letter, letter) for letter in visible(text))
    return POWER.sub(_power, MINUS.sub("$-$", shown)) if is_number else shown


def _power(found: re.Match[str]) -> str:
    """A number such as 3e-05 as powers of ten are set."""
    digits, sign, power = found.groups()
    times = rf"{digits} \times " if digits else ""
    return rf"${times}10^{{{sign.replace('+', '')}{power}}}$"


def as_markdown(table: pd.DataFrame, title: str = "") -> str:
    """A table of Markdown, as GitHub shows it, without columns that have no value.

    >>> print(as_markdown(pd.DataFrame({"head": ["a|b"], "EER (%)": [12.5]})))
    | head | EER (%) |
    |---|---:|
    | a\\|b | 12.5 |
    <BLANKLINE>
    """
    texts = _as_texts(table)
    texts = texts.drop(columns=_empty(texts))
    numbers = [_is_numeric(texts.iloc[:, i]) for i in range(texts.shape[1])]
    lines = [f"{_marked(title)}\n"] if title else []
    rows: list[tuple[Any, ...]] = [
        tuple(map(str, texts.columns)),
        *texts.itertuples(index=False, name=None),
    ]
    lines += [f"| {' | '.join(map(_marked, row))} |" for row in rows]
    lines.insert(
        len(lines) - len(texts),
        f"|{'|'.join('---:' if is_number else '---' for is_number in numbers)}|",
    )
    return "\n".join([*lines, ""])


def _marked(text: str) -> str:
    """A text that Markdown and the HTML in it leave alone."""
    shown = (
        " ".join(visible(text).split())
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
    return re.sub(r"([\\`*_|~$]|\[(?=[^\]]*\]\())", r"\\\1", shown)


def _is_numeric(texts: pd.Series[str]) -> bool:
    """Whether a column is of numbers, with intervals or without; cells may be empty, or say why
    there is none.
    """
    there = [text for text in texts if text.strip() and text not in NO_NUMBER]
    return bool(there) and all(NUMBER.match(text) for text in there)
