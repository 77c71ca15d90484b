"""Ranking: backbones by their error rate, each with its interval and that of its rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from analysis.plots.axes import new_axes, plain
from analysis.plots.look import look
from analysis.plots.palette import colours_of
from analysis.plots.style import label
from analysis.runs.comparison import Comparison, compare
from probing.runs import Run


def ranking(runs: Sequence[str | Path | Run], ax: Axes | None = None) -> Axes:
    """Compare runs and draw their ranking, see `ranking_picture`.

    >>> ranking(["results/demo.run", "results/random.run"]).get_xlabel()
    'EER on eval (%), bar: 95 %'
    """
    return ranking_picture(compare(runs), ax)


def ranking_picture(found: Comparison, ax: Axes | None = None) -> Axes:
    """The metric with its interval of every backbone, the best on top; its rank with interval
    beside the name.

    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> ranking_picture(found).get_xlabel()
    'EER on eval (%), bar: 95 %'
    """
    ax = ax or new_axes(height=1.8 + 0.5 * len(found.table), by_text=True)
    metric = found.runs[0].metric
    y = np.arange(len(found.table))
    colour_of = colours_of(found.runs.names)
    palette = [colour_of[str(name)] for name in found.table.index]
    ax.hlines(y, found.table["low"], found.table["high"], colors=palette, lw=2)
    ax.scatter(found.table[metric.name], y, c=palette, s=40, zorder=3)
    for row, at in zip(found.table.itertuples(), y, strict=True):
        rank = f"rank {row.rank:.2g} [{row.rank_low:.2g}, {row.rank_high:.2g}]"
        text = (
            f"{plain(row.Index)}: {metric.number(getattr(row, metric.name))} "
            f"{metric.shown_unit}, {rank}"
        )
        ax.annotate(
            text,
            (0.01, at),
            (0, 5),
            ax.get_yaxis_transform(),
            textcoords="offset points",
            va="bottom",
            fontsize=look().legend_pt,
        )
    ax.set_yticks([])
    ax.set_ylim(len(found.table) - 0.5, -0.8)
    ax.set(xlabel=f"{metric.axis_of(' on eval')}, bar: 95 %")
    label(ax, found.runs, resamples=found.resamples)
    return ax
