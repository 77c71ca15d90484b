"""Layer curves: the error of a linear probe by layer, with its interval and its controls."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from analysis.plots.axes import GREY, new_axes, plain, whole_numbers, whole_rates, write_title
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import colours_of, marker_of
from analysis.plots.panels import axes_below
from analysis.plots.saving import save_into
from analysis.plots.style import check_split, label
from analysis.plots.tidy import layers_of, takes_table
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load, load_many
from analysis.runs.protocols import check_same_task, check_same_utterances
from probing.runs import Run
from probing.runs.simultaneous import layer_bands
from probing.targets.metrics import BINARY

Some = str | Path | Run | Iterable[str | Path | Run]


@takes_table(layers_of)
def layer_curve(
    runs: Some,
    split: str = "eval",
    ax: Axes | None = None,
    relative: bool | None = None,
    corpus: str | None = None,
    simultaneous: bool = False,
) -> Axes:
    """The metric (EER, %) by layer with its interval and the controls.

    These are shuffled labels and trivial features.

    Args:
        runs: a run or several on the same utterances; controls are those of the first.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
        relative: draw layer / L, from 0 to 1, instead of the layer; by default where the runs
            differ in L.
        corpus: of those evaluated on; default the first.
        simultaneous: draw bands that hold for all layers of a run at once, for a layer that is
            picked by looking.

    Returns:
        The axes; `analysis.save_figure(ax, "curve.pdf")` keeps them.

    Raises:
        ProbeError: a run was made on other utterances than the first.

    >>> ax = layer_curve(["results/demo.run", "results/random.run"])
    >>> ax.get_xlabel(), len(ax.get_legend().get_texts()) > 1
    ('layer (0 = input of the first block)', True)
    """
    check_split(split)
    ax = ax or new_axes()
    runs = load_many(runs, corpus)
    metric = runs[0].metric
    for run in runs[1:]:
        check_same_task(runs[0], run)
        check_same_utterances(runs[0].utterances, run, run.corpus)
    deepest = max(run.n_blocks for run in runs)
    relative = (
        any(run.n_blocks not in (0, deepest) for run in runs) if relative is None else relative
    )
    _draw_control(ax, runs[0], split, relative)
    colour_of = colours_of(runs.names)
    for name, run in zip(runs.names, runs, strict=True):
        layers = _with_bands(run, split) if simultaneous else _of_split(run, split)
        _draw_run(
            ax,
            run,
            layers,
            x=layers["relative_depth" if relative else "layer"].astype(float),
            split=split,
            colour=colour_of[name],
            called=plain(name) if len(runs) > 1 else "",
            chosen="chosen on dev" if run is runs[len(runs) - 1] else None,
        )
    low, high = (-0.03, 1.03) if relative else (-0.3, max(deepest, 1) + 0.3)
    about = (
        "relative depth (layer / number of layers)"
        if relative
        else "layer (0 = input of the first block)"
    )
    _draw_trivial(ax, runs[0], split, low / 2)
    ax.set(xlabel=about, ylabel=metric.axis_of(f" on {split}"), xlim=(low, high))
    draw_chance(ax, runs[0])
    whole_rates(ax, metric=metric)
    if not relative:
        whole_numbers(ax)
    below = None
    if len(runs) == 1 and split == "eval" and not relative:
        below = _draw_excess(ax, runs[0], about, colour_of[runs.names[0]])
    label(ax, runs, split, lowest=below)
    # one entry stands for the bands of all runs, so it has the colour of one run only where there
    # is one
    colour = colour_of[runs.names[0]] if len(runs) == 1 else "0.6"
    text = f"95 % interval{', all layers at once' if simultaneous else ''}"
    legend(ax, [Patch(color=colour, alpha=0.3, lw=0, label=text)])
    return ax


def _of_split(run: LoadedRun, split: str) -> pd.DataFrame:
    return run.layers[run.layers["split"] == split]


def _with_bands(run: LoadedRun, split: str) -> pd.DataFrame:
    """Layers with bands that hold for all at once instead of intervals."""
    layers = _of_split(run, split)
    bands = layer_bands(run, run.part(split)).loc[layers["layer"].astype(int)]
    scale = run.metric.scale
    return layers.assign(
        low=(scale * bands["low"]).to_numpy(), high=(scale * bands["high"]).to_numpy()
    )


def _draw_run(
    ax: Axes,
    run: LoadedRun,
    layers: pd.DataFrame,
    *,
    x: pd.Series[float],
    split: str,
    colour: Any,
    called: str,
    chosen: str | None,
) -> None:
    """Draw the layers of a run at x with intervals; `called` is empty for a run that is alone.

    `chosen` is the entry of the legend for the circle around the layer chosen on dev.
    """
    y = layers[run.metric.name]
    marker = marker_of(colour)
    if len(layers) == 1:  # features without layers: a line across, to compare layers with
        ax.axhspan(layers["low"].item(), layers["high"].item(), color=colour, alpha=0.08, lw=0)
        ax.axhline(y.item(), color=colour, lw=1, ls="-.")
    else:
        alpha = 0.1 if called else 0.2
        ax.fill_between(x, layers["low"], layers["high"], color=colour, alpha=alpha, lw=0)
    ax.plot(x, y, color=colour, marker=marker, ms=5, lw=1.4, label=called or "linear probe")
    _mark_chance(ax, run, layers=layers, x=x, split=split, colour=colour, marker=marker)
    best = (layers["layer"] == run.record.finding.layer).to_numpy()
    ax.plot(x[best], y[best], "o", ms=10, mfc="none", mec=colour, mew=1.8, label=chosen)


def _draw_trivial(ax: Axes, run: LoadedRun, split: str, x: float) -> None:
    """Draw what trivial features reach as a line, with its interval at x."""
    rows = run.controls.query("experiment == 'trivial-features' and split == @split")
    row = rows.iloc[0]
    value = row[run.metric.name]
    text = "trivial features (duration, level, ...), bar: 95 %"
    ax.axhline(value, color="0.25", ls="--", label=text)
    bar = [[value - row["low"]], [row["high"] - value]]
    ax.errorbar([x], [value], bar, color="0.25", lw=1, capsize=2)


def _mark_chance(
    ax: Axes,
    run: LoadedRun,
    layers: pd.DataFrame,
    x: pd.Series[float],
    split: str,
    colour: Any,
    marker: str,
) -> None:
    """Leave the marks of layers empty that are not shown to be better than chance, all at once."""
    table = run.layers_at_once
    if split != "eval" or run.corpus != run.corpora[0] or not len(table) or run.task.chance is None:
        return
    shown = (
        table.set_index("layer")["better_than_chance"]
        .reindex(layers["layer"])
        .fillna(False)
        .to_numpy(bool)
    )
    look = {"mec": colour, "mfc": "white", "ms": 5, "marker": marker, "ls": "", "zorder": 2.5}
    text = "empty: not shown to beat chance, all at once"
    is_named = text in ax.get_legend_handles_labels()[1]
    if not shown.all():
        rates = layers[run.metric.name][~shown]
        ax.plot(x[~shown], rates, label=None if is_named else text, **look)


def _draw_excess(ax: Axes, run: LoadedRun, about: str, colour: Any) -> Axes | None:
    """Below axes of this package, by how much each layer is worse than the one chosen on dev; gives
    those axes.
    """
    table = run.layers_at_once
    if run.corpus != run.corpora[0] or len(table) < 2 or (below := axes_below(ax, 0.4)) is None:
        return None
    chosen = run.record.finding.layer
    table = table[table["layer"] != chosen]
    ends = [table["excess"] - table["excess_low"], table["excess_high"] - table["excess"]]
    below.errorbar(
        table["layer"].astype(int), table["excess"], ends, color=colour, fmt="o", ms=4, lw=1
    )
    below.axhline(0, color="0.3", lw=1)
    below.plot([chosen], [0], "o", ms=10, mfc="none", mec=colour, mew=1.8)
    metric = run.metric
    worse = "less" if metric.higher_is_better else "more"
    below.set(xlabel=about, ylabel=f"{metric.step or metric.called} {worse}\nthan layer {chosen}")
    text = "paired, 95 % interval, all layers at once"
    write_title(below, text, fontsize=look().legend_pt, pad=3)
    return below


def _draw_control(ax: Axes, run: LoadedRun, split: str, relative: bool) -> None:
    """Draw the probes of shuffled labels, and of control tasks where there are some."""
    scale = run.metric.scale
    for experiment, line, text in (
        ("shuffled-labels", ":", "shuffled labels (control; band: range)"),
        ("control-task", "--", "control task (a random label a type; band: range)"),
    ):
        rows = run.rows(experiment, split, run.corpus)
        rows = rows[rows["metric"] == run.metric.name]
        control = rows.groupby("layer")["value"].agg(["mean", "min", "max"])
        x = control.index.astype(float) / (max(run.n_blocks, 1) if relative else 1)
        if len(control):
            ax.fill_between(
                x, scale * control["min"], scale * control["max"], color=GREY, alpha=0.2, lw=0
            )
            ax.plot(x, scale * control["mean"], color=GREY, ls=line, label=text)


def draw_chance(ax: Axes, run: LoadedRun) -> None:
    """What chance gives, where it is known.

    >>> ax = new_axes()
    >>> draw_chance(ax, load("results/demo.run"))
    >>> ax.get_legend_handles_labels()[1]
    ['chance']
    """
    if run.task.chance is not None:
        ax.axhline(
            run.metric.scale * run.task.chance, color="0.6", lw=1, ls=(0, (1, 3)), label="chance"
        )


@takes_table(layers_of)
def corpora_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """The metric (EER, %) by layer on every corpus evaluated on, with intervals.

    Args:
        run: a finished run.
        ax: where to draw; default a new figure.

    >>> corpora_curve("results/demo.run").get_xlabel()
    'layer (0 = input of the first block)'
    """
    ax = ax or new_axes()
    run = load(run)
    metric = run.metric
    word = "highest" if metric.higher_is_better else "lowest"
    colour_of = colours_of(run.corpora)
    for corpus in run.corpora:
        colour, marker = colour_of[corpus], marker_of(colour_of[corpus])
        of_corpus = load(run, corpus)
        layers = of_corpus.layers.query("split == 'eval'")
        counts = run.record.counts[of_corpus.part("eval")]
        n = (
            " + ".join(map(str, counts.values()))
            if run.task.name == BINARY
            else str(sum(counts.values()))
        )
        text = f"{plain(corpus)} ({n})"
        of_metric = layers[metric.name]
        lowest = layers[
            of_metric == (of_metric.max() if metric.higher_is_better else of_metric.min())
        ]
        ax.fill_between(
            layers["layer"].astype(int),
            layers["low"],
            layers["high"],
            color=colour,
            alpha=0.15,
            lw=0,
        )
        ax.plot(
            layers["layer"].astype(int),
            layers[metric.name],
            color=colour,
            marker=marker,
            ms=3,
            label=text,
        )
        ax.plot(lowest["layer"], lowest[metric.name], "o", ms=9, mfc="none", mec=colour, mew=1.5)
    chosen = run.record.finding.layer
    ax.axvline(chosen, color="0.4", lw=1, ls="--", label=f"layer {chosen}, chosen on dev")
    ax.set(
        xlabel="layer (0 = input of the first block)",
        ylabel=f"{metric.axis_of(' on eval')}, band: 95 %",
    )
    ax.set(xlim=(-0.3, max(run.n_blocks, 1) + 0.3))
    whole_rates(ax, 0, metric)
    whole_numbers(ax)
    label(ax, [run], title="every corpus")
    legend(ax, title=f"rings: {word} on that corpus")
    return ax


def save_corpora_curve(run: Run) -> list[str]:
    """Draw the curves of all corpora into the run's `figures` folder; none where there
    is one only.

    >>> from probing.runs import Run
    >>> save_corpora_curve(Run("results/demo.run"))
    []
    """
    return save_into(run, "corpora-curve", corpora_curve(run)) if len(run.corpora) > 1 else []


def save_layer_curve(run: Run, others: Iterable[Run] = ()) -> list[str]:
    """Draw the layer curve into the run's `figures` folder as png and svg; returns the paths.

    >>> from pathlib import Path
    >>> from probing.runs import Run
    >>> [Path(path).name for path in save_layer_curve(Run("results/demo.run"))]
    ['layer-curve.png', 'layer-curve.svg']
    """
    return save_into(run, "layer-curve", layer_curve([run, *others]))
