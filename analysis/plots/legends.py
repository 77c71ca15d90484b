"""Legends that hide nothing: between title and axes, in as many columns as there is room for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from analysis.plots.axes import ShownAxes, width_of, write_title
from analysis.plots.look import look
from analysis.plots.saving import figure_of


def legend(ax: Axes, more: Sequence[Patch] = (), **how: Any) -> None:
    """A legend between title and axes, where it hides nothing, in as many columns as there is room
    for.

    Entries that would be wider than the axes are broken. `more` are entries beside those that are
    drawn on the axes.

    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> _ = ax.plot([1, 2], label="layer")
    >>> legend(ax)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['layer']
    """
    handles, texts = ax.get_legend_handles_labels()
    handles, texts = [*handles, *more], [*texts, *(str(entry.get_label()) for entry in more)]
    if not handles:
        return
    points = look().legend_pt
    texts, widths = entries(texts, points, 1.05 * width_of(ax))
    n_columns = columns_for(widths, 1.1 * width_of(ax))
    look_of: dict[str, Any] = {
        "fontsize": points,
        "ncols": n_columns,
        "frameon": False,
        "labelspacing": 0.25,
        "alignment": "left",
    }
    place: dict[str, Any] = {"bbox_to_anchor": (0, 1.0), "borderaxespad": 0.3, "borderpad": 0.1}
    if n_columns == 1 or look().is_paper:
        place["handlelength"] = 1.6
    shown = ax.legend(
        handles, texts, loc="lower left", title_fontsize=points, **{**place, **look_of, **how}
    )
    per_column = -(-len(texts) // n_columns)
    n_lines = max(
        sum(1 + text.count("\n") for text in texts[at : at + per_column])
        for at in range(0, len(texts), per_column)
    )
    n_lines += bool(shown.get_title().get_text())
    pad = 6 + 1.4 * points * n_lines
    write_title(ax, ax.get_title(loc="left"), fontsize=look().title_pt, pad=pad)
    # so narrow that the legend would take the room of data
    if look().width is not None and isinstance(ax, ShownAxes):
        figure = figure_of(ax)
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + max(0.0, pad / 72 - 0.15 * height))


def entries(texts: Sequence[str], points: float, room: float) -> tuple[list[str], list[float]]:
    """The texts of a legend, broken where they are wider than the room, and their widths.

    >>> entries(["EER by layer"], points=8.0, room=6.0)[0]
    ['EER by layer']
    """
    letter = 0.52 * points / 72
    handle = 0.6 * points / 8
    most = max(12, int((room - handle) / letter))
    broken = [
        textwrap.fill(text, most, subsequent_indent="  ") if len(text) > most else text
        for text in texts
    ]
    return broken, [letter * max(map(len, text.split("\n"))) + handle for text in broken]


def columns_for(widths: Sequence[float], room: float) -> int:
    """The most columns, filled one after the other, that entries of these widths leave room for.

    >>> columns_for([1.0, 1.0, 1.0, 1.0], room=2.5)
    2
    """
    for n in range(len(widths), 1, -1):
        n_lines, longer = divmod(len(widths), n)
        ends = list(accumulate([n_lines + (i < longer) for i in range(n)]))
        columns = [widths[first:last] for first, last in zip([0, *ends], ends, strict=False)]
        if sum(max(column) for column in columns) <= room:
            return n
    return 1
