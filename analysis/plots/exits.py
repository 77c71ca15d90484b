"""Early exit: EER against what is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from analysis.plots.axes import GREY, new_axes, whole_rates
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import head_colour
from analysis.plots.style import label
from analysis.runs.loading import load
from probing.exits import Exits, find_exits
from probing.runs import Run


def exit_curve(run: str | Path | Run, exits: Exits | None = None, ax: Axes | None = None) -> Axes:
    """EER (%) on eval against the share that is computed, of early exit and of each depth.

    Early exit is a curve over its thresholds; each depth alone is a point. If the run measured the
    backbone, the share is of its multiply-accumulates, else of its blocks.

    Args:
        run: a run of two classes.
        exits: what to draw; default `find_exits` of the run.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: see `probing.exits.find_exits`.

    >>> exit_curve("results/demo.run").get_ylabel()
    'EER on eval (%)'
    """
    run = load(run)
    exits = exits or find_exits(run)
    of_macs = not np.isnan(exits.macs)
    share = "macs" if of_macs else "blocks"
    ax = ax or new_axes()
    early, alone = head_colour(exits.policy.head), GREY
    curve = exits.curve[exits.curve["split"] == "eval"].drop_duplicates(share)
    ax.plot(
        100 * curve[share],
        100 * curve["eer"],
        color=early,
        lw=1.4,
        label="early exit, every threshold",
    )
    single = exits.alone[exits.alone["split"] == "eval"]
    ax.plot(
        100 * single[share],
        100 * single["eer"],
        color=alone,
        ls=":",
        marker="s",
        ms=4,
        label="every utterance at one depth",
    )
    for row in single.itertuples(index=False):
        place = (100 * getattr(row, share), 100 * row.eer)
        ax.annotate(
            f"{int(row.depth)}",
            place,
            (3, 4),
            textcoords="offset points",
            fontsize=look().note_pt,
            color=alone,
        )
    found = exits.at_exits
    ends = [[100 * (found.value - found.low)], [100 * (found.high - found.value)]]
    chosen = (
        "chosen on dev"
        if exits.policy.threshold is not None
        else "chosen on dev: none leaves early"
    )
    at = 100 * (exits.macs if of_macs else exits.blocks)
    ax.errorbar(
        [at],
        [100 * found.value],
        ends,
        color=early,
        marker="o",
        ms=8,
        capsize=3,
        lw=1.2,
        label=f"{chosen}, 95 %",
    )
    of_what = "multiply-accumulates" if of_macs else "blocks"
    ax.set(
        xlabel=f"share of the {of_what} at depth "
        f"{exits.policy.depths[-1]}, mean over utterances (%)"
    )
    ax.set(ylabel="EER on eval (%)")
    whole_rates(ax, 0)
    label(ax, [run], title=f"early exit, {exits.policy.head}")
    legend(ax)
    return ax
