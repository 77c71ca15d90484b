"""DET curves: miss against false-alarm rate on normal deviates (Martin et al., Eurospeech 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.plots.axes import (
    DASHES,
    MARKERS,
    NARROW,
    ShownAxes,
    dress,
    new_axes,
    plain,
    short,
    width_of,
    write_title,
)
from analysis.plots.conditions import too_few_of
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import BLACK, NAMED
from analysis.plots.panels import is_alone, label_outer, panel_legend, panels, print_below
from analysis.plots.saving import FIGURES, figure_of, save_figure
from analysis.plots.style import check_few, check_split, named, small_print, stamp_lines, titled
from analysis.plots.tidy import takes_table
from analysis.runs.loading import load
from cache import ProbeError
from probing.metrics import eer, roc
from probing.metrics.decomposition import FEW_TRIALS, POOLED, conditions
from probing.runs import Run

# curves of conditions on one pair of axes: as many as there are dashes to tell them apart
MOST_TOGETHER = 5
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


def det_curves(
    curves: Mapping[str, pd.DataFrame],
    ax: Axes | None = None,
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw one curve for each set of trials, its EER in the legend, where the point of its EER is
    marked.

    Lines differ in dashes and marks, so that they can be told apart in grey. More than 5 beside the
    pooled one have panels of their own, with the pooled one in grey in each.

    Args:
        curves: by name, trials with `label` and `score`, both classes in each.
        ax: where to draw, all curves on it; default a new figure.
        title: whose scores these are.
        labels: by name, what the legend has instead of the EER.

    Returns:
        The axes; `analysis.save_figure(ax, "det.pdf")` keeps them.

    >>> from analysis import load
    >>> det_curves({"linear": load("results/demo.run").trials("linear-layer-02")}).get_ylabel()
    'misses (%)'
    """
    check_few(len(curves) - 1)
    labels = labels or {}
    rates = {name: _rates(trials) for name, trials in curves.items()}
    labels = {name: labels.get(name, f"{100 * rate.eer:.2f} %") for name, rate in rates.items()}
    least = min([0.5, *(rate.least for rate in rates.values())])
    of_conditions = [name for name in curves if name != POOLED]
    if len(of_conditions) > MOST_TOGETHER and (ax is None or is_alone(ax)):
        return _in_panels(ax or new_axes(4.8, 8), rates, labels=labels, least=least, title=title)
    ax = ax or new_axes(6, 8)
    for name, rate in rates.items():
        place = of_conditions.index(name) if name != POOLED else 0
        called = f"{plain(name)}, {labels[name]}"
        _draw(ax, rate, is_pooled=name == POOLED, place=place, called=called)
    _frame(ax, least, 0)
    titled(ax, title)
    dress(ax)
    if float(figure_of(ax).get_size_inches()[0]) < NARROW:
        legend(ax, title="EER", handlelength=3.5)
        return ax
    beside: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.01, 1),
        "title_fontsize": look().legend_pt,
    }
    ax.legend(title="EER", fontsize=look().legend_pt, frameon=False, handlelength=3.5, **beside)
    return ax


@dataclass(frozen=True)
class _Rates:
    """A curve as deviates of false alarms and misses, its EER (0 to 1), and half of what one trial
    is of a rate.
    """

    false_alarm: NDArray[np.float64]
    miss: NDArray[np.float64]
    eer: float
    least: float


def _rates(trials: pd.DataFrame) -> _Rates:
    bonafide = trials["label"].eq("bonafide").to_numpy()
    scores = trials["score"].to_numpy(np.float64)
    corners = roc(bonafide, scores).corners()
    least = 0.5 / max(bonafide.sum(), (~bonafide).sum())
    return _Rates(
        _deviates(corners.false_alarm), _deviates(corners.miss), eer(bonafide, scores), least
    )


def _draw(
    ax: Axes, rates: _Rates, is_pooled: bool, place: int, called: str, colour: Any = None
) -> None:
    """A curve with a mark at its corner nearest to equal rates."""
    nearest = int(np.argmin(np.abs(rates.false_alarm - rates.miss)))
    ax.plot(
        rates.false_alarm,
        rates.miss,
        color=colour or (BLACK if is_pooled else NAMED[place % len(NAMED)]),
        ls=DASHES[0] if is_pooled else DASHES[1:][place % len(DASHES[1:])],
        lw=2.2 if is_pooled else 1.4,
        marker="*" if is_pooled else MARKERS[place % len(MARKERS)],
        markevery=[nearest],
        ms=9 if is_pooled else 6,
        label=called,
    )


def _frame(ax: Axes, least: float, n_ticks: int) -> None:
    """Scales of deviates with ticks in per cent, and the line of equal rates."""
    ticks = [tick for tick in TICKS if tick >= least]
    ticks = ticks[len(ticks) % 2 :: max(1, round(len(ticks) / n_ticks))] if n_ticks else ticks
    low, high = _deviates(np.array([max(least, 0.0005), 0.9]))
    ax.plot([low, high], [low, high], color="0.7", lw=0.8, ls=":")
    ax.set(
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
        xlabel="false alarms (%)",
        ylabel="misses (%)",
    )
    ax.set_xticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])
    ax.set_yticks(_deviates(np.array(ticks)), [f"{100 * tick:g}" for tick in ticks])


