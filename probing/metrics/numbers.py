"""Figures of a probe whose target is a number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probing.metrics.eer import ScoresError


@dataclass(frozen=True)
class NumberFigures:
    """What a probe of a number reached on N trials.

    r2: 1 - sum of squared errors / sum of squares about the mean of these trials; below 0 if worse than that mean.
    spearman: rank correlation; NaN if predictions do not vary. concordance: that of Lin (Biometrics 45, 1989).
    mean_absolute_error: in the target's own unit.
    """

    r2: float
    spearman: float
    concordance: float
    mean_absolute_error: float


def number_figures(target: ArrayLike, predicted: ArrayLike) -> NumberFigures:
    """Compute every figure.

    Args:
        target: (N,) true values, not all alike.
        predicted: (N,) predictions.

    Raises:
        ScoresError: lengths that differ, fewer than 2 trials, NaN or infinity, or targets that are all alike.

    >>> found = number_figures([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
    >>> round(found.r2, 2), round(found.spearman, 2), round(found.concordance, 3), found.mean_absolute_error
    (0.8, 1.0, 0.929, 0.25)
    """
    from scipy.stats import spearmanr  # a wrong option must not wait for it

    y = np.asarray(target, np.float64)
    found = np.asarray(predicted, np.float64)
    if y.ndim != 1 or y.shape != found.shape or len(y) < 2:
        raise ScoresError(f"targets {y.shape}, predictions {found.shape}: expected as many of each, 2 or more")
    if not (np.isfinite(y).all() and np.isfinite(found).all()):
        raise ScoresError("targets and predictions: expected finite numbers")
    if (y == y[0]).all():
        raise ScoresError("targets: all are alike, so that nothing can be said of them")
    varies = not (found == found[0]).all()
    covariance = np.mean((y - y.mean()) * (found - found.mean()))
    return NumberFigures(
        r2=float(1 - np.square(y - found).sum() / np.square(y - y.mean()).sum()),
        spearman=float(spearmanr(y, found).statistic) if varies else float("nan"),
        concordance=float(2 * covariance / (y.var() + found.var() + (y.mean() - found.mean()) ** 2)),
        mean_absolute_error=float(np.abs(y - found).mean()),
    )
