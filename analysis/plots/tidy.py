"""Plots of tidy tables: what a plot of runs draws if it is given a table, as those of a run after
filtering.

run = analysis.load("results/demo.run")
analysis.layer_curve(run.layers.query("layer <= 6"))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from itertools import cycle
from typing import ParamSpec

import pandas as pd
import seaborn
from matplotlib.axes import Axes

from analysis.plots.axes import MARKERS, colours, new_axes, plain, short, whole_numbers, whole_rates
from analysis.plots.legends import legend
from analysis.plots.style import check_few
from cache import ProbeError
from probing.targets.metrics import METRICS

P = ParamSpec("P")
LAYER = "layer (0 = input of the first block)"
# columns that tell one curve of a table from another
SERIES = ("run", "backbone", "corpus", "condition", "head", "metric")


def takes_table(draw: Callable[..., Axes]) -> Callable[[Callable[P, Axes]], Callable[P, Axes]]:
    """Let a plot of runs take a table as well, which `draw` draws, with the options of the plot
    that it has too.

    Raises:
        ProbeError: an option that needs a run.
    """
    known = set(list(inspect.signature(draw).parameters)[1:])

    def taking(plot: Callable[P, Axes]) -> Callable[P, Axes]:
        @wraps(plot)
        def either(*given: P.args, **named: P.kwargs) -> Axes:
            table = given[0] if given else None
            if not isinstance(table, pd.DataFrame):
                return plot(*given, **named)
            options = dict(inspect.signature(plot).bind(*given, **named).arguments)
            options.pop(next(iter(options)))
            for name in options:
                if name not in known:
                    raise ProbeError(
                        f"{name}={options[name]!r}: needs a run, and this is a table. Leave it out"
                    )
            return draw(table, **options)

        return either

    return taking


def layers_of(table: pd.DataFrame, split: str = "eval", ax: Axes | None = None) -> Axes:
    """A metric by layer, as `LoadedRun.layers`, `Runs.layers` and `LoadedRun.by` have it.

    >>> from analysis import load
    >>> layers_of(load("results/demo.run").layers).get_xlabel()
    'layer (0 = input of the first block)'
    """
    return curves(_of_split(table, split), "layer", ax, xlabel=LAYER, split=split)


def depths_of(table: pd.DataFrame, split: str = "eval", ax: Axes | None = None) -> Axes:
    """A metric by depth, as `LoadedRun.depths` has it.

    >>> from analysis import load
    >>> depths_of(load("results/demo.run").depths).get_xlabel()
    'depth k (layers 1..k are seen)'
    """
    return curves(
        _of_split(table, split), "depth", ax, xlabel="depth k (layers 1..k are seen)", split=split
    )


def contributions_of(*metrics: str) -> Callable[..., Axes]:
    """What layers contribute to heads, as `LoadedRun.contributions` or `analysis.gate_changes` have
    it.

    >>> from analysis import load
    >>> draw = contributions_of("weight")
    >>> draw(load("results/demo.run").contributions).get_xlabel()
    'layer'
    """

    def draw(table: pd.DataFrame, ax: Axes | None = None, condition: str = "all") -> Axes:
        _check(table, "head", "metric", "layer")
        rows = table[
            [any(str(name).endswith(metric) for metric in metrics) for name in table["metric"]]
        ]
        rows = rows[rows["condition"] == condition] if "condition" in rows else rows
        shown = next((name for name in ("change", "share") if name in rows), "value")
        if shown != "value":  # seed by seed
            seeds = (
                rows.groupby(["head", "metric", "layer"])[shown]
                .agg(["mean", "min", "max"])
                .reset_index()
            )
            rows = seeds.rename(columns={"mean": "value", "min": "low", "max": "high"})
        up = {"change": "share less that at the start (points)", "share": "share (%)"}.get(
            shown, ""
        )
        return curves(
            rows.drop(columns="condition", errors="ignore"),
            "layer",
            ax,
            xlabel="layer",
            ylabel=up,
        )

    return draw


def erasure_of(table: pd.DataFrame, ax: Axes | None = None, layer: int | None = None) -> Axes:
    """What is left of a layer by dimensions removed, as `erasure_table` has it; default its first
    layer.

    >>> from analysis.plots.erasure import erasure_table
    >>> erasure_of(erasure_table("results/erased.run")).get_xlabel()
    'dimensions removed'
    """
    _check(table, "layer", "removed", "erased", "random")
    layer = int(table["layer"].iloc[0]) if layer is None and len(table) else layer
    rows = table[table["layer"] == layer]
    conditions = {"": "without what probes read", "random_": "without random directions"}
    parts = []
    for ends, condition in conditions.items():
        ours = {
            "erased" if not ends else "random": "value",
            f"{ends}low": "low",
            f"{ends}high": "high",
        }
        part = rows[["removed", *(name for name in ours if name in rows)]].rename(columns=ours)
        parts.append(part.assign(condition=condition))
    return curves(
        pd.concat(parts), "removed", ax, xlabel="dimensions removed", ylabel=f"layer {layer}"
    )


def localisation_of(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error rates of localisation by layer, as `localisation_table` has them.

    >>> from analysis import localisation_table
    >>> localisation_of(localisation_table("results/frames.run")).get_xlabel()
    'layer (0 = input of the first block)'
    """
    rates = [name for name in table if "EER" in str(name)]
    if not rates or table.index.name != "layer":
        raise ProbeError(
            "a table without EERs by layer. Expected one as localisation_table gives it"
        )
    rows = (
        table[rates].melt(var_name="condition", value_name="eer", ignore_index=False).reset_index()
    )
    return curves(rows, "layer", ax, xlabel=LAYER)


