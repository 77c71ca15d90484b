"""The training curve: what the log says, as a picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLES = {"train": "-", "heldout": "--"}


def draw_curve(log: Path, picture: Path) -> None:
    """Draw masked-unit accuracy against steps, from a training's log.csv.

    It is that of training and of held-out speakers.
    """
    table = pd.read_csv(log)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    kinds = sorted({name.split("_")[1] for name in table.columns if name.endswith("_accuracy")})
    learned = table[table[[f"train_{kind}_loss" for kind in kinds]].gt(0).all(axis=1)]
    for i, kind in enumerate(kinds):
        for part, style in STYLES.items():
            label = f"{kind} units, {'training' if part == 'train' else 'held-out'} speakers"
            axes.plot(
                learned["step"],
                learned[f"{part}_{kind}_accuracy"],
                style,
                color=f"C{i}",
                label=label,
            )
    axes.set_xlim(0, table["step"].max())
    if len(learned) < len(table):
        axes.axvspan(
            0,
            table["step"][~table.index.isin(learned.index)].max(),
            color="0.93",
            label="front end only",
        )
    axes.set(
        xlabel="step",
        ylabel="accuracy at masked frames",
        ylim=(0, None),
        title="Masked-unit prediction",
    )
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)
