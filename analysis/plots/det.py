"""DET curves: miss against false-alarm rate on normal deviates (Martin et al., Eurospeech 1997)."""

from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.style import DASHES, FIGURES, check_few, colours, label, new_axes, plain, save_figure
from analysis.runs.loading import load
from cache import ProbeError
from probing.metrics import eer, roc
from probing.metrics.decomposition import POOLED, conditions
from probing.runs import Run

TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


def det_curves(
    curves: Mapping[str, pd.DataFrame], ax: Axes | None = None, title: str = "", told: Mapping[str, str] | None = None
) -> Axes:
    """Draw one curve for each set of trials, its EER in the legend.

    Args:
        curves: by name, trials with `label` and `score`, both classes in each.
        ax: where to draw; default a new figure.
        title: whose scores these are.
        told: by name, what the legend says instead of the EER.

    Returns:
        The axes; `analysis.save_figure(ax, "det.pdf")` keeps them.
    """
    check_few(len(curves) - 1)
    ax = ax or new_axes(6, 8)
    told = told or {}
    least = 0.5
    for i, (name, trials) in enumerate(curves.items()):
        bonafide = trials["label"].eq("bonafide").to_numpy()
        scores = trials["score"].to_numpy(np.float64)
        corners = roc(bonafide, scores).corners()
        least = min(least, 0.5 / max(bonafide.sum(), (~bonafide).sum()))
        ax.plot(
            _deviates(corners.false_alarm),
            _deviates(corners.miss),
            color="0.15" if name == POOLED else colours(len(curves))[i],
            ls="-" if name == POOLED else DASHES[i % len(DASHES)],  # the pair comes back after twenty
            lw=2.2 if name == POOLED else 1.3,
            label=f"{plain(name)}, {told.get(name, f'{100 * eer(bonafide, scores):.2f} %')}",
        )
    ticks = [tick for tick in TICKS if tick >= least]
    low, high = _deviates(np.array([max(least, 0.0005), 0.9]))
    ax.plot([low, high], [low, high], color="0.7", lw=0.8, ls=":")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="false alarms (%)", ylabel="misses (%)")
    ax.set_xticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    ax.set_yticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    ax.legend(title="EER", fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, handlelength=3)
    ax.set_title(plain(title), loc="left", fontsize=11)
    return ax


def det_curve(run: str | Path | Run, by: str = "attack", split: str = "eval", ax: Axes | None = None) -> Axes:
    """DET curves of a run's linear probe at the layer chosen on dev, pooled and by a condition; EER with its interval.

    Args:
        run: a run.
        by: `attack`, or any column of the corpus; see `LoadedRun.by`.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: the corpus has no such column.

    >>> det_curve("results/demo.run").get_xlabel()
    'false alarms (%)'
    """
    run = load(run)
    layer = run.record.finding.layer
    trials = run.trials(f"linear-layer-{layer:02d}", run.part(split))
    if by not in trials:
        raise ProbeError(f"{run.folder}: its trials have no column {by!r}. Expected one of {', '.join(trials)}")
    check_few(trials[by].nunique(), by)
    rates = run.by(by, split).query("layer == @layer").set_index("condition")
    curves = {str(one[by]): chosen for one, chosen in conditions(trials.astype({by: str}), [by])}
    curves = {name: curves[name] for name in rates.index if name in curves}
    told = {name: f"{row.eer:.1f} % [{row.low:.1f}, {row.high:.1f}]" for name, row in rates.iterrows()}
    ax = det_curves(curves, ax or new_axes(6.4, 9), told=told)
    label(ax, [run], split, f"linear probe at layer {layer}")
    return ax


def save_det_curves(curves: Mapping[str, pd.DataFrame], folder: Path, title: str = "") -> list[Path]:
    """Draw the curves into a folder as png and svg; returns the paths."""
    ax = det_curves(curves, title=title)
    return [save_figure(ax, folder / f"det.{kind}") for kind in FIGURES]


def _deviates(shares: np.ndarray) -> np.ndarray:
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in np.clip(shares, 1e-7, 1 - 1e-7)])
