"""Heat maps by layer: one scale, texts where they fit, too few trials hatched."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.plots.axes import width_of
from analysis.plots.look import look
from analysis.plots.panels import is_alone
from analysis.plots.saving import figure_of

LOSSES = 60.0  # % of an error rate at which the colours end, if none is higher
LETTER = 0.64  # width of a character, in sizes of the text: of a digit


def layer_map(
    table: pd.DataFrame,
    ax: Axes,
    quantity: str,
    annotations: pd.DataFrame,
    few: Collection[int] = (),
    vmax: float | None = None,
) -> str:
    """A heat map of shares (%) by layer across and something else down, each with its text.

    Cells without a value are hatched. Of texts of two lines the first alone is written in rows
    where both do not fit, and none anywhere where that does not either.

    Args:
        table: a row a line, a column a layer; its index names the rows.
        ax: where to draw.
        quantity: what the colours are.
        annotations: texts of the same shape.
        few: rows that are hatched though they have values.
        vmax: where the colours end; default 60 %, or the highest value if that is more.

    Returns:
        What the small print must say of texts that did not fit; empty where all did.

    >>> from analysis.plots.axes import new_axes
    >>> rates = pd.DataFrame({0: [40.0], 1: [20.0]}, index=["A07"])
    >>> layer_map(rates, new_axes(), "EER (%)", rates.map("{:.0f}".format))
    ''
    """
    values = table.to_numpy(float)
    highest = float(np.nanmax(values)) if np.isfinite(values).any() else LOSSES
    names = max((len(str(name)) for name in table.index), default=0)
    texts, note = that_fit(annotations.fillna("").astype(str), ax, names)
    seaborn.heatmap(
        table.astype(float),
        annot=texts,
        fmt="",
        annot_kws={"fontsize": look().cell_pt},
        cmap="cividis",
        vmin=0,
        vmax=vmax if vmax is not None else max(LOSSES, highest),
        linewidths=0.5 if texts is not None else 0,
        cbar_kws={"label": quantity, "aspect": 30, "pad": 0.02},
        ax=ax,
    )
    hatch(ax, [*few, *np.flatnonzero(np.isnan(values).all(axis=1))], len(table.columns))
    ax.tick_params(axis="y", rotation=0)
    return note


def hatch(ax: Axes, rows: Collection[int], n_columns: int) -> None:
    """Hatch rows of a heat map.

    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> hatch(ax, [0], n_columns=3)
    >>> len(ax.patches)
    1
    """
    for row in rows:
        look_of: dict[str, Any] = {"fill": False, "hatch": "////", "edgecolor": "0.6", "lw": 0}
        ax.add_patch(Rectangle((0, row), n_columns, 1, **look_of))


def beside_cells(names: int) -> float:
    """Inches that stand beside the cells: names of rows, so many characters long, and the colour
    bar with its label.

    >>> beside_cells(10) < beside_cells(20)
    True
    """
    return (0.55 * look().tick_pt * names + 10 * look().font_size) / 72


def that_fit(
    texts: pd.DataFrame, ax: Axes, names: int, below: float = 0.0
) -> tuple[pd.DataFrame | None, str]:
    """The texts of cells, or their first lines, or None where none fit; and what was left out, for
    the small print.

    `names` is how long the names of rows are, `below` how many inches those of columns take of the
    height.

    >>> from analysis.plots.axes import new_axes
    >>> texts = pd.DataFrame([["40", "20"]])
    >>> that_fit(texts, new_axes(), names=5)[1]
    ''
    """
    inches = look().cell_pt / 72
    width = max(
        0.1,
        float(figure_of(ax).get_size_inches()[0]) - beside_cells(names)
        if is_alone(ax)
        else 0.9 * width_of(ax),
    )
    height = max(0.1, float(figure_of(ax).get_size_inches()[1] * ax.get_position().height) - below)
    letters = int(width / texts.shape[1] / (LETTER * inches))
    lines = int(height / texts.shape[0] / (1.15 * inches))
    cells = texts.map(lambda text: text.split("\n"))
    first = cells.map(lambda shown: shown[0])
    if lines < 1 or int(first.map(len).max(axis=None)) > letters:
        return None, "numbers did not fit"
    fits = cells.map(lambda shown: len(shown) <= lines and max(map(len, shown)) <= letters).all(
        axis=1
    )
    note = ""
    if not fits.all():
        which = "" if not fits.any() else f" of {', '.join(map(str, texts.index[~fits]))}"
        note = f"what stands below the numbers{which} did not fit"
    return texts.where(fits, first, axis=0), note
