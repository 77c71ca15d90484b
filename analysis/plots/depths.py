"""Depth curves: the error of heads that see the first k layers, and what truncation saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots.axes import new_axes, plain, whole_numbers, whole_rates, width_of, write_title
from analysis.plots.layers import Some
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import colours_of, head_colour, head_marker, marker_of
from analysis.plots.panels import label_outer, label_panels, panel_title, panels
from analysis.plots.style import check_split, label
from analysis.plots.tidy import depths_of, takes_table
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs, load, load_many
from analysis.runs.protocols import check_same_task, check_same_utterances
from cache import ProbeError
from cache.errors import quoted
from probing.runs import Run

BAND = "95 % interval of the mean over seeds"


@takes_table(depths_of)
def depth_curve(
    runs: Some,
    split: str = "eval",
    ax: Axes | None = None,
    head: str | None = None,
    relative: bool | None = None,
) -> Axes:
    """The metric (EER, %) by depth with its interval: heads of a run, or a head of several.

    The figure of a depth is the mean over seeds. Each head of a run has a panel, all on one scale,
    with the compute below.

    Args:
        runs: a run with heads, or several on the same utterances.
        split: `eval` or `dev`.
        ax: where to draw, all heads on it and without the compute; default a new figure.
        head: with several runs, which; default the one named by the first run's finding.
        relative: draw depth / L; by default where the runs differ in L.

    Raises:
        ProbeError: a run without heads, or without this head.

    >>> depth_curve("results/demo.run").get_ylabel()
    'EER on eval (%)'
    """
    check_split(split)
    ax = ax or new_axes()
    runs = load_many(runs)
    for run in runs:
        check_heads(run)
        check_same_task(runs[0], run)
        check_same_utterances(runs[0].utterances, run, run.corpus)
    metric = runs[0].metric
    deepest = max(run.n_blocks for run in runs)
    relative = any(run.n_blocks != deepest for run in runs) if relative is None else relative
    about = "relative depth k / L" if relative else "depth k (layers 1..k are seen)"
    alone = len(runs) == 1
    curves = _curves(runs, head)
    drawn_on, strip = (
        panels(ax, len(curves), strip=len(runs[0].costs) > 0)
        if alone
        else ([ax] * len(curves), None)
    )
    several = drawn_on[-1] is not ax
    for panel, curve in zip(drawn_on, curves, strict=True):
        _draw_curve(panel, curve, split, relative)
        if several:
            panel_title(panel, curve.name, colour=curve.colour)
    handles = _draw_beside(drawn_on, runs[0], split, relative) if alone else []
    for panel in dict.fromkeys(drawn_on):
        panel.set(xlim=(0, 1.03) if relative else (0.5, deepest + 0.5))
        if not relative:
            whole_numbers(panel)
    whole_rates(ax, metric=metric, others=drawn_on)
    if strip is not None:
        _draw_costs(strip, runs[0], relative, about)
    label_outer(
        drawn_on, "" if strip else ("depth k" if several else about), metric.axis_of(f" on {split}")
    )
    shared_head = curves[0].head if not alone else ""
    band = Patch(color="0.6", alpha=0.4, lw=0, label=BAND)
    if several:
        label_panels(ax, [band, *handles], runs=runs, split=split, title=shared_head, lowest=strip)
        return ax
    label(ax, runs, split, shared_head, lowest=strip)
    legend(ax, [band])
    return ax


@dataclass(frozen=True)
class _Curve:
    """A head of a run as it is drawn: under a name, in a colour, with a marker."""

    name: str
    head: str
    run: LoadedRun
    colour: str
    marker: str


def _curves(runs: Runs, head: str | None) -> list[_Curve]:
    """Every head of a run, or the one named; of several runs one head, by default that of the first
    one's finding.
    """
    if len(runs) == 1:
        heads = [head] if head else heads_of(runs[0])
        return [
            _Curve(name, name, run=runs[0], colour=head_colour(name), marker=head_marker(name))
            for name in heads
        ]
    finding = runs[0].record.depth_finding
    head = head or (finding.head if finding else "")
    colours = colours_of(runs.names)
    return [
        _Curve(name, head, run=run, colour=colours[name], marker=marker_of(colours[name]))
        for name, run in zip(runs.names, runs, strict=True)
    ]


def _draw_curve(panel: Axes, curve: _Curve, split: str, relative: bool) -> None:
    """The metric of a head by depth with its interval."""
    run, head = curve.run, curve.head
    rows = run.depths.query("split == @split and head == @head")
    if rows.empty:
        raise ProbeError(
            f"{run.folder}: no head {head}. Expected one of {', '.join(heads_of(run))}"
        )
    x = rows["relative_depth" if relative else "depth"].astype(float)
    panel.fill_between(x, rows["low"], rows["high"], color=curve.colour, alpha=0.15, lw=0)
    panel.plot(
        x,
        rows[run.metric.name],
        color=curve.colour,
        marker=curve.marker,
        ms=4,
        label=plain(curve.name),
    )


def _draw_beside(
    drawn_on: Sequence[Axes], run: LoadedRun, split: str, relative: bool
) -> list[Line2D]:
    """Draw single layers beside every head, and the depth of the finding beside its own.

    Returns what a legend shows.
    """
    scale = run.n_blocks if relative else 1
    finding = run.record.depth_finding
    single = run.layers.query("split == @split and layer > 0")
    x = single["layer"].astype(float) / scale
    heads = heads_of(run)
    handles: dict[str, Line2D] = {}
    for panel in dict.fromkeys(drawn_on):
        (line,) = panel.plot(
            x, single[run.metric.name], color="0.5", ls=":", label="layer k alone, linear"
        )
        handles["alone"] = line
    # the finding is about that one
    if finding and finding.depth is not None and run.corpus == run.corpora[0]:
        place = (
            heads.index(finding.head)
            if finding.head in heads and len(drawn_on) == len(heads)
            else 0
        )
        text = plain(f"not worse than full: {finding.head}")
        line = drawn_on[place].axvline(
            finding.depth / scale, color="0.3", lw=1, ls="--", label=text
        )
        handles["enough"] = line
    return list(handles.values())


def _draw_costs(strip: Axes, run: LoadedRun, relative: bool, about: str) -> None:
    """The share of the backbone that is computed at each depth, with numbers."""
    scale = run.n_blocks if relative else 1
    costs = run.costs[run.costs["depth"] > 0]
    shares = (100 - costs["saved"]).to_numpy(float)
    places = costs["depth"].to_numpy(float) / scale
    strip.bar(places, shares, width=0.6 / scale, color="0.75")
    points = look().note_pt
    every = max(1, round(0.5 + 3 * 0.62 * points / 72 * len(costs) / width_of(strip)))
    for at, share in list(zip(places, shares, strict=True))[(len(costs) - 1) % every :: every]:
        how: dict[str, Any] = {
            "textcoords": "offset points",
            "fontsize": points,
            "ha": "center",
            "va": "bottom",
        }
        strip.annotate(f"{share:.0f}", (at, share), (0, 1), **how)
    strip.set(xlabel=about, ylabel="computed\n(%)", ylim=(0, 135), yticks=[0, 50, 100])
    strip.set(xlim=(0, 1.03) if relative else (0.5, run.n_blocks + 0.5))
    if not relative:
        whole_numbers(strip)
    text = "share of the backbone's multiply-accumulates"
    write_title(strip, text, fontsize=look().legend_pt, pad=3)
    strip.grid(visible=False, axis="x")


def depth_table(run: str | Path | Run) -> pd.DataFrame:
    """The metric on eval by depth (rows) and head (columns), and the cost of each depth.

    Shares are in %.

    >>> depth_table("results/demo.run").index.to_list()
    [2, 4]
    """
    run = load(run)
    table = run.depths.query("split == 'eval'").pivot(
        index="depth", columns="head", values=run.metric.name
    )
    if len(run.costs):
        costs = run.costs.set_index("depth").reindex(table.index)
        table["million parameters"], table["GMAC for 4 s"] = (
            costs["million_parameters"],
            costs["gmacs"],
        )
        table["latency ms"] = costs["latency_ms"]
    table.columns.name = None
    return table


def check_heads(run: Run) -> None:
    """Refuse a run without heads.

    >>> from probing.runs import Run
    >>> check_heads(Run("results/demo.run"))
    """
    if not run.record.depth_finding:
        raise ProbeError(
            f"{run.folder}: no heads were trained, so there is nothing by depth. Sweep with heads: "
            f"probe sweep {quoted(run.record.cache_folder)}"
        )


def heads_of(run: Run) -> list[str]:
    """The heads of a run, in their order.

    >>> from probing.runs import Run
    >>> heads_of(Run("results/demo.run"))
    ['mean+linear', 'weighted-sum+linear', 'attentive-compact+linear']
    """
    return list(run.record.options.heads)