def conditions_of(table: pd.DataFrame, by: str = "", ax: Axes | None = None) -> Axes:
    """A heat map of a metric by layer (across) and condition (down), as `LoadedRun.by` has it.

    >>> from analysis import load
    >>> conditions_of(load("results/demo.run").by("attack"), by="attack").get_xlabel()
    'layer (0 = input of the first block)'
    """
    value = _value_of(table)
    _check(table, "condition", "layer")
    order = list(dict.fromkeys(table["condition"]))
    check_few(len(order), by)
    rates = table.pivot(index="condition", columns="layer", values=value).loc[order].astype(float)
    ax = ax or new_axes(1.8 + 0.36 * len(order), max(8.0, 2.6 + 0.5 * len(rates.columns)))
    seaborn.heatmap(
        rates.set_axis([short(str(name)) for name in order]),
        annot=True,
        fmt=".0f",
        cmap="cividis",
        vmin=0,
        linewidths=0.5,
        annot_kws={"fontsize": 7},
        cbar_kws={"label": _axis_of(value, "")},
        ax=ax,
    )
    ax.tick_params(axis="y", rotation=0)
    ax.set(xlabel=LAYER, ylabel=plain(by))
    return ax


def curves(
    table: pd.DataFrame,
    x: str,
    ax: Axes | None = None,
    *,
    xlabel: str,
    ylabel: str = "",
    split: str = "",
) -> Axes:
    """Curves of a tidy table, with bands between `low` and `high` where it has them.

    Args:
        table: a row a value; the column of a metric, or `value`; columns of `SERIES` tell the
            curves apart.
        x: the column across.
        ax: where to draw; default a new figure.
        xlabel: of the axis across.
        ylabel: of the other; default that of the metric.
        split: for the label of a metric.

    >>> table = pd.DataFrame({"layer": [0, 1], "eer": [40.0, 30.0], "low": 25.0, "high": 45.0})
    >>> curves(table, "layer", xlabel="layer").get_xlabel()
    'layer'
    """
    value = _value_of(table)
    _check(table, x)
    if table.empty:
        raise ProbeError("a table without rows: nothing to draw. Look at what it was filtered by")
    named = [name for name in SERIES if name in table]
    named = [name for name in named if table[name].nunique() > 1] or named[:1]
    groups = list(table.groupby(named, sort=False)) if named else [((), table)]
    check_few(len(groups))
    ax = ax or new_axes()
    metric = METRICS.get(value)
    for (key, rows), colour, marker in zip(
        groups, colours(len(groups)), cycle(MARKERS), strict=False
    ):
        rows = rows.sort_values(x)
        if rows[x].duplicated().any():
            raise ProbeError(
                f"a table with several rows for {x} {rows[x][rows[x].duplicated()].iloc[0]}. "
                "Expected one a curve; what tells curves apart "
                f"is a column of {', '.join(SERIES)}"
            )
        across = rows[x].astype(float)
        if {"low", "high"} <= set(rows):
            low, high = rows["low"].astype(float), rows["high"].astype(float)
            ax.fill_between(across, low, high, color=colour, alpha=0.15, lw=0)
        text = plain(", ".join(map(str, key)))
        ax.plot(
            across,
            rows[value].astype(float),
            color=colour,
            marker=marker,
            ms=4,
            lw=1.4,
            label=text or None,
        )
    up = ylabel or _axis_of(value, f" on {split}" if split else "")
    ax.set(xlabel=xlabel, ylabel=up)
    if metric:
        whole_rates(ax, metric=metric)
    whole_numbers(ax)
    legend(ax)
    return ax


def _of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    return table[table["split"] == split] if "split" in table else table


def _value_of(table: pd.DataFrame) -> str:
    """The column that is drawn."""
    found = next((name for name in (*METRICS, "value") if name in table), None)
    if found is None:
        raise ProbeError(
            f"a table with the columns {', '.join(map(str, table))}: none is a metric. Expected "
            f"value, or one of {', '.join(METRICS)}"
        )
    return found


def _axis_of(value: str, split: str) -> str:
    return METRICS[value].axis_of(split) if value in METRICS else value


def _check(table: pd.DataFrame, *names: str) -> None:
    lacking = [name for name in names if name not in table]
    if lacking:
        raise ProbeError(
            f"a table without the column {lacking[0]}: has {', '.join(map(str, table))}. "
            "Expected a table of a run, as run.layers, run.depths, run.contributions or run.by()"
        )
