"""DET curves: miss against false-alarm rate on normal deviates (Martin et al., Eurospeech 1997)."""

from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import colours
from probing.metrics import eer, roc
from probing.metrics.decomposition import POOLED

FIGURES = ("png", "svg")
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


def det_curves(curves: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw one curve for each set of trials, its EER in the legend.

    Args:
        curves: by name, trials with `label` and `score`, both classes in each.
        ax: where to draw; default a new figure.

    Returns:
        The axes; `ax.figure.savefig(...)` keeps them.
    """
    if ax is None:
        with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
            ax = Figure(figsize=(6.4, 6), layout="constrained").subplots()
    least = 0.5
    for colour, (name, trials) in zip(colours(len(curves)), curves.items(), strict=True):
        bonafide, scores = trials["label"].eq("bonafide").to_numpy(), trials["score"].to_numpy(np.float64)
        corners = roc(bonafide, scores).corners()
        least = min(least, 0.5 / max(bonafide.sum(), (~bonafide).sum()))
        label = f"{name}, {100 * eer(bonafide, scores):.2f} %"
        ax.plot(
            _deviates(corners.false_alarm),
            _deviates(corners.miss),
            color="0.15" if name == POOLED else colour,
            lw=1.4,
            label=label,
        )
    ticks = [tick for tick in TICKS if tick >= least]
    low, high = _deviates(np.array([max(least, 0.0005), 0.9]))
    ax.plot([low, high], [low, high], color="0.7", lw=0.8, ls=":")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="false alarms (%)", ylabel="misses (%)")
    ax.set_xticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    ax.set_yticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    ax.legend(title="EER", fontsize=8, loc="upper right", frameon=True)
    return ax


def save_det_curves(curves: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Draw the curves into a folder as png and svg; returns the paths."""
    figure, paths = det_curves(curves).get_figure(root=True), [folder / f"det.{kind}" for kind in FIGURES]
    assert figure is not None
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _deviates(shares: np.ndarray) -> np.ndarray:
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in np.clip(shares, 1e-7, 1 - 1e-7)])
