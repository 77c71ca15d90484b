"""Pictures of transferability, beside the probes that were trained."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import GREY, MARKERS, colours, new_axes, whole_numbers
from analysis.plots.legends import legend
from analysis.plots.style import label
from analysis.runs.loading import load
from analysis.transferability.prediction import predicts
from probing.runs import Run

NAMES = {"logme": "LogME", "h_score": "H-score", "transrate": "TransRate", "gbc": "GBC"}


def transfer_curve(run: str | Path | Run, scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Scores without training by layer, each from 0 to 1, and the trained probes' metric.

    The axis of the metric, on the right, is turned over if lower is better, as of the EER, so that
    good is up for all; its band is the 95 % interval. The legend has Kendall's tau of each score
    with the metric.

    Args:
        run: of the cache that was scored.
        scores: of `transfer_scores`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: the scores are of another cache or target, or of fewer than three layers that
            were probed.

    >>> from analysis import load, transfer_scores
    >>> run = load("results/demo.run")
    >>> transfer_curve(run, transfer_scores(run.cache, scores=["logme"])).get_xlabel()
    'layer (0 = input of the first block)'
    """
    ax = ax or new_axes()
    run = load(run)
    found = predicts(run, scores).set_index("score")["kendall"]
    layers = run.layers.query("split == 'eval'").set_index("layer")
    rates = ax.twinx()
    rates.set_zorder(ax.get_zorder() - 1)
    ax.patch.set_visible(False)
    x = layers.index.astype(int)
    rates.fill_between(x, layers["low"], layers["high"], color=GREY, alpha=0.2, lw=0)
    rates.plot(x, layers[run.metric.name], color="0.35", lw=2)
    turned = "" if run.metric.higher_is_better else ", turned over"
    rates.set(ylabel=f"{run.metric.axis_of(' on eval')}{turned}; band: 95 %")
    if turned:
        rates.invert_yaxis()
    rates.grid(False)
    ax.plot([], [], color="0.35", lw=2, label="trained probe")
    drawn = scores[[name for name in scores.columns if name in found]]
    # so that a score has the same colour in every picture
    places = {name: place for place, name in enumerate(NAMES)}
    for i, (name, values) in enumerate(drawn.items()):
        place = places.get(str(name), len(NAMES) + i)
        colour, marker = colours(place + 1)[place], MARKERS[place % len(MARKERS)]
        spread = values.max() - values.min()
        scaled = (values - values.min()) / spread if spread else values * 0 + 0.5
        tau = "no order" if pd.isna(found[name]) else f"τ {found[name]:z.2f}"
        text = f"{NAMES.get(str(name), str(name))} ({tau})"
        ax.plot(
            values.index.astype(int), scaled, color=colour, marker=marker, ms=4, lw=1.2, label=text
        )
    ax.set(
        xlabel="layer (0 = input of the first block)",
        ylabel="score, from its lowest (0) to its highest (1)",
    )
    ax.set(xlim=(-0.3, max(run.n_blocks, 1) + 0.3), ylim=(-0.3, 1.05))
    whole_numbers(ax)
    label(ax, [run], title="without training")
    legend(ax)
    return ax
