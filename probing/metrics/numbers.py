"""Figures of a probe whose target is a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError
from probing.metrics.resamples import Resamples

SUMS_AT_ONCE = 4_000_000  # values of a table in memory at once


@dataclass(frozen=True)
class NumberFigures:
    """What a probe of a number reached on N trials.

    r2: 1 - sum of squared errors / sum of squares about the mean of these trials; below 0 if worse
        than that mean.
    spearman: rank correlation; NaN if predictions do not vary.
    concordance: that of Lin (Biometrics 45, 1989).
    mean_absolute_error: in the target's own unit.

    >>> number_figures([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).r2
    1.0
    """

    r2: float
    spearman: float
    concordance: float
    mean_absolute_error: float


@dataclass(frozen=True)
class NumberTrials:
    """Trials of a number; figures are made of sums over trials.

    target, predicted: (N,).

    >>> NumberTrials(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.5])).target.shape
    (3,)
    """

    target: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @cached_property
    def ranks(self) -> NDArray[np.float64]:
        """Ranks (2, N) of either among all trials, ties at their mean.

        The ranks of a resample are taken from here.
        """
        from scipy.stats import rankdata  # a wrong option must not wait for it

        return (
            np.stack([rankdata(self.target), rankdata(self.predicted)]) - (len(self.target) + 1) / 2
        )

    def r2(self) -> float:
        """R^2 alone, which strengths are chosen by again and again."""
        return float(1 - np.square(self.target - self.predicted).mean() / self.target.var())

    def figures(self) -> dict[str, float]:
        """Every figure by name."""
        sums = {name: values.sum(keepdims=True) for name, values in self._values().items()}
        return {name: float(values[0]) for name, values in _figures(sums).items()}

    def resampled(self, resamples: Resamples) -> dict[str, NDArray[np.float64]]:
        """Every figure (R,) of the resamples of these trials.

        NaN where their targets are all alike.
        """
        n = sum(resamples.sizes)
        of_clusters = np.stack(
            [np.bincount(resamples.cluster, values, n) for values in self._values().values()], 1
        )
        step = max(1, SUMS_AT_ONCE // n)
        parts = [
            resamples.rows(i, min(i + step, resamples.n)) @ of_clusters
            for i in range(0, resamples.n, step)
        ]
        return _figures(dict(zip(self._values(), np.concatenate(parts).T, strict=True)))

    def _values(self) -> dict[str, NDArray[np.float64]]:
        level = self.target.mean()  # without it sums of squares would lose digits
        y, found = self.target - level, self.predicted - level
        first, second = self.ranks
        return {
            "n": np.ones(len(y)),
            "y": y,
            "yy": y * y,
            "found": found,
            "ff": found * found,
            "yf": y * found,
            "errors": np.square(y - found),
            "distance": np.abs(y - found),
            "r": first,
            "rr": first * first,
            "s": second,
            "ss": second * second,
            "rs": first * second,
        }


def _figures(sums: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    n = sums["n"]

    def covariance(both: str, one: str, other: str) -> NDArray[np.float64]:
        return sums[both] / n - sums[one] / n * (sums[other] / n)

    of_target = covariance("yy", "y", "y")
    of_found = covariance("ff", "found", "found")
    apart = (sums["y"] - sums["found"]) / n
    of_ranks = covariance("rr", "r", "r") * covariance("ss", "s", "s")
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "r2": 1 - sums["errors"] / n / np.where(of_target > 0, of_target, np.nan),
            "spearman": covariance("rs", "r", "s")
            / np.sqrt(np.where(of_ranks > 0, of_ranks, np.nan)),
            "concordance": 2 * covariance("yf", "y", "found") / (of_target + of_found + apart**2),
            "mean_absolute_error": sums["distance"] / n,
        }


def number_trials(target: ArrayLike, predicted: ArrayLike) -> NumberTrials:
    """What the figures of trials are made of; see `number_figures` for arguments and errors.

    >>> from probing.metrics import draw
    >>> trials = number_trials([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
    >>> trials.resampled(draw([True] * 4, n=200))["mean_absolute_error"].shape
    (200,)
    """
    y = np.asarray(target, np.float64)
    found = np.asarray(predicted, np.float64)
    if y.ndim != 1 or y.shape != found.shape or len(y) < 2:
        raise ScoresError(
            f"targets {y.shape}, predictions {found.shape}: expected as many of each, 2 or more"
        )
    if not (np.isfinite(y).all() and np.isfinite(found).all()):
        raise ScoresError("targets and predictions: expected finite numbers")
    if (y == y[0]).all():
        raise ScoresError("targets: all are alike, so that nothing can be said of them")
    return NumberTrials(y, found)


def number_figures(target: ArrayLike, predicted: ArrayLike) -> NumberFigures:
    """Compute every figure.

    Args:
        target: (N,) true values, not all alike.
        predicted: (N,) predictions.

    Raises:
        ScoresError: lengths that differ, fewer than 2 trials, NaN or infinity, or targets that are
            all alike.

    >>> found = number_figures([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
    >>> (
    ...     round(found.r2, 2),
    ...     round(found.spearman, 2),
    ...     round(found.concordance, 3),
    ...     found.mean_absolute_error,
    ... )
    (0.8, 1.0, 0.929, 0.25)
    """
    return NumberFigures(**number_trials(target, predicted).figures())
