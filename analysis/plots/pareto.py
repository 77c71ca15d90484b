"""What accuracy costs: EER against multiply-accumulates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.plots.axes import new_axes, plain, whole_rates
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import colours_of, marker_of
from analysis.plots.style import label
from analysis.runs.comparison import compare
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs
from cache import ProbeError
from cache.errors import quoted
from probing.runs import Run
from probing.targets.metrics import METRICS, Metric

CHOSEN: Mapping[str, Any] = {"ms": 8, "lw": 1.2, "capsize": 3}  # how its layer is drawn


def pareto(runs: Sequence[str | Path | Run], ax: Axes | None = None) -> Axes:
    """Compare runs and draw what their accuracy costs, see `pareto_picture`.

    >>> pareto(["results/demo.run", "results/random.run"]).get_xlabel()
    '10⁹ multiply-accumulates for 4 s of audio'
    """
    return pareto_picture(compare(runs).runs, ax)


def pareto_picture(runs: Runs, ax: Axes | None = None) -> Axes:
    """The metric (EER, %) against multiply-accumulates: of every layer; nothing cheaper beats those
    on the line.

    Runs and layers whose costs were not measured cannot be drawn; the legend names them.

    Raises:
        ProbeError: no run has measured costs.

    >>> from analysis.runs.loading import load_many
    >>> pareto_picture(load_many(["results/demo.run", "results/random.run"])).get_ylabel()
    'EER on eval (%)'
    """
    if not any(len(run.costs) for run in runs):
        raise ProbeError(
            "no run has measured costs, so there is nothing to draw EER against. Sweep with "
            "heads where the backbone can be loaded: probe sweep "
            f"{quoted(runs[0].record.cache_folder)} --overwrite"
        )
    ax = ax or new_axes()
    metric = runs[0].metric
    colour_of = colours_of(runs.names)
    points = [
        _draw_run(ax, run, name, colour_of[name])
        for name, run in zip(runs.names, runs, strict=True)
        if len(run.costs)
    ]
    frontier = pareto_frontier(pd.concat(points, ignore_index=True), metric)
    x, y = frontier["gmacs"], frontier[metric.name]
    about = "nothing cheaper is better"
    ax.step(x, y, where="post", color="0.3", lw=1, ls="--", label=about)
    ax.errorbar([], [], [], color="0.4", marker="o", label="chosen on dev, bar: 95 %", **CHOSEN)
    ax.set(xscale="log", xlabel="10⁹ multiply-accumulates for 4 s of audio")
    ax.set(ylabel=metric.axis_of(" on eval"))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    whole_rates(ax, 0, metric)
    left_out = not_drawn(runs)
    for text in left_out:
        ax.plot([], [], ls="", label=plain(text))
    label(ax, runs, notes=left_out)
    legend(ax)
    return ax


def _draw_run(ax: Axes, run: LoadedRun, name: str, colour: Any) -> pd.DataFrame:
    """Draw the layers of a run, the chosen one with its interval; gives layers and costs."""
    metric = run.metric
    marker = marker_of(colour)
    table = run.layers.query("split == 'eval'").merge(run.costs, left_on="layer", right_on="depth")
    x, y = table["gmacs"], table[metric.name]
    ax.plot(x, y, color=colour, lw=0.8, alpha=0.5, marker=marker, ms=3)
    chosen = table[table["layer"] == run.record.finding.layer]
    x, y = chosen["gmacs"], chosen[metric.name]
    bar = [y - chosen["low"], chosen["high"] - y]
    ax.errorbar(x, y, bar, color=colour, marker=marker, label=plain(name), **CHOSEN)
    for row in table.iloc[[0, -1]].itertuples():
        place = (row.gmacs, getattr(row, metric.name))
        points = look().note_pt
        ax.annotate(f"{row.layer}", place, (3, 3), textcoords="offset points", fontsize=points)
    return table


def not_drawn(runs: Runs) -> list[str]:
    """What a picture against costs leaves out, as costs were not measured: whole runs, or some of
    their layers.

    >>> from analysis.runs.loading import load_many
    >>> len(not_drawn(load_many(["results/demo.run", "results/random.run"])))
    1
    """
    found = []
    for name, run in zip(runs.names, runs, strict=True):
        layers = set(run.layers.loc[run.layers["split"] == "eval", "layer"].astype(int))
        missing = sorted(layers - set(run.costs["depth"]))
        if missing:
            of_layers = (
                "" if len(missing) == len(layers) else f" layers {', '.join(map(str, missing))}"
            )
            found.append(f"not drawn, cost not measured: {name}{of_layers}")
    return found


def pareto_frontier(points: pd.DataFrame, metric: Metric = METRICS["eer"]) -> pd.DataFrame:
    """The rows that no row of fewer or as many multiply-accumulates matches in the metric, cheapest
    first.

    >>> import pandas as pd
    >>> points = pd.DataFrame({"gmacs": [1.0, 2.0, 3.0], "eer": [20.0, 25.0, 10.0]})
    >>> pareto_frontier(points)["eer"].to_list()
    [20.0, 10.0]
    """
    ordered = points.assign(loss=metric.loss(1) * points[metric.name]).sort_values(
        ["gmacs", "loss"], ignore_index=True
    )
    before = ordered["loss"].cummin().shift(fill_value=np.inf)
    return ordered[ordered["loss"] < before].drop(columns="loss").reset_index(drop=True)
