"""Trials: targets with the scores of a probe, and the figures of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from probing.metrics import Resamples, eer, eer_resamples

# how scores of classes are kept of many trials, see `Task.compact`
COMPACT = np.dtype([("chosen", np.intp), ("bits", np.float64)])
Values = NDArray[Any]  # (N,) bool of two classes, whole numbers of more, float64 of numbers


class Trials(Protocol):
    """Trials with their scores."""

    def figures(self) -> dict[str, float]:
        """Every figure of the task by name."""

    def resampled(self, resamples: Resamples) -> dict[str, NDArray[np.float64]]:
        """Every figure (R,) of resamples of these trials."""


@dataclass(frozen=True)
class BinaryTrials:
    """Trials of two classes: (N,) true for the positive one, and scores, higher for it."""

    positive: NDArray[np.bool_]
    scores: NDArray[np.float64]

    def figures(self) -> dict[str, float]:
        """See `Trials`."""
        return {"eer": eer(self.positive, self.scores)}

    def resampled(self, resamples: Resamples) -> dict[str, NDArray[np.float64]]:
        """See `Trials`."""
        return {"eer": eer_resamples(self.positive, self.scores, resamples)}
