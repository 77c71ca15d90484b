"""A training that diverges: where its last good weights are, and what to lower."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from cache.errors import ProbeError, argument
from probing.tuning.checkpoints import CHECKPOINT, load_checkpoint
from probing.tuning.progress import Progress


def check_finite(value: float, what: str, progress: Progress, folder: Path, bf16: bool) -> None:
    """Refuse to go on with a loss or a gradient that is no number.

    Args:
        value: of it.
        what: it is, as `loss`.
        progress: how far the training is.
        folder: of its checkpoints.
        bf16: whether the products of the backbone are in 16 bits.

    Raises:
        ProbeError: the value is not finite.

    >>> check_finite(0.7, "loss", Progress(), Path("tuned"), bf16=False)
    """
    if math.isfinite(value):
        return
    good, anew = "There is no checkpoint yet", ""
    if (folder / CHECKPOINT).is_file():
        of = load_checkpoint(folder, torch.device("cpu"))
        assert of is not None
        good = (
            f"The last good checkpoint is {folder / CHECKPOINT}, after "
            f"{Progress(**of['progress']).done}"
        )
        anew = f"; that begins anew ({argument('overwrite', True)})"
    lower = f"Lower {argument('rate')} or {argument('head_rate')}"
    if bf16:
        lower += f", or leave {argument('precision', 'bf16')} out"
    raise ProbeError(
        f"the {what} became {value} at step {progress.step + 1} of epoch "
        f"{progress.epoch + 1}. {good}. {lower}{anew}"
    )
