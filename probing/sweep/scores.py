"""Scores of a sweep, as the files of its run have them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from probing.runs import RunWriter
from probing.sweep.split import Split


def add_scores(
    splits: Mapping[str, Split],
    writer: RunWriter,
    name: str,
    scores: Mapping[str, NDArray[np.float64]],
) -> None:
    """Write the scores of a probe or head by part, or its predictions of other targets."""
    for part, values in scores.items():
        split = splits[part]
        if split.task.is_spoofing:
            writer.add_scores(name, {part: split.table}, {part: values})
        else:
            table = split.task.table(split.table["utterance_id"], split.target, values)
            writer.add_predictions(f"{name}.{part}", table, inside=bool(split.unit))