def _in_panels(
    ax: Axes, rates: Mapping[str, _Rates], labels: Mapping[str, str], least: float, title: str
) -> Axes:
    """A panel a condition, with the pooled trials behind it."""
    names = [name for name in rates if name != POOLED]
    drawn_on, _ = panels(ax, len(names), square=True)
    few_ticks = 3 if float(figure_of(ax).get_size_inches()[0]) < NARROW else 5
    for panel, name in zip(drawn_on, names, strict=True):
        if POOLED in rates:
            panel.plot(rates[POOLED].false_alarm, rates[POOLED].miss, color="0.7", lw=1.8)
        _draw(panel, rates[name], is_pooled=False, place=0, called=name, colour=NAMED[0])
        _frame(panel, least, few_ticks)
        letters = width_of(panel) * 72 / (0.56 * look().legend_pt)
        rate = labels[name] if len(labels[name]) < letters else labels[name].replace(" [", "\n[")
        write_title(panel, f"{short(name)}\n{rate}", fontsize=look().legend_pt, pad=3)
    label_outer(drawn_on, "false alarms (%)", "misses (%)", square=True)
    dress(ax)
    handles = [
        Line2D(
            [],
            [],
            color=NAMED[0],
            ls=DASHES[1],
            marker=MARKERS[0],
            label="one condition, and its EER",
        )
    ]
    if POOLED in rates:
        handles.append(Line2D([], [], color="0.7", lw=1.8, label=f"{POOLED}, {labels[POOLED]}"))
    panel_legend(ax, handles, title)
    return ax


def _curves_of(trials: pd.DataFrame, by: str = "attack", ax: Axes | None = None) -> Axes:
    """DET curves of a table of trials: of all, and by a column if it has that."""
    if not {"label", "score"} <= set(trials):
        raise ProbeError(
            "a table with the columns "
            f"{', '.join(map(str, trials))}. Expected trials: label and score"
        )
    if by not in trials:
        return det_curves({POOLED: trials}, ax)
    check_few(trials[by].nunique(), by)
    found = conditions(trials.astype({by: str}), [by])
    several = {str(condition[by]): chosen for condition, chosen in found}
    return det_curves(
        {name: chosen for name, chosen in several.items() if chosen["label"].nunique() == 2}, ax
    )


@takes_table(_curves_of)
def det_curve(
    run: str | Path | Run, by: str = "attack", split: str = "eval", ax: Axes | None = None
) -> Axes:
    """DET curves of the linear probe of the layer chosen on dev, pooled and by a condition.

    The legend has each EER with its interval.

    Args:
        run: a run.
        by: `attack`, or any column of the corpus; see `LoadedRun.by`.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: the corpus has no such column.

    >>> det_curve("results/demo.run").get_ylabel()
    'misses (%)'
    """
    check_split(split)
    run = load(run)
    layer = run.record.finding.layer
    trials = run.trials(f"linear-layer-{layer:02d}", run.part(split))
    if by not in trials:
        raise ProbeError(
            f"{run.folder}: its trials have no column {by!r}. Expected one of {', '.join(trials)}"
        )
    check_few(trials[by].nunique(), by)
    rates = run.by(by, split).query("layer == @layer").set_index("condition")
    found = conditions(trials.astype({by: str}), [by])
    curves = {str(condition[by]): chosen for condition, chosen in found}
    curves = {name: curves[name] for name in rates.index if name in curves}
    labels = {
        name: f"{row.eer:.1f} % [{row.low:.1f}, {row.high:.1f}]" for name, row in rates.iterrows()
    }
    few = too_few_of(run, by, split, list(curves))
    notes = (
        [f"not drawn, fewer than {FEW_TRIALS} trials of a class: {', '.join(few.index)}"]
        if len(few)
        else []
    )
    title = f"linear probe at layer {layer}"
    ax = ax or (new_axes(6.4, 9) if len(curves) - 1 <= MOST_TOGETHER else new_axes(4.8, 8))
    det_curves(curves, ax, named([run], title), labels)
    lines = stamp_lines([run], split, notes=notes)
    if len(figure_of(ax).axes) > 1 and isinstance(ax, ShownAxes):
        print_below(ax, named([run], title), lines)
    else:
        small_print(ax, named([run], title), lines, width_of(ax))
    return ax


def save_det_curves(
    curves: Mapping[str, pd.DataFrame], folder: Path, title: str = "", name: str = "det"
) -> list[Path]:
    """Draw the curves into a folder as png and svg; returns the paths.

    >>> import pandas as pd
    >>> from pathlib import Path
    >>> trials = pd.DataFrame({"label": ["bonafide", "spoof"] * 10, "score": range(20)})
    >>> [path.name for path in save_det_curves({"all": trials}, Path())]
    ['det.png', 'det.svg']
    """
    ax = det_curves(curves, title=title)
    return [save_figure(ax, folder / f"{name}.{kind}") for kind in FIGURES]


def _deviates(shares: np.ndarray) -> np.ndarray:
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in np.clip(shares, 1e-7, 1 - 1e-7)])
