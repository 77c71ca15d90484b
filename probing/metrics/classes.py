"""Figures of a probe whose target has classes: accuracies at equal priors, and information in bits.

A class-balanced probe gives scores at equal priors. Its decisions are the highest score; its probabilities are the
scores moved to the shares that the classes had in training, as the cross-entropy needs them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError


@dataclass(frozen=True)
class ClassFigures:
    """What a probe of M classes reached on N trials.

    macro_f1: mean over the classes of the trials of their F1. balanced_accuracy: mean of their recalls. accuracy.
    cross_entropy: mean of -log2 of the probability given to the true class, in bits.
    entropy: the same of a predictor that sees no input and knows the shares of training.
    """

    macro_f1: float
    balanced_accuracy: float
    accuracy: float
    cross_entropy: float
    entropy: float

    @property
    def v_information(self) -> float:
        """Bits about the target that the probe can use: entropy - cross_entropy (Xu et al., ICLR 2020); may be < 0."""
        return self.entropy - self.cross_entropy


def class_figures(target: ArrayLike, scores: ArrayLike, prior: ArrayLike | None = None) -> ClassFigures:
    """Compute every figure.

    Args:
        target: (N,) whole numbers from 0 to M - 1.
        scores: (N, M) margins of a class-balanced probe, or any log probabilities at equal priors.
        prior: (M,) shares of the classes in training, each above 0; default equal.

    Raises:
        ScoresError: no trials, lengths that differ, a score that is NaN or infinite, or a class that has no prior.

    >>> found = class_figures([0, 1, 2, 2], np.log([[.8, .1, .1], [.1, .8, .1], [.1, .1, .8], [.1, .8, .1]]))
    >>> round(found.accuracy, 2), round(found.balanced_accuracy, 3), round(found.v_information, 3)
    (0.75, 0.833, 0.513)
    """
    y = np.asarray(target)
    margins = np.asarray(scores, np.float64)
    if margins.ndim != 2 or len(y) != len(margins) or not len(y):
        raise ScoresError(f"{len(y)} targets and scores of shape {margins.shape}: expected (N,) and (N, M), N above 0")
    if not np.isfinite(margins).all():
        raise ScoresError("scores: expected finite numbers")
    n_classes = margins.shape[1]
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= n_classes:
        raise ScoresError(f"targets: expected whole numbers from 0 to {n_classes - 1}, one for each column of scores")
    shares = np.full(n_classes, 1 / n_classes) if prior is None else np.asarray(prior, np.float64)
    if shares.shape != (n_classes,) or not (shares > 0).all():
        raise ScoresError(f"prior: expected {n_classes} shares above 0, one for each class")
    log_prior = np.log2(shares / shares.sum())
    odds = margins + log_prior * np.log(2)
    log_odds = (odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)) / np.log(2)
    chosen = margins.argmax(axis=1)
    rows = np.arange(len(y))
    present = np.unique(y)
    right = chosen == y
    table = confusion(y, chosen, n_classes)
    f1 = 2 * table.diagonal() / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)
    return ClassFigures(
        macro_f1=float(f1[present].mean()),
        balanced_accuracy=float(np.mean([right[y == one].mean() for one in present])),
        accuracy=float(right.mean()),
        cross_entropy=float(-log_odds[rows, y].mean()),
        entropy=float(-log_prior[y].mean()),
    )


def confusion(target: NDArray[np.integer], chosen: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """How often each class (rows) was taken for each (columns), (M, M).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(target * n_classes + chosen, minlength=n_classes**2).reshape(n_classes, n_classes)
