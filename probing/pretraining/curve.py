"""The training curve: what the log says, as a picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLES = {"train": "-", "heldout": "--"}


def draw_curve(log: Path, picture: Path) -> None:
    """Draw masked-unit accuracy against steps, on training and held-out speakers, from a training's log.csv."""
    table = pd.read_csv(log)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    kinds = sorted({name.split("_")[1] for name in table.columns if name.endswith("_accuracy")})
    for i, kind in enumerate(kinds):
        for part, style in STYLES.items():
            label = f"{kind} units, {'training' if part == 'train' else 'held-out'} speakers"
            axes.plot(table["step"], table[f"{part}_{kind}_accuracy"], style, color=f"C{i}", label=label)
    axes.set(xlabel="step", ylabel="accuracy at masked frames", ylim=(0, None), title="Masked-unit prediction")
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)
