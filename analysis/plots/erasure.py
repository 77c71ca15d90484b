"""Erasure curves: what a layer still says without the directions that probes read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import colours, new_axes, whole_numbers, whole_rates
from analysis.plots.layers import draw_chance
from analysis.plots.legends import legend
from analysis.plots.saving import save_into
from analysis.plots.style import check_split, label
from analysis.plots.tidy import erasure_of, takes_table
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from probing.runs import Run
from probing.runs.condition_names import n_removed


def erasure_table(run: str | Path | Run, split: str = "eval") -> pd.DataFrame:
    """The metric (EER, %) by layer and dimensions removed, and of as many random ones.

    Args:
        run: a run of a sweep that erased.
        split: `eval` or `dev`.

    Returns:
        layer, removed (0 is the whole layer), erased, low, high, random, random_low, random_high;
        intervals of the layer chosen on dev only.

    Raises:
        ProbeError: a run that erased nothing.

    >>> list(erasure_table("results/erased.run"))[:2]
    ['layer', 'removed']
    """
    check_split(split)
    run = load(run)
    if not has_erasure(run):
        raise ProbeError(
            f"{run.folder}: nothing was erased in it. Sweep with probe sweep CACHE --erase 10"
        )
    whole = run.layers[run.layers["split"] == split].assign(removed=0)
    whole = whole.rename(columns={run.metric.name: "erased"})[
        ["layer", "removed", "erased", "low", "high"]
    ]
    chosen = whole["layer"] == run.record.finding.layer
    whole = whole.assign(**{name: whole[name].where(chosen) for name in ("low", "high")})
    whole = whole.assign(random=whole["erased"], random_low=whole["low"], random_high=whole["high"])
    erased, random = (_by_removed(run, name, split) for name in ("erased", "erased-random"))
    random = random.rename(columns={"erased": "random", "low": "random_low", "high": "random_high"})
    both = erased.merge(random, on=["layer", "removed"], validate="one_to_one")
    table = pd.concat([whole, both], ignore_index=True).astype({"layer": int, "removed": int})
    return table.sort_values(["layer", "removed"], ignore_index=True)


@takes_table(erasure_of)
def erasure_curve(
    run: str | Path | Run, split: str = "eval", ax: Axes | None = None, layer: int | None = None
) -> Axes:
    """The metric (EER, %) of what is left of a layer, by dimensions removed.

    Args:
        run: a run of a sweep that erased.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
        layer: default that chosen on dev; others have no intervals.

    Raises:
        ProbeError: a run that erased nothing, or has no such layer.

    >>> erasure_curve("results/erased.run").get_xlabel()
    'dimensions removed'
    """
    run = load(run)
    layer = run.record.finding.layer if layer is None else layer
    table = erasure_table(run, split)
    table = table[table["layer"] == layer]
    if table.empty:
        raise ProbeError(f"{run.folder}: no layer {layer}. Expected 0 to {run.record.finding.last}")
    ax = ax or new_axes()
    metric = run.metric
    blue, orange = colours(2)
    drawn = (
        ("erased", "", "what probes read", blue, "o"),
        ("random", "random_", "random directions", orange, "s"),
    )
    for name, ends, what, colour, marker in drawn:
        low, high = (table[f"{ends}{end}"].astype(float) for end in ("low", "high"))
        ax.fill_between(table["removed"], low, high, color=colour, alpha=0.15, lw=0)
        ax.plot(
            table["removed"],
            table[name],
            color=colour,
            marker=marker,
            ms=4,
            label=f"without {what}",
        )
    draw_chance(ax, run)
    ax.set(xlabel="dimensions removed", ylabel=f"{metric.axis_of(f' on {split}')}, band: 95 %")
    whole_rates(ax, metric=metric)
    whole_numbers(ax)
    label(ax, [run], split, title=f"layer {layer}, erased")
    legend(ax)
    return ax


def erased_layers_curve(run: str | Path | Run, split: str = "eval", ax: Axes | None = None) -> Axes:
    """The metric (EER, %) by layer: of the whole layer, and after the last round of erasure.

    Args:
        run: a run of a sweep that erased.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: a run that erased nothing.

    >>> erased_layers_curve("results/erased.run").get_xlabel()
    'layer (0 = input of the first block)'
    """
    run = load(run)
    table = erasure_table(run, split)
    ax = ax or new_axes()
    metric = run.metric
    by_layer = table.groupby("layer")
    whole, last = by_layer.first(), by_layer.last()
    blue, orange = colours(2)
    numbers = sorted({int(n) for n in last["removed"]})
    many = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    ax.plot(whole.index, whole["erased"], color="0.25", marker="D", ms=4, label="all dimensions")
    ax.plot(
        last.index,
        last["erased"],
        color=blue,
        marker="o",
        ms=4,
        label=f"without {many} that probes read",
    )
    ax.plot(
        last.index,
        last["random"],
        color=orange,
        marker="s",
        ms=4,
        ls=":",
        label=f"without {many} random ones",
    )
    draw_chance(ax, run)
    ax.set(xlabel="layer (0 = input of the first block)", ylabel=metric.axis_of(f" on {split}"))
    whole_rates(ax, metric=metric)
    whole_numbers(ax)
    label(ax, [run], split, title="before and after erasure", bands="no intervals")
    legend(ax)
    return ax


def has_erasure(run: LoadedRun) -> bool:
    """Whether a run erased, and had something left to probe.

    >>> has_erasure(load("results/erased.run")), has_erasure(load("results/demo.run"))
    (True, False)
    """
    return bool((run.results["experiment"] == "erased").any())


def save_erasure_curve(run: Run) -> list[str]:
    """Draw the curve into the run's `figures` folder; none where nothing was erased.

    >>> from probing.runs import Run
    >>> save_erasure_curve(Run("results/demo.run"))
    []
    """
    return save_into(run, "erasure-curve", erasure_curve(run)) if has_erasure(load(run)) else []


def _by_removed(run: LoadedRun, experiment: str, split: str) -> pd.DataFrame:
    rows = run.rows(experiment, split, run.corpus)
    rows = rows[rows["metric"] == run.metric.name]
    shown = {name: run.metric.scale * rows[name].astype(float) for name in ("value", "low", "high")}
    removed = [n_removed(condition) for condition in rows["condition"]]
    rows = rows.assign(**shown, removed=removed).rename(columns={"value": "erased"})
    return rows[["layer", "removed", "erased", "low", "high"]]
