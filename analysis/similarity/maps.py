"""Pictures of similarity: maps of layers by layers, and curves of layers against targets."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.plots.axes import MARKERS, colours, dress, new_axes, plain, whole_numbers, width_of
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.saving import figure_of
from analysis.plots.style import small_print, titled

MOST_NUMBERS = 16  # layers; more, and the figures in the cells cannot be read
WIDTH_OF_NUMBERS = 5.0  # inches that so many need


def similarity_map(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a table of `cka` or `pwcca`, layer 0 at the bottom left, on one scale from 0 (or what is
    below it) to 1.

    Args:
        table: (layers x other layers).
        ax: where to draw; default a new figure.

    >>> from cache import Cache
    >>> from analysis import cka
    >>> similarity_map(cka(Cache("results/demo.cache"))).get_xlabel()
    'layer'
    """
    ax = ax or new_axes(height=5.8, width=6.6)
    about = table.attrs
    lowest = min(0.0, float(np.nanmin(table.to_numpy())))  # unbiased estimates may be below 0
    picture = ax.pcolormesh(
        table.columns, table.index, table.to_numpy(), cmap="cividis", vmin=lowest, vmax=1
    )
    ax.grid(False)
    if max(table.shape) <= MOST_NUMBERS * width_of(ax) / WIDTH_OF_NUMBERS:
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            text = f"{value:z.2f}".replace("0.", ".")
            at = (table.columns[column], table.index[row])
            shade = "white" if value < 0.6 else "black"
            ax.annotate(text, at, ha="center", va="center", fontsize=look().cell_pt, color=shade)
    same = about.get("rows") == about.get("columns")
    wide = max(24, int(10 * width_of(ax)))
    ax.set_aspect("equal" if len(table) == len(table.columns) else "auto")
    across, up = (
        ("layer", "layer")
        if same
        else (f"layer of {about.get(name)}" for name in ("columns", "rows"))
    )
    ax.set_xlabel(plain(textwrap.fill(across, wide)))
    ax.set_ylabel(
        plain(
            textwrap.fill(
                up,
                max(
                    24,
                    int(9 * float(figure_of(ax).get_size_inches()[1] * ax.get_position().height)),
                ),
            )
        )
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.figure.colorbar(picture, ax=ax, label=about.get("measure", ""), shrink=0.85)
    title = about.get("rows", "") if same else f"{about.get('measure', 'similarity')} of two models"
    titled(ax, title)
    dress(ax)
    _stamp(ax, about, title, 38 + 13 * ax.get_xlabel().count("\n"))
    return ax


def target_curves(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw tables of `cca_with` by layer; bands from the least to the largest split.

    Args:
        tables: name -> table.
        ax: where to draw; default a new figure.

    >>> from cache import Cache
    >>> from analysis import cca_with
    >>> of_layers = cca_with(Cache("results/demo.cache"), "trivial", splits=3)
    >>> target_curves({"trivial": of_layers}).get_xlabel()
    'layer (0 = input of the first block)'
    """
    ax = ax or new_axes()
    for i, (name, table) in enumerate(tables.items()):
        colour = colours(len(tables))[i]
        marker = MARKERS[i % len(MARKERS)]
        x = table.index.to_numpy()
        ax.fill_between(x, table["low"], table["high"], color=colour, alpha=0.2, lw=0)
        ax.plot(x, table["value"], color=colour, marker=marker, ms=4, label=plain(name))
    about = next(iter(tables.values())).attrs
    low = min(0.0, *(float(table["low"].min()) for table in tables.values()))
    ax.set(
        xlabel="layer (0 = input of the first block)",
        ylabel="projection-weighted CCA",
        ylim=(low, 1.0),
    )
    whole_numbers(ax)
    title = titled(ax, about.get("rows", ""))
    dress(ax)
    legend(ax)
    _stamp(
        ax,
        {
            **about,
            "how": f"{about.get('how', '')}, band: from the least to the largest of the splits",
        },
        title,
    )
    return ax


def _stamp(ax: Axes, about: Mapping[str, str], title: str, below: float = 38) -> None:
    text = "; ".join(filter(None, (about.get("sample"), about.get("how"))))
    small_print(ax, title, lines=[text], inches=width_of(ax), below=below)
