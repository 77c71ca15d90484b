"""Figures of a probe whose target has classes: accuracies at equal priors, and information in bits.

A class-balanced probe gives scores at equal priors. Its decisions are the highest score; its
probabilities are the scores moved to the shares that the classes had in training, as the
cross-entropy needs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError
from probing.metrics.resamples import Resamples

SUMS_AT_ONCE = 4_000_000  # values of a table in memory at once


@dataclass(frozen=True)
class ClassFigures:
    """What a probe of M classes reached on N trials.

    macro_f1: mean over the classes of the trials of their F1.
    balanced_accuracy: mean of their recalls.
    accuracy: share of the trials that were taken for their class.
    cross_entropy: mean of -log2 of the probability given to the true class, in bits.
    entropy: the same of a predictor that sees no input and knows the shares of training.

    >>> round(class_figures([0, 1, 1], np.eye(2)[[0, 1, 0]]).accuracy, 3)
    0.667
    """

    macro_f1: float
    balanced_accuracy: float
    accuracy: float
    cross_entropy: float
    entropy: float

    @property
    def v_information(self) -> float:
        """Bits about the target that the probe can use: entropy - cross_entropy (Xu et al., ICLR
        2020); may be < 0.
        """
        return self.entropy - self.cross_entropy


@dataclass(frozen=True)
class ClassTrials:
    """Trials of M classes with what figures are made of, all of them sums over trials.

    target, chosen: (N,) the class of each and the one of its highest score.
    n_classes: M.
    bits: (N,) -log2 of the probability given to the true class.
    prior_bits: (N,) the same of the shares of training.

    >>> class_trials([0, 1, 1], np.eye(2)[[0, 1, 0]]).n_classes
    2
    """

    target: NDArray[np.intp]
    chosen: NDArray[np.intp]
    n_classes: int
    bits: NDArray[np.float64]
    prior_bits: NDArray[np.float64]

    def figures(self) -> dict[str, float]:
        """Every figure by name."""
        alone = np.zeros(len(self.target), np.intp)
        return {
            name: float(values[0])
            for name, values in _figures(self._sums(alone, 1, np.ones((1, 1)))).items()
        }

    def recalls(self) -> NDArray[np.float64]:
        """Share (M,) of the trials of each class that were taken for it.

        NaN of a class without trials.
        """
        trials = np.bincount(self.target, minlength=self.n_classes)
        right = np.bincount(self.target[self.chosen == self.target], minlength=self.n_classes)
        return np.where(trials > 0, right / np.maximum(trials, 1), np.nan)

    def resampled(self, resamples: Resamples) -> dict[str, NDArray[np.float64]]:
        """Every figure (R,) of the resamples of these trials."""
        step = max(1, SUMS_AT_ONCE // max(self.n_classes, sum(resamples.sizes)))
        parts = [
            _figures(
                self._sums(
                    resamples.cluster,
                    sum(resamples.sizes),
                    resamples.rows(i, min(i + step, resamples.n)),
                )
            )
            for i in range(0, resamples.n, step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _sums(
        self, cluster: NDArray[np.intp], n_clusters: int, counts: NDArray[np.number]
    ) -> dict[str, NDArray[np.float64]]:
        """Sums (R, M) or (R, 1) over the trials of each resample, given how often (R, K) it drew
        each cluster.
        """
        weights = counts.astype(np.float64)
        ones = np.ones(len(cluster))

        def by_class(values: NDArray[np.float64], classes: NDArray[np.intp]) -> NDArray[np.float64]:
            if n_clusters == 1:
                return weights * np.bincount(classes, values, self.n_classes)
            from scipy.sparse import csr_array  # a wrong option must not wait for it

            of_clusters = csr_array(
                (values, (cluster, classes)), shape=(n_clusters, self.n_classes)
            )
            return np.asarray(weights @ of_clusters)

        def in_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return (weights @ np.bincount(cluster, values, n_clusters))[:, None]

        return {
            "trials": by_class(ones, self.target),
            "right": by_class((self.chosen == self.target).astype(np.float64), self.target),
            "chosen": by_class(ones, self.chosen),
            "bits": in_all(self.bits),
            "prior_bits": in_all(self.prior_bits),
        }


def _figures(sums: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Figures (R,) of sums.

    A class that a resample does not have does not count in its means over classes.
    """
    trials = sums["trials"]
    n = trials.sum(axis=1)
    there = np.maximum((trials > 0).sum(axis=1), 1)
    recall = sums["right"] / np.maximum(trials, 1)
    f1 = np.where(trials > 0, 2 * sums["right"] / np.maximum(trials + sums["chosen"], 1), 0.0)
    cross_entropy = sums["bits"][:, 0] / n
    return {
        "macro_f1": f1.sum(axis=1) / there,
        "balanced_accuracy": recall.sum(axis=1) / there,
        "accuracy": sums["right"].sum(axis=1) / n,
        "cross_entropy": cross_entropy,
        "entropy": sums["prior_bits"][:, 0] / n,
        "v_information": sums["prior_bits"][:, 0] / n - cross_entropy,
    }


