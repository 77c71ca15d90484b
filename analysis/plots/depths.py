"""Depth curves: the error of heads that see the first k layers, what truncation saves, and what each layer adds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.layers import Some
from analysis.plots.style import (
    LEGEND_PT,
    MARKERS,
    axes_below,
    colours,
    label,
    legend,
    new_axes,
    plain,
    save_into,
    whole_numbers,
    whole_rates,
)
from analysis.runs.gates import gate_agreement, gate_changes
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load, load_many
from analysis.runs.protocols import check_same_task, check_same_utterances
from cache import ProbeError
from probing.heads.kinds import weighs_layers
from probing.runs import Run

LEARNED = ("weight", "weight_x_norm")


def depth_curve(
    runs: Some, split: str = "eval", ax: Axes | None = None, head: str | None = None, relative: bool | None = None
) -> Axes:
    """The metric (EER, %) by depth with its interval, mean over seeds: heads of a run, or a head of several.

    Args:
        runs: a run with heads, or several on the same utterances.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure, which with one run has the compute in a strip below.
        head: with several runs, which; default the one named by the first run's finding.
        relative: draw depth / L; by default where the runs differ in L.

    Raises:
        ProbeError: a run without heads, or without this head.

    >>> depth_curve("results/demo.run").get_ylabel()
    'EER on eval (%), band: 95 %'
    """
    ax = ax or new_axes()
    runs = load_many(runs)
    for run in runs:
        _check_heads(run)
        check_same_task(runs[0], run)
        check_same_utterances(runs[0].utterances, run, run.corpus)
    metric = runs[0].metric
    deepest = max(run.n_blocks for run in runs)
    relative = any(run.n_blocks != deepest for run in runs) if relative is None else relative
    curves: list[tuple[str, str, LoadedRun]] = [(name, name, runs[0]) for name in _heads(runs[0])]
    if len(runs) > 1:
        finding = runs[0].record.depth_finding
        head = head or (finding.head if finding else "")
        curves = [(name, head, run) for name, run in zip(runs.names, runs, strict=True)]
    elif head:
        curves = [(head, head, runs[0])]
    for (name, of_head, run), (colour, marker) in zip(curves, _styles(len(curves)), strict=False):
        rows = run.depths.query("split == @split and head == @of_head")
        if rows.empty:
            raise ProbeError(f"{run.folder}: no head {of_head}. Expected one of {', '.join(_heads(run))}")
        x = rows["relative_depth" if relative else "depth"].astype(float)
        ax.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(x, rows[metric.name], color=colour, marker=marker, ms=4, label=plain(name))
    about = "relative depth k / L" if relative else "depth k (layers 1..k are seen)"
    told = f"{metric.axis_of(f' on {split}')}, band: 95 %"
    lowest = _draw_beside(ax, runs[0], split, relative, about) if len(runs) == 1 else None
    ax.set(xlabel="" if lowest else about, ylabel=told, xlim=(0, 1.03) if relative else (0.5, deepest + 0.5))
    whole_rates(ax, metric=metric)
    if not relative:
        whole_numbers(ax)
    label(ax, runs, split, head if len(runs) > 1 and head else "", lowest=lowest)
    legend(ax)
    return ax


def _draw_beside(ax: Axes, run: LoadedRun, split: str, relative: bool, about: str) -> Axes | None:
    """Single layers and the depth of the finding; below axes of this package the compute saved, in axes it gives."""
    scale = run.n_blocks if relative else 1
    finding = run.record.depth_finding
    single = run.layers.query("split == @split and layer > 0")
    x = single["layer"].astype(float) / scale
    ax.plot(x, single[run.metric.name], color="0.5", ls=":", label="layer k alone, linear")
    if finding and finding.depth is not None and run.corpus == run.corpora[0]:  # the finding is about that one
        told = plain(f"not worse than full: {finding.head}")
        ax.axvline(finding.depth / scale, color="0.3", lw=1, ls="--", label=told)
    below = axes_below(ax, 0.28) if len(run.costs) else None
    if below is not None:
        costs = run.costs[run.costs["depth"] > 0]
        below.bar(costs["depth"] / scale, 100 - costs["saved"], width=0.6 / scale, color="0.75")
        for row in costs.itertuples():
            at = (row.depth / scale, 100 - row.saved)
            below.annotate(f"{at[1]:.0f}", at, (0, 1), textcoords="offset points", fontsize=7, ha="center", va="bottom")
        below.set(xlabel=about, ylabel="computed\n(%)", ylim=(0, 118))
        told = "share of the multiply-accumulates of the whole backbone"
        below.set_title(told, loc="left", fontsize=LEGEND_PT, pad=3)
        below.grid(visible=False, axis="x")
    return below


def gate_curve(run: str | Path | Run, ax: Axes | None = None, condition: str = "all") -> Axes:
    """Gates of the heads of full depth by layer, as the change of their shares since the start; band: over seeds.

    Gates start at random and may stay near there: see `analysis.runs.gates`. The legend has Kendall's W, how far the
    seeds agree; the caption says how far gates still are what they started as.

    Args:
        run: a run with heads that have gates (attentive merges, SLS).
        ax: where to draw; default a new figure.
        condition: `all`, `label=spoof`, `attack=A10`, ...: whose gates.

    Raises:
        ProbeError: no gates, or none of that condition.

    >>> gate_curve("results/demo.run").get_xlabel()
    'layer'
    """
    return _shares(run, ("gate",), "change", ax, condition)


def gate_spread_curve(run: str | Path | Run, ax: Axes | None = None, condition: str = "all") -> Axes:
    """How far gates depend on the utterance: their standard deviation over utterances by layer; band: over seeds.

    >>> gate_spread_curve("results/demo.run").get_xlabel()
    'layer'
    """
    ax = _contribution(run, ("gate_sd",), ax, condition)
    ax.set(ylabel="deviation of a gate over utterances")
    return ax


def weight_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """Softmax weights of weighted sums by layer, and times the layer's norm, as shares; band: range over seeds.

    >>> weight_curve("results/demo.run").get_xlabel()
    'layer'
    """
    return _shares(run, LEARNED, "share", ax)


def contribution_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """Gates and weights in one picture, as the change of their shares over layers, so that merges of any kind compare.

    Weighted sums start with all layers alike, gates at random; see `gate_curve`.
    """
    return _shares(run, ("gate", *LEARNED), "change", ax)


def ablation_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """The metric (EER, %) of heads of full depth without each layer, or with it permuted between utterances.

    >>> ablation_curve("results/demo.run").get_xlabel()
    'layer'
    """
    run = load(run)
    ax = _contribution(run, (f"{run.metric.name}_without", f"{run.metric.name}_permuted"), ax)
    full = run.depths.query("split == 'eval' and depth == @run.n_blocks").set_index("head")
    for name, (colour, _) in zip(_heads(run), _styles(len(_heads(run))), strict=False):
        ax.axhline(full.loc[name, run.metric.name], color=colour, lw=0.8, ls="--")
    ax.set(ylabel=f"{run.metric.axis_of(' on eval')}; dashed: all layers")
    return ax


def _shares(
    run: str | Path | Run, metrics: tuple[str, ...], column: str, ax: Axes | None, condition: str = "all"
) -> Axes:
    """Draw `share` or `change` of `gate_changes`; where the start of gates is not known, their shares."""
    ax = ax or new_axes()
    run = load(run)
    _check_heads(run)
    rows = gate_changes(run, condition)
    rows = rows[rows["metric"].isin(metrics) & rows["head"].map(weighs_layers).astype(bool)]
    bands = []
    if column == "change" and rows["change"].isna().any():  # a run of an earlier version
        column = "share"
        bands.append("gates may show their random start, which an earlier version did not keep")
    agreement = gate_agreement(run, condition)
    values = rows.groupby(["head", "metric", "layer"])[column].agg(["mean", "min", "max"]).reset_index()
    for name, colour, marker, metric, table in _curves(run, values, metrics, condition):
        told = f"{plain(name)}: {metric.replace('_x_', ' x ')}"
        agreed = agreement.loc[(name, metric), "kendall_w"]
        told += f", W {agreed:.2f}" if column == "change" and not pd.isna(agreed) else ""
        style = "-" if metric in (metrics[0], "weight") else ":"
        x = table["layer"]
        ax.plot(x, table["mean"], color=colour, ls=style, marker=marker, ms=3, label=told)
        ax.fill_between(x, table["min"], table["max"], color=colour, alpha=0.15, lw=0)
    if column == "change":
        ax.axhline(0, color="0.6", lw=1, ls="--", label="as at the start")
        ax.set(ylabel="share of gates or weights less that at the start (points)")
        bands.append(_agreement(agreement[agreement.index.get_level_values("head").isin(rows["head"])]))
    else:
        ax.axhline(100 / run.n_blocks, color="0.6", lw=1, ls="--", label="all layers alike")
        ax.set(ylabel="share of gates or weights (%)")
    return _finished(ax, run, condition, [band for band in bands if band])


def _agreement(found: pd.DataFrame) -> str:
    """What the caption says of seeds and starts."""
    parts = []
    if (found["seeds"] > 1).any():
        parts.append(f"W: agreement of seeds on ranks (Kendall), {found['by_chance'].min():.2f} by chance")
    low = found["start_low"].min()
    high = found["start_high"].max()
    if not pd.isna(low):
        parts.append(f"gates correlate at {low:.2f} to {high:.2f} with their random start")
    return "; ".join(parts)


def _contribution(run: str | Path | Run, metrics: tuple[str, ...], ax: Axes | None, condition: str = "all") -> Axes:
    """Draw metrics of `LoadedRun.contributions` as they are."""
    ax = ax or new_axes()
    run = load(run)
    _check_heads(run)
    rows = run.contributions.query("condition == @condition and metric in @metrics")
    for name, colour, marker, metric, table in _curves(run, rows, metrics, condition):
        told = f"{plain(name)}: {metric.replace('_', ' ')}"
        style = "-" if metric == metrics[0] else ":"
        x = table["layer"].astype(int)
        ax.plot(x, table["value"], color=colour, ls=style, marker=marker, ms=3, label=told)
        ax.fill_between(x, table["low"], table["high"], color=colour, alpha=0.15, lw=0)
    return _finished(ax, run, condition, [])


def _curves(
    run: LoadedRun, rows: pd.DataFrame, metrics: tuple[str, ...], condition: str
) -> Iterator[tuple[str, Any, str, str, pd.DataFrame]]:
    """Head, colour, marker, metric and rows by layer of every curve there is; ProbeError if there is none."""
    heads = _heads(run)
    rows = rows[rows["metric"].isin(metrics)]
    if rows.empty:
        raise ProbeError(
            f"{run.folder}: no {' or '.join(metrics)} of {condition!r}. Heads: {', '.join(heads)}; "
            f"conditions: {', '.join(sorted(run.contributions['condition'].unique()))}"
        )
    for name, (colour, marker) in zip(heads, _styles(len(heads)), strict=False):
        for metric in metrics:
            table = rows[(rows["head"] == name) & (rows["metric"] == metric)].sort_values("layer")
            if len(table):
                yield name, colour, marker, metric, table


def _finished(ax: Axes, run: LoadedRun, condition: str, more: list[str]) -> Axes:
    """Axes with their labels; `more` goes into the caption."""
    low, high = ax.get_ylim()
    ax.set(xlabel="layer", xlim=(0.5, run.n_blocks + 0.5))
    ax.set_ylim(low if low < 0 else 0, high + 0.15 * (high - min(low, 0)))  # alike layers would lie on the upper edge
    whole_numbers(ax)
    n_seeds = len(run.record.options.head_seeds)
    bands = f"bands: range over {n_seeds} seeds" if n_seeds > 1 else "one seed, no bands"
    label(ax, [run], title="" if condition == "all" else condition, bands="; ".join([bands, *more]))
    legend(ax)
    return ax


def depth_table(run: str | Path | Run) -> pd.DataFrame:
    """The metric on eval by depth (rows) and head (columns), shares in %, with what a backbone of that depth costs."""
    run = load(run)
    table = run.depths.query("split == 'eval'").pivot(index="depth", columns="head", values=run.metric.name)
    if len(run.costs):
        costs = run.costs.set_index("depth").reindex(table.index)
        table["million parameters"], table["GMAC for 4 s"] = costs["million_parameters"], costs["gmacs"]
        table["latency ms"] = costs["latency_ms"]
    table.columns.name = None
    return table


def save_depth_curve(run: Run) -> list[str]:
    """Draw depth curve and contributions into the run's `figures` folder as png and svg; none where no heads are.

    Gives the paths, those of the depth curve first.
    """
    if not run.record.depth_finding:
        return []
    run = load(run)
    paths = save_into(run, "depth-curve", depth_curve(run))
    return [*paths, *save_into(run, "contributions", contribution_curve(run))] if has_weights(run) else paths


def has_weights(run: LoadedRun) -> bool:
    """Whether any head of a run has gates or weights of its own for the layers; a mean and a single layer have none."""
    return any(weighs_layers(name) for name in run.contributions["head"])


def _check_heads(run: Run) -> None:
    if not run.record.depth_finding:
        raise ProbeError(
            f"{run.folder}: no heads were trained, so there is nothing by depth. Sweep with heads: "
            f"probe sweep {run.record.cache_folder}"
        )


def _heads(run: Run) -> list[str]:
    return list(run.record.options.heads)


def _styles(n: int) -> Iterator[tuple[Any, str]]:
    """Colour and marker of every head, the same in every picture of the run."""
    return zip(colours(n), cycle(MARKERS), strict=False)
