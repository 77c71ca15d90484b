"""Depth curves: the error of heads that see the first k layers, what truncation saves, and what each layer adds."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probing.runs import Run

FIGURES = ("png", "svg")
MARKERS = "osD^vP"


def depth_curve(run: Run, split: str = "eval", ax: Axes | None = None) -> Axes:
    """EER (%) by depth for every head, mean over seeds with its interval; compute saved on a second axis.

    Args:
        run: a finished run with heads.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
    """
    ax = ax or _axes()[0]
    results, finding = run.results, run.record["depth_finding"]
    of_split = run.rows("depth", split)
    of_split = of_split[of_split["seed"].isna()]
    for name, (colour, marker) in _styles(run).items():
        rows = of_split[of_split["head"] == name].sort_values("depth")
        x = rows["depth"].astype(int)
        ax.fill_between(x, 100 * rows["low"], 100 * rows["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(x, 100 * rows["value"], color=colour, marker=marker, ms=4, label=name)
    single = run.rows("layer", split)
    single = single[single["layer"] > 0]
    ax.plot(single["layer"].astype(int), 100 * single["value"], color="0.5", ls=":", label="layer k alone, linear")
    if finding["depth"] is not None:
        ax.axvline(finding["depth"], color="0.3", lw=1, ls="--", label=f"not worse than full: {finding['head']}")
    full = finding["full"]
    ax.set(xlabel="depth k (layers 1..k are seen)", ylabel=f"EER on {split} (%)", xlim=(0.5, full + 0.5))
    ax.set_ylim(0, max(60.0, 100 * float(of_split["high"].max()) + 3))
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    ax.set_title(f"{finding['backbone']}, {run.corpora[0]}", loc="left", fontsize=11)
    costs = results[(results["experiment"] == "cost") & (results["metric"] == "macs")].sort_values("depth")
    if len(costs):
        share = 100 * (1 - costs["value"].to_numpy() / costs["value"].iloc[-1])
        other = ax.twinx()
        other.plot(costs["depth"].astype(int), share, color="0.25", lw=1, ls="-.")
        other.set(ylabel="multiply-accumulates saved (%), dash-dotted", ylim=(0, 105))
        other.grid(False)
    ax.legend(fontsize=8, ncols=2, loc="lower left", frameon=True)
    return ax


def contribution_curve(run: Run, ax: Axes | None = None) -> Axes:
    """What each layer contributes to the heads of full depth: gates or weights, and EER without it or permuted.

    Gates and weights are shown as shares of their sum over layers, so that merges of different kind compare.
    """
    ax = ax or _axes()[0]
    rows = run.results[(run.results["experiment"] == "contribution") & (run.results["condition"] == "all")]
    for name, (colour, marker) in _styles(run).items():
        of_head = rows[rows["head"] == name]
        if name.startswith(("mean", "single")):
            continue
        for metric, style in (("gate", "-"), ("weight", "-"), ("weight_x_norm", ":")):
            table = of_head[of_head["metric"] == metric].groupby("layer")["value"].agg(["mean", "min", "max"])
            if table.empty:
                continue
            total = table["mean"].sum()
            x = table.index.astype(int)
            label = f"{name}: {metric.replace('_x_', ' x ')}"
            ax.plot(x, 100 * table["mean"] / total, color=colour, ls=style, marker=marker, ms=3, label=label)
            ax.fill_between(x, 100 * table["min"] / total, 100 * table["max"] / total, color=colour, alpha=0.15, lw=0)
    layers = sorted({int(layer) for layer in rows["layer"]})
    ax.axhline(100 / len(layers), color="0.6", lw=1, ls="--", label="all layers alike")
    ax.set(xlabel="layer", ylabel="share of gates or weights (%)", xlim=(0.5, layers[-1] + 0.5))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    ax.legend(fontsize=8, loc="best", frameon=True, title="band: range over seeds", title_fontsize=8)
    return ax


def depth_table(run: Run) -> pd.DataFrame:
    """EER (%) on eval by depth (rows) and head (columns), with what the backbone of that depth costs where measured."""
    results = run.results
    rows = run.rows("depth")
    rows = rows[rows["seed"].isna()]
    table = 100 * rows.pivot(index="depth", columns="head", values="value")
    costs = results[results["experiment"] == "cost"].pivot(index="depth", columns="metric", values="value")
    if not costs.empty:
        table["million parameters"] = (costs["parameters"] / 1e6).reindex(table.index)
        table["GMAC for 4 s"] = (costs["macs"] / 1e9).reindex(table.index)
        table["latency ms"] = costs["latency_ms"].reindex(table.index)
    table.columns.name = None
    return table


def save_depth_curve(run: Run) -> list[str]:
    """Draw depth curve and contributions into the run's `figures` folder as png and svg; none where no heads are."""
    if not run.record.get("depth_finding"):
        return []
    upper, lower = _axes(2, height=7.6)
    figure = upper.get_figure(root=True)
    assert figure is not None
    depth_curve(run, ax=upper)
    contribution_curve(run, ax=lower)
    counts = run.record["counts"]["eval"]
    trials = f"{counts['bonafide']} bona fide + {counts['spoof']} spoof"
    figure.text(
        0.01, 0.002, f"{trials}; {run.record['intervals']}; cache {run.record['cache']}", fontsize=7, color="0.4"
    )
    figure.set_layout_engine("constrained", rect=(0, 0.02, 1, 0.98))
    paths = []
    for kind in FIGURES:
        path = run.folder / "figures" / f"depth-curve.{kind}"
        figure.savefig(path, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        paths.append(str(path))
    return paths


def _styles(run: Run) -> dict[str, tuple[Any, str]]:
    """Colour and marker of every head, the same in every picture of the run."""
    names = [str(name) for name in run.record["options"]["depths"]["heads"]]
    return dict(zip(names, zip(seaborn.color_palette("colorblind", len(names)), cycle(MARKERS)), strict=False))


def _axes(n: int = 1, height: float = 4.8) -> list[Axes]:
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        figure = Figure(figsize=(8, height), layout="constrained")
        return list(np.ravel(figure.subplots(n, 1, height_ratios=(3, 2)[:n])))