def class_trials(
    target: ArrayLike, scores: ArrayLike, prior: ArrayLike | None = None
) -> ClassTrials:
    """What the figures of trials are made of; see `class_figures` for arguments and errors.

    >>> from probing.metrics import draw
    >>> trials = class_trials([0, 1, 1], np.eye(2)[[0, 1, 0]])
    >>> found = trials.resampled(draw([True] * 3, n=200))
    >>> found["accuracy"].shape, round(trials.figures()["accuracy"], 3)
    ((200,), 0.667)
    """
    y = np.asarray(target)
    margins = np.asarray(scores, np.float64)
    if margins.ndim != 2 or len(y) != len(margins) or not len(y):
        raise ScoresError(
            f"{len(y)} targets and scores of shape "
            f"{margins.shape}: expected (N,) and (N, M), N above 0"
        )
    if not np.isfinite(margins).all():
        raise ScoresError("scores: expected finite numbers")
    n_classes = margins.shape[1]
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= n_classes:
        raise ScoresError(
            "targets: expected whole numbers from 0 to "
            f"{n_classes - 1}, one for each column of scores"
        )
    shares = np.full(n_classes, 1 / n_classes) if prior is None else np.asarray(prior, np.float64)
    if shares.shape != (n_classes,) or not (shares > 0).all():
        raise ScoresError(f"prior: expected {n_classes} shares above 0, one for each class")
    log_prior = np.log(shares / shares.sum())
    odds = margins + log_prior
    bits = (np.logaddexp.reduce(odds, axis=1) - odds[np.arange(len(y)), y]) / np.log(2)
    return ClassTrials(
        y.astype(np.intp),
        margins.argmax(axis=1),
        n_classes=n_classes,
        bits=bits,
        prior_bits=-log_prior[y] / np.log(2),
    )


def class_figures(
    target: ArrayLike, scores: ArrayLike, prior: ArrayLike | None = None
) -> ClassFigures:
    """Compute every figure.

    Args:
        target: (N,) whole numbers from 0 to M - 1.
        scores: (N, M) margins of a class-balanced probe, or any log probabilities at equal priors.
        prior: (M,) shares of the classes in training, each above 0; default equal.

    Raises:
        ScoresError: no trials, lengths that differ, a score that is NaN or infinite, or a class
            that has no prior.

    >>> found = class_figures(
    ...     [0, 1, 2, 2],
    ...     np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]),
    ... )
    >>> round(found.accuracy, 2), round(found.balanced_accuracy, 3), round(found.v_information, 3)
    (0.75, 0.833, 0.513)
    """
    found = class_trials(target, scores, prior).figures()
    del found["v_information"]
    return ClassFigures(**found)


def confusion(
    target: NDArray[np.integer], chosen: NDArray[np.integer], n_classes: int
) -> NDArray[np.int64]:
    """How often each class (rows) was taken for each (columns), (M, M).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(target * n_classes + chosen, minlength=n_classes**2).reshape(
        n_classes, n_classes
    )
