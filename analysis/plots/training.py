"""How a training went, by epoch: losses and the metric on dev, of a tuning (with rates) and of the
heads of a sweep.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import (
    colours,
    dress,
    new_axes,
    plain,
    whole_numbers,
    whole_rates,
    width_of,
)
from analysis.plots.depths import check_heads
from analysis.plots.legends import legend
from analysis.plots.look import look
from analysis.plots.palette import head_colour, head_marker
from analysis.plots.panels import axes_below
from analysis.plots.saving import figure_of, save_figure
from analysis.plots.style import label, titled
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache.errors import ProbeError
from probing.runs import Run
from probing.sweep.training_log import read_training
from probing.targets.metrics import METRICS

LOG = "training.csv"


def training_curve(folder: str | Path, ax: Axes | None = None) -> Axes:
    """Loss on train and dev by epoch, and the metric on dev on a second axis; averaged epochs are
    filled.

    Args:
        folder: of a tuned model.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: there is no training.csv that can be read.
    """
    path = Path(folder) / LOG
    try:
        table = pd.read_csv(path)
        (name,) = (
            column for column in table if str(column).startswith("dev_") and column != "dev_loss"
        )
        metric = METRICS[str(name).removeprefix("dev_")]
        table[["epoch", "train_loss", "dev_loss", name]].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise ProbeError(
            f"{path}: no training that can be read ({error}). Make it: probe tune RUN"
        ) from None
    ax = ax or new_axes()
    of_train, of_dev, of_metric = colours(3)
    epochs, values = table["epoch"], metric.scale * table[name]
    # markers of three sizes, of which only the smallest is filled, so that none hides another
    ax.plot(
        epochs, table["train_loss"], "o-", color=of_train, ms=10, mfc="none", label="loss, train"
    )
    ax.plot(epochs, table["dev_loss"], "s-", color=of_dev, ms=6, mfc="none", label="loss, dev")
    other = ax.twinx()
    other.grid(visible=False)
    other.plot(epochs, values, "--", color=of_metric, label=f"{metric.called}, dev")
    chosen = table["averaged"] == 1
    other.plot(epochs[chosen], values[chosen], "D", color=of_metric, ms=3.5, label="averaged")
    ax.set(xlabel="epoch", ylabel="loss")
    titled(ax, f"Tuning of {Path(folder).resolve().name}")
    whole_numbers(ax)
    other.set_ylabel(metric.axis_of(" on dev"))
    drawn = [*ax.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    dress(ax, other)
    figure_of(ax).legend(
        handles=drawn,
        loc="outside upper center",
        ncols=4 if width_of(ax) > 4 else 2,
        frameon=False,
        fontsize=look().legend_pt,
    )
    return ax


def of_head_training(run: LoadedRun) -> pd.DataFrame:
    """What `head_training_curve` draws, from `probing.sweep.training_log.training_table`; error
    rates in per cent.

    >>> from analysis import load
    >>> "epoch" in of_head_training(load("results/demo.run"))
    True
    """
    check_heads(run)
    table = read_training(run.folder)
    table[f"dev_{run.metric.name}"] *= run.metric.scale
    chosen = (table["depth"] == table["depth"].max()) & (table["seed"] == table["seed"].min())
    return table[chosen & (table["fold"] == table["fold"].min())].reset_index(drop=True)


def head_training_curve(run: str | Path | Run | LoadedRun, ax: Axes | None = None) -> Axes:
    """Loss on train (dashed) and dev by epoch of every head at full depth, of its first seed and
    fold.

    Below, unless the axes are somebody's own, the metric on dev; runs of earlier versions have it
    of kept epochs only. Marks are epochs whose parameters the head has: that of least loss on dev,
    or those averaged.

    Args:
        run: with heads.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: no heads were trained, or the run kept no table of it.

    >>> head_training_curve("results/demo.run").get_legend() is None
    False
    """
    loaded = load(run)
    table = of_head_training(loaded)
    ax = ax or new_axes()
    metric = loaded.metric
    of_metric = f"dev_{metric.name}"
    below = axes_below(ax, 0.6) if (table[of_metric].notna() & (table["kept"] == 0)).any() else None
    for head, rows in table.groupby("head", sort=False):
        colour = head_colour(str(head))
        ax.plot(rows["epoch"], rows["train_loss"], "--", color=colour, lw=1)
        ax.plot(rows["epoch"], rows["dev_loss"], color=colour, label=plain(str(head)))
        kept = rows[rows["kept"] == 1]
        mark = {"ls": "", "marker": head_marker(str(head)), "color": colour, "ms": 5}
        ax.plot(kept["epoch"], kept["dev_loss"], **mark)
        if below is not None:
            below.plot(rows["epoch"], rows[of_metric], color=colour)
            below.plot(kept["epoch"], kept[of_metric], **mark)
    ax.plot([], [], "--", color="0.3", lw=1, label="on train")
    ax.plot([], [], color="0.3", label="on dev; marks: kept")
    ax.set(ylabel="loss")
    (below or ax).set_xlabel("epoch")
    if below is not None:
        below.set_ylabel(metric.axis_of("\non dev"))
        whole_rates(below, metric=metric)
    whole_numbers(ax)
    title = f"heads at depth {table['depth'].max()}, seed {table['seed'].min()}"
    label(ax, [loaded], "dev", title, bands="losses weighted as in training", lowest=below)
    legend(ax)
    return ax


def save_training_curve(folder: Path) -> Path:
    """Draw `training.png` into the folder of a tuned model."""
    save_figure(training_curve(folder), folder / "training.png")
    return folder / "training.png"
