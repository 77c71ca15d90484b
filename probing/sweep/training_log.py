"""Training of heads by epoch, as a run keeps it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError, ProbeError
from probing.heads.recipes import Recipe
from probing.heads.stack import Model
from probing.runs.form import TRAINING
from probing.sealing import check_file
from probing.targets.metrics import Metric

MOST_ROWS = 100_000  # about 6 MB
TRACKERS = ("none", "tensorboard")


@dataclass(frozen=True)
class TrainingLog:
    """The training of one model.

    model: which.
    epochs: (E, 3), of each the losses on train while it learned and on dev, and the metric on dev;
        NaN after it stopped.
    fold: of a cross-validation, which.
    """

    model: Model
    epochs: NDArray[np.float32]
    fold: int = 0

    def table(self, recipe: Recipe, metric: Metric) -> pd.DataFrame:
        """One row an epoch, see `training_table`."""
        epochs = np.flatnonzero(np.isfinite(self.epochs[:, 1]))
        on_train, on_dev, figure = self.epochs[epochs].T
        kept = np.zeros(len(epochs), bool)
        lowest = np.argsort(on_dev, kind="stable")[: recipe.keep] + recipe.successors
        kept[lowest[lowest < len(epochs)]] = True
        return pd.DataFrame(
            {
                "head": self.model.head,
                "depth": self.model.depth,
                "seed": self.model.seed,
                "fold": self.fold,
                "learning_rate": self.model.learning_rate,
                "weight_decay": self.model.weight_decay,
                "epoch": epochs + 1,
                "train_loss": on_train,
                "dev_loss": on_dev,
                "kept": kept.astype(int),
                f"dev_{metric.name}": figure,
            }
        )


def training_table(logs: Iterable[TrainingLog], recipe: Recipe, metric: Metric) -> pd.DataFrame:
    """The training of models that were chosen, one row an epoch.

    A table of very many rows has only every n-th epoch, and those that were kept.

    Args:
        logs: of the models.
        recipe: that trained them.
        metric: of the target.

    Returns:
        head, depth, seed, fold, learning_rate, weight_decay, epoch (from 1), train_loss (the mean
        while it learned), dev_loss, kept (1 where the parameters of the epoch are, or are part of,
        those of the head), and the metric on dev of the parameters of the epoch. That of a mean of
        several epochs is in the results of the run.
    """
    table = pd.concat([log.table(recipe, metric) for log in logs], ignore_index=True)
    step = -(-len(table) // MOST_ROWS)
    return table[(table["kept"] == 1) | ((table["epoch"] - 1) % step == 0)].reset_index(drop=True)


def check_tracker(track: str) -> None:
    """Refuse a tracker that is unknown or not installed, before any work is done."""
    if track not in TRACKERS:
        raise OptionError("track", track, f"expected {' or '.join(TRACKERS)}")
    if track == "tensorboard":
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise OptionError(
                "track", track, "is not installed. Type: pip install tensorboard"
            ) from None


def read_training(run: Path) -> pd.DataFrame:
    """The table that a run keeps; see `training_table`.

    Raises:
        ProbeError: it trained no heads, or is of a version that kept no table.

    >>> sorted(read_training(Path("results/demo.run"))["head"].unique())[-1]
    'weighted-sum+linear'
    """
    path = run / TRAINING
    try:
        check_file(path)
        table = pd.read_csv(path)
        table[["depth", "seed", "fold", "epoch", "train_loss", "dev_loss", "kept"]].astype(float)
        return table.astype({"head": str})
    except (OSError, ValueError, KeyError) as error:
        raise ProbeError(
            f"{path}: no training of heads that can be read "
            f"({error}). A sweep that trains heads writes it"
        ) from None


def track(run: Path, folder: Path) -> None:
    """Write the training of a run's heads for TensorBoard, in the place of an earlier one."""
    write_tensorboard(read_training(run), folder)


def write_tensorboard(table: pd.DataFrame, folder: Path) -> None:
    """Write a table of `training_table` for TensorBoard, a run a model."""
    from torch.utils.tensorboard import SummaryWriter

    several = table["fold"].nunique() > 1
    figures = [
        name for name in table if str(name).endswith("_loss") or str(name).startswith("dev_")
    ]
    for (head, depth, seed, fold), rows in table.groupby(
        ["head", "depth", "seed", "fold"], sort=False
    ):
        name = f"{head}-depth-{depth:02d}-seed-{seed}" + (f"-fold-{fold}" if several else "")
        shutil.rmtree(folder / name, ignore_errors=True)
        with SummaryWriter(str(folder / name)) as writer:
            for row in rows.to_dict("records"):
                for figure in figures:
                    if np.isfinite(row[figure]):
                        writer.add_scalar(str(figure), row[figure], row["epoch"])
