"""Pictures of robustness: a heat map of layer by condition, and curves against the SNR."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from analysis.plots.axes import new_axes, plain, short, whole_rates
from analysis.plots.heat_maps import layer_map
from analysis.plots.legends import legend
from analysis.plots.style import check_few, label
from analysis.robustness.figures import CLEAN, RobustnessTable
from cache import ProbeError

MOST_CURVES = 7


def robustness_map(found: RobustnessTable, ax: Axes | None = None) -> Axes:
    """EER (%) of the clean-trained linear probe by layer (across) and condition (down), its rise in
    points below.

    A rise whose 95 % interval leaves 0 out is marked with `*`.

    Args:
        found: of `measure`, or of `read_robustness`.
        ax: where to draw; default a new figure as large as it needs to be.

    >>> from pathlib import Path
    >>> from analysis import load
    >>> from analysis.robustness.stored import read_robustness
    >>> found = read_robustness(load("results/demo.run"), Path("results/demo.robustness"))
    >>> robustness_map(found).get_ylabel()
    'condition'
    """
    order = [CLEAN, *(condition.name for condition in found.conditions)]
    check_few(len(order))
    rows = found.layers
    rates = rows.pivot(index="condition", columns="at", values="eer").loc[order]
    texts = rows.assign(text=rows.apply(_cell, axis=1)).pivot(
        index="condition", columns="at", values="text"
    )
    ax = ax or new_axes(
        1.9 + 0.42 * len(order), max(8.0, 2.6 + 0.6 * len(rates.columns)), by_text=True
    )
    note = layer_map(
        rates.set_axis([short(name) for name in order]), ax, "EER on eval (%)", texts.loc[order]
    )
    below = "\nbelow an EER: its rise in points, * if the interval leaves 0 out"
    has_rises = any("\n" in text.get_text() for text in ax.texts)
    ax.set(
        xlabel=f"layer (0 = input of the first block){below if has_rises else ''}",
        ylabel="condition",
    )
    label(ax, [found.run], "eval", "Trained on clean audio", below=54, notes=[note])
    return ax


def _cell(row: pd.Series[float]) -> str:
    if row["condition"] == CLEAN:
        return f"{row['eer']:.0f}\n{row['low']:.0f}–{row['high']:.0f}"
    mark = "*" if row["rise_low"] > 0 or row["rise_high"] < 0 else ""
    return f"{row['eer']:.0f}\n{row['rise']:+z.0f}{mark}"


def snr_kinds(found: RobustnessTable) -> list[str]:
    """The kinds of noise that are there at two SNRs or more.

    >>> from pathlib import Path
    >>> from analysis import load
    >>> from analysis.robustness.stored import read_robustness
    >>> found = read_robustness(load("results/demo.run"), Path("results/demo.robustness"))
    >>> snr_kinds(found)
    ['noise:white']
    """
    ratios = found.layers.dropna(subset="snr_db").groupby("kind", sort=False)["snr_db"].nunique()
    return [str(kind) for kind, n in ratios.items() if n > 1]


def snr_curve(found: RobustnessTable, kind: str, ax: Axes | None = None) -> Axes:
    """EER (%) of linear probes against the SNR in dB, clean at the right end; up to seven layers at
    even distances.

    Args:
        found: of `measure`, or of `read_robustness`.
        kind: of `snr_kinds`, as `noise:white`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: the kind is not there at two SNRs.

    >>> from pathlib import Path
    >>> from analysis import load
    >>> from analysis.robustness.stored import read_robustness
    >>> found = read_robustness(load("results/demo.run"), Path("results/demo.robustness"))
    >>> snr_curve(found, "noise:white").get_ylabel()
    'EER on eval (%)'
    """
    if kind not in snr_kinds(found):
        raise ProbeError(
            f"{kind}: is not there at two SNRs. Expected one of "
            f"{', '.join(snr_kinds(found)) or 'none'}"
        )
    rows = found.layers[found.layers["kind"] == kind].sort_values("snr_db")
    clean = found.layers[found.layers["condition"] == CLEAN].set_index("at")[["eer", "low", "high"]]
    layers = sorted(rows["at"].unique())
    chosen = found.run.record.finding.layer
    few = {
        layers[i]
        for i in np.linspace(0, len(layers) - 1, min(MOST_CURVES, len(layers))).round().astype(int)
    }
    ratios = sorted(rows["snr_db"].unique())
    places = dict(zip(ratios, range(len(ratios)), strict=True))
    ax = ax or new_axes()
    drawn = sorted(few | {chosen})
    for colour, layer in zip(seaborn.color_palette("viridis", len(drawn)), drawn, strict=True):
        mine = rows[rows["at"] == layer]
        x = [*(places[ratio] for ratio in mine["snr_db"]), len(ratios)]
        named = f"layer {layer} (chosen on dev)" if layer == chosen else f"layer {layer}"
        ax.plot(
            x,
            [*mine["eer"], clean.loc[layer, "eer"]],
            marker="o",
            color=colour,
            lw=2.5 if layer == chosen else 1.2,
            label=named,
        )
        if layer == chosen:
            low, high = ([*mine[name], clean.loc[layer, name]] for name in ("low", "high"))
            ax.fill_between(x, low, high, color=colour, alpha=0.15, lw=0, label="its 95 % interval")
    ax.axhline(50, color="0.6", ls=":", lw=1, label="chance")
    ax.set_xticks(range(len(ratios) + 1), [*(f"{ratio:g}" for ratio in ratios), CLEAN])
    ax.set(xlabel=f"SNR of {plain(kind)} (dB)", ylabel="EER on eval (%)")
    whole_rates(ax)
    label(ax, [found.run], "eval", "Trained on clean audio")
    legend(ax)
    return ax
