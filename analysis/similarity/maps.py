"""Pictures of similarity: maps of layers by layers, and curves of layers against targets."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def similarity_map(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a table of `cka` or `pwcca`, layer 0 at the bottom left, on one scale from 0 to 1.

    Args:
        table: (layers x other layers).
        ax: where to draw; default a new figure.
    """
    ax = ax or Figure(figsize=(6.4, 5.6), layout="constrained").subplots()
    picture = ax.pcolormesh(table.columns, table.index, table.to_numpy(), cmap="cividis", vmin=0, vmax=1)
    about = table.attrs
    same = about.get("rows") == about.get("columns")
    ax.set_aspect("equal" if len(table) == len(table.columns) else "auto")
    ax.set_xlabel("layer" if same else f"layer of {about.get('columns')}")
    ax.set_ylabel("layer" if same else f"layer of {about.get('rows')}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.figure.colorbar(picture, ax=ax, label=about.get("measure", ""), shrink=0.85)
    title = about.get("rows", "") if same else "two models"
    ax.set_title(title, loc="left", fontsize=10)
    _stamp(ax, about)
    return ax


def target_curves(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw tables of `cca_with` by layer, by name of the target; bands from the least to the largest of the splits.

    Args:
        tables: name -> table.
        ax: where to draw; default a new figure.
    """
    if ax is None:
        with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
            ax = Figure(figsize=(8, 4.8), layout="constrained").subplots()
    styles = zip(seaborn.color_palette("colorblind"), "osD^vPX*<>", strict=True)
    for (name, table), (colour, marker) in zip(tables.items(), styles, strict=False):
        x = table.index.to_numpy()
        ax.fill_between(x, table["low"], table["high"], color=colour, alpha=0.2, lw=0)
        ax.plot(x, table["value"], color=colour, marker=marker, ms=4, label=name)
    about = next(iter(tables.values())).attrs
    low = min(0.0, *(float(table["low"].min()) for table in tables.values()))
    ax.set(xlabel="layer (0 = input of the first block)", ylabel="projection-weighted CCA", ylim=(low, 1.0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(about.get("rows", ""), loc="left", fontsize=11)
    ax.legend(fontsize=8, frameon=True)
    _stamp(ax, {**about, "how": f"{about.get('how', '')}, band: all splits"})
    return ax


def _stamp(ax: Axes, about: Mapping[str, str]) -> None:
    stamp = "; ".join(filter(None, (about.get("sample"), about.get("how"))))
    ax.annotate(stamp, (0, 0), (0, -38), "axes fraction", textcoords="offset points", fontsize=7, color="0.4")
