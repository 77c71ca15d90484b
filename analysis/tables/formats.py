"""Data frames as LaTeX and Markdown: whatever is in names, the text compiles and shows them as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from cache.atomic import replaced
from cache.errors import ProbeError
from probing.console import visible

SUFFIXES = (".csv", ".tex", ".md")
NUMBER = re.compile(r"\s*[-+<]?\s*\d")  # how the text of a number begins
MINUS = re.compile(r"(?<![\w.)\]-])-(?=\.?\d)")
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


def save_table(table: pd.DataFrame, path: str | Path, title: str = "", shown: pd.DataFrame | None = None) -> Path:
    """Write a table as .csv with every digit, or as .tex or .md as people read it, whole or not at all.

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
    """A table as texts, in which figures stand with the ends of their interval, as `12.5 [10.0, 15.1]`.

    Ends are columns of the name of the figure and `low`, `high`, as `eer`, `eer_low`, `eer_high`; or columns `low` and
    `high` after the one of the figure.

    >>> with_intervals(pd.DataFrame({"layer": [1], "eer": [12.54], "low": [-0.001], "high": [15.0]})).loc[0].to_list()
    ['1', '12.5 [0.0, 15.0]']
    """
    names = [str(name) for name in table.columns]
    found: dict[str, pd.Series[str]] = {}
    ends = set()
    for place, name in enumerate(names):
        pairs = _ends(name)
        if names[place + 1 : place + 3] in (["low", "high"], ["min", "max"]):
            pairs.append((names[place + 1], names[place + 2]))
        pair = next((one for one in pairs if set(one) <= set(names)), None)
        column = table.iloc[:, place]
        if pair is None:
            found[name] = column.map(_text)
            continue
        ends |= set(pair)
        three = [column, table[pair[0]], table[pair[1]]]
        digits = _digits(three)
        texts = [_interval(value, low, high, digits) for value, low, high in zip(*three, strict=True)]
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
    if any(isinstance(one, str) for one in (value, low, high)):
        return f"{value} [{low}, {high}]" if low and high else str(value)
    if pd.isna(value):
        return ""
    if pd.isna(low) or pd.isna(high):
        return f"{value:z.{digits}f}"
    return f"{value:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return f"{value:z.4g}" if isinstance(value, float) else str(value)


def as_latex(table: pd.DataFrame, title: str = "") -> str:
    r"""A `tabular` with the rules of booktabs, and a comment of what its preamble needs.

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
    texts = table.map(_text)
    needs = [r"% Needs \usepackage{booktabs} in the preamble."]
    everything = "".join([*map(str, texts.columns), *texts.to_numpy().ravel()])
    if any(letter > LAST_OF_PDFTEX and letter not in SPECIAL for letter in visible(everything)):
        needs.append("% Has letters that LuaLaTeX or XeLaTeX set with a font that has them, and pdfLaTeX does not.")
    numbers = [_is_numeric(texts.iloc[:, i]) for i in range(texts.shape[1])]
    lines = [
        *needs,
        *([f"% {' '.join(visible(title).split())}"] if title else []),
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in numbers)}}}",
        r"\toprule",
        rf"{' & '.join(_escaped(str(name), False) for name in texts.columns)} \\",
        r"\midrule",
    ]
    for row in texts.itertuples(index=False, name=None):
        cells = [_escaped(text, is_number) for text, is_number in zip(row, numbers, strict=True)]
        lines.append(rf"{' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escaped(text: str, is_number: bool) -> str:
    shown = "".join(SPECIAL.get(letter, letter) for letter in visible(text))
    return MINUS.sub("$-$", shown) if is_number else shown


def as_markdown(table: pd.DataFrame, title: str = "") -> str:
    """A table of Markdown, as GitHub shows it.

    >>> print(as_markdown(pd.DataFrame({"head": ["a|b"], "EER (%)": [12.5]})))
    | head | EER (%) |
    |---|---:|
    | a\\|b | 12.5 |
    <BLANKLINE>
    """
    texts = table.map(_text)
    numbers = [_is_numeric(texts.iloc[:, i]) for i in range(texts.shape[1])]
    lines = [f"{_marked(title)}\n"] if title else []
    rows: list[tuple[Any, ...]] = [tuple(map(str, texts.columns)), *texts.itertuples(index=False, name=None)]
    lines += [f"| {' | '.join(map(_marked, row))} |" for row in rows]
    lines.insert(len(lines) - len(texts), f"|{'|'.join('---:' if one else '---' for one in numbers)}|")
    return "\n".join([*lines, ""])


def _marked(text: str) -> str:
    """A text that Markdown and the HTML in it leave alone."""
    shown = " ".join(visible(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_|~]|\[(?=[^\]]*\]\())", r"\\\1", shown)


def _is_numeric(texts: pd.Series[str]) -> bool:
    """Whether a column is of numbers, with intervals or without; one of the cells may be empty."""
    there = [text for text in texts if text.strip()]
    return bool(there) and all(NUMBER.match(text) for text in there)
