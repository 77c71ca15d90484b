"""The progress of a training of a backbone: how far it is, and its log by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cache.atomic import replace_file

LOG = "training.csv"


@dataclass
class Progress:
    """How far a training is; a checkpoint holds it.

    epoch: epochs that are done, of head and backbone.
    step: steps that are done of the next epoch.
    loss: the sum of the losses of these steps.
    stopped: by the rule of the recipe.
    seconds: that it took.
    rows: of `training.csv`.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    stopped: bool = False
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def done(self) -> str:
        """What is done, for people.

        >>> Progress(epoch=2, step=3).done
        'epoch 2 and step 3 of the next'
        """
        step = f" and step {self.step} of the next" if self.step else ""
        return f"epoch {self.epoch}{step}"

    def begins(self, n_steps: int, n_epochs: int) -> str:
        """Where a training goes on, for people; it has `n_epochs` of `n_steps` each.

        >>> Progress(epoch=2, step=3).begins(n_steps=10, n_epochs=5)
        'from epoch 3, step 4 of 10'
        """
        if self.stopped or self.epoch >= n_epochs:
            return "after the last epoch"
        step = f", step {self.step + 1} of {n_steps}" if self.step else ""
        return f"from epoch {self.epoch + 1}{step}"


def write_log(path: Path, progress: Progress, averaged: Sequence[int], metric: str) -> None:
    """Write the rows of epochs as csv.

    Args:
        path: of the file.
        progress: with the rows.
        averaged: epochs whose weights are averaged, or would be now; 1 in the column `averaged`.
        metric: name of the metric on dev.
    """
    table = pd.DataFrame(progress.rows)
    of_average = table["epoch"].isin(averaged) & table["train_loss"].notna()
    table = table.assign(epoch=table["epoch"].astype(int), averaged=of_average.astype(int))
    text = io.StringIO()
    table.rename(columns={"dev": f"dev_{metric}"}).to_csv(text, index=False)
    replace_file(path, text.getvalue().encode())
