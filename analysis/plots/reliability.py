"""Reliability: claimed probabilities of bona fide against shares that are found (DeGroot & Fienberg
1983).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import DASHES, colours, dress, new_axes, plain
from analysis.plots.legends import legend
from analysis.plots.style import titled
from probing.labels import BONAFIDE
from probing.metrics import cllr
from probing.metrics.calibration import min_cllr, reliability


def reliability_curves(
    trials: Mapping[str, pd.DataFrame], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw claimed probabilities against found shares, both classes counting alike, with 95 %
    intervals.

    A point on the diagonal claims what is so; one below it for a probability above 50 % claims too
    much.

    Args:
        trials: by name, trials with `label` and `score`, which is read as a log-likelihood ratio.
        ax: where to draw; default a new figure.
        title: whose scores these are.

    >>> import numpy as np
    >>> labels = ["bonafide", "spoof"] * 50
    >>> trials = pd.DataFrame({"label": labels, "score": np.linspace(-3, 3, 100)})
    >>> reliability_curves({"scores": trials}).get_xlabel()
    'probability of bona fide claimed, at even prior (%)'
    """
    ax = ax or new_axes(5.8, 6.0)
    ax.plot([0, 100], [0, 100], color="0.6", lw=0.8, ls=":")
    for i, (name, table) in enumerate(trials.items()):
        bonafide = table["label"].eq(BONAFIDE).to_numpy()
        ratios = table["score"].to_numpy(np.float64)
        found = reliability(bonafide, ratios)
        least = min_cllr(bonafide, ratios)
        ends = 100 * np.abs(np.stack([found.low, found.high]) - found.found)
        ax.errorbar(
            100 * found.claimed,
            100 * found.found,
            ends,
            color=colours(len(trials))[i],
            marker="os"[i % 2],
            ls=DASHES[i % 2],
            ms=5,
            lw=1.3,
            elinewidth=0.8,
            label=f"{plain(name)}: Cllr {cllr(bonafide, ratios):.3f}, at least {least:.3f}",
        )
    ax.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    ax.set(
        xlabel="probability of bona fide claimed, at even prior (%)",
        ylabel="share of bona fide found (%)",
    )
    titled(ax, title)
    dress(ax)
    legend(ax)
    return ax
