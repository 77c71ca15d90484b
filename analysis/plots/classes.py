"""Pictures of a target with classes: recall by layer and class, and confusions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from analysis.plots.axes import new_axes, short, width_of
from analysis.plots.heat_maps import LETTER, beside_cells, hatch, layer_map, that_fit
from analysis.plots.look import SCREEN_PT, look
from analysis.plots.panels import is_alone
from analysis.plots.saving import figure_of
from analysis.plots.style import check_few, check_split, label
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from probing.metrics import confusion
from probing.runs import Run
from probing.runs.condition_names import condition_values
from probing.targets.metrics import CLASSES

MOST_NUMBERS = 25  # classes of which shares are written into cells
FEW = 5  # trials of a class; with fewer its cells are hatched


def class_map(run: str | Path | Run, split: str = "eval", ax: Axes | None = None) -> Axes:
    """Recall (%) of the linear probe by layer (across) and class (down); classes of fewer than 5
    trials are hatched.

    Args:
        run: a run whose target has classes.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure as large as it needs to be.

    Raises:
        ProbeError: a run of another target, or of more classes than can be drawn.

    >>> class_map("results/vowels.run").get_xlabel()
    'layer (0 = input of the first block)'
    """
    check_split(split)
    run = load(run)
    _check_classes(run)
    rows = run.rows("by-class", split, run.corpus)
    rows = rows.assign(
        name=[
            condition_values(name, [run.task.target])[run.task.target] for name in rows["condition"]
        ]
    )
    table = 100 * rows.pivot(index="name", columns="layer", values="value")
    counts = run.record.counts[run.part(split)]
    there = [name for name in run.task.classes if name in table.index]
    table = table.loc[there].set_axis([f"{short(name)} ({counts[name]})" for name in there])
    ax = ax or new_axes(
        1.8 + 0.36 * len(there), max(8.0, 2.6 + 0.5 * len(table.columns)), by_text=True
    )
    few = [i for i, name in enumerate(there) if counts[name] < FEW]
    rates = table.astype(float)
    texts = rates.map("{:.0f}".format)
    note = layer_map(rates, ax, f"recall on {split} (%)", annotations=texts, few=few, vmax=100)
    ax.set(xlabel="layer (0 = input of the first block)", ylabel="")
    bands = "trials in brackets" + (f"; hatched: fewer than {FEW}" if few else "")
    label(ax, [run], split, title=f"{run.task.target} by class", bands=bands, notes=[note])
    return ax


def confusion_picture(
    run: str | Path | Run, layer: int | None = None, split: str = "eval", ax: Axes | None = None
) -> Axes:
    """What each class (down) is taken for (across) by a layer's probe, in % of its trials.

    Args:
        run: a run whose target has classes.
        layer: default that chosen on dev.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure as large as it needs to be.

    Raises:
        ProbeError: a run of another target, or of more classes than can be drawn.

    >>> confusion_picture("results/vowels.run", layer=2).get_xlabel()
    'taken for'
    """
    check_split(split)
    run = load(run)
    _check_classes(run)
    layer = run.record.finding.layer if layer is None else layer
    trials = run.trials(f"linear-layer-{layer:02d}", run.part(split))
    number = {name: i for i, name in enumerate(run.task.classes)}
    target, chosen = (
        trials[name].map(number).to_numpy(np.intp) for name in ("target", "predicted")
    )
    table = confusion(target, chosen, len(number))
    n = table.sum(axis=1)
    names = [short(name) for name in run.task.classes]
    longest = max(map(len, names))
    side = 2.0 + 0.42 * len(names) + 0.085 * longest
    rows = [f"{name} ({count})" for name, count in zip(names, n, strict=True)]
    # characters of the name of a column, one below the other
    upright = longest if longest > 3 else 1
    under = LETTER * upright * look().tick_pt / 72
    # as high as its rows are names, or as its cells are wide
    if ax is None and (width := look().width) is not None:
        cell = max(
            1.25 * look().tick_pt / 72, (width - beside_cells(max(map(len, rows)))) / len(names)
        )
        height = (
            (len(names) * cell + under + 4 * look().font_size / 72) * SCREEN_PT / look().font_size
        )
    else:
        height = max(3.2, side + 0.3)
    ax = ax or new_axes(height, max(5.0, side + 1.6), by_text=True)
    shares = pd.DataFrame(100 * table / np.maximum(n, 1)[:, None])
    alone = is_alone(ax)
    across = (
        float(figure_of(ax).get_size_inches()[0]) - beside_cells(max(map(len, rows)))
        if alone
        else width_of(ax)
    )
    named = across / len(names) > look().tick_pt / 72  # else names would lie over each other
    texts, note = (None, "")
    if len(names) <= MOST_NUMBERS:
        texts, note = that_fit(shares.map("{:.0f}".format), ax, max(map(len, rows)), under)
    seaborn.heatmap(
        shares.to_numpy(),
        annot=False if texts is None else texts.to_numpy(),
        fmt="",
        annot_kws={"fontsize": look().cell_pt},
        cmap="cividis",
        vmin=0,
        vmax=100,
        linewidths=0.5,
        mask=np.repeat(n[:, None] == 0, len(names), axis=1),
        xticklabels=names if named else False,
        yticklabels=rows,
        cbar_kws={"label": f"% of the class on {split}"},
        ax=ax,
    )
    few = np.flatnonzero(n < FEW)
    hatch(ax, few, len(names))
    ax.set(
        xlabel="taken for" if named else "taken for (in the same order)",
        ylabel=short(run.task.target),
    )
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=90 if longest > 3 else 0)
    bands = "trials in brackets" + (f"; hatched: fewer than {FEW}" if len(few) else "")
    below = 38 + (5.2 * longest if longest > 3 and named else 0)
    label(ax, [run], split, title=f"layer {layer}", bands=bands, below=below, notes=[note])
    return ax


def _check_classes(run: LoadedRun) -> None:
    if run.task.name != CLASSES:
        raise ProbeError(
            f"{run.folder}: its target, {run.task.target}, is not one of several classes. Sweep "
            "with a column that is, as --target speaker"
        )
    check_few(len(run.task.classes), classes=True)
