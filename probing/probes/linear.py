"""The linear probe of classes as a scikit-learn estimator."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import check_cv
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probing.metrics import eer
from probing.probes.features import Features
from probing.probes.logistic import Solution, fit_logistic, fit_multinomial
from probing.probes.scaling import Scaling
from probing.probes.selections import solve_selections

FINEST_SINGLE = 1e-6


class LinearProbe(ClassifierMixin, BaseEstimator):
    """Class-balanced logistic regression on standardised features, of two classes or more.

    The same solver that `probe sweep` runs on all layers at once, for one problem; it gives the
    solution of scikit-learn's LogisticRegression(C, class_weight="balanced") behind a
    StandardScaler.

    Args:
        C: inverse of the penalty.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Attributes:
        classes_: ascending; of two, positive scores speak for the second.
        coef_, intercept_: for features as they are given (scaling folded in): (1, P) and (1,) of
            two classes, (M, P) and (M,) of M.

    >>> x, y = [[-1.0], [-0.9], [0.0], [0.1], [1.0], [0.9]], ["de", "de", "en", "en", "fr", "fr"]
    >>> LinearProbe(C=10).fit(x, y).predict([[-2.0], [0.05], [2.0]]).tolist()
    ['de', 'en', 'fr']
    """

    def __init__(self, C: float = 1.0, tolerance: float = 1e-7) -> None:
        self.C = C
        self.tolerance = tolerance

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinearProbe":
        """Fit on features (N, P) and labels (N,)."""
        features, targets = self._checked(X, y)
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        solution = self._solver()(
            scaling.apply(x), torch.from_numpy(targets)[None], [self.C], tolerance=self.tolerance
        )
        self._keep(scaling, solution)
        return self

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Features, and targets: booleans of two classes, whole numbers of more."""
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("The labels are of one class; expected two or more.")
        return features, targets == 1 if len(self.classes_) == 2 else targets

    def _solver(self) -> Callable[..., Solution]:
        n_classes = len(self.classes_)
        return fit_logistic if n_classes == 2 else partial(fit_multinomial, n_classes=n_classes)

    def _keep(self, scaling: Scaling, solution: Solution) -> None:
        weight, bias = folded(scaling, solution)
        self.coef_, self.intercept_ = np.atleast_2d(weight[0, 0]), np.atleast_1d(bias[0, 0])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds (N,) of the second of two classes; of M classes a margin for each, (N, M)."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        if len(self.classes_) == 2:
            return np.asarray(features @ self.coef_[0] + self.intercept_[0])
        return np.asarray(features @ self.coef_.T + self.intercept_)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, M) of the classes, at the balanced prior."""
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return np.asarray(softmax(scores, axis=1))
        second = 1 / (1 + np.exp(-scores))
        return np.stack([1 - second, second], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likelier class of each row."""
        scores = self.decision_function(X)
        return np.asarray(
            self.classes_[scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(int)]
        )


def folded(scaling: Scaling, solution: Solution) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K, S, P) and biases (K, S) of one layer for features as they are.

    With M classes (K, S, M, P) and (K, S, M).
    """
    weight, bias = scaling.fold(solution.weight, solution.bias)
    return weight[0].numpy(), bias[0].numpy()


class LinearProbeCV(LinearProbe):
    """The linear probe whose strength does best over folds, fitted again on all rows.

    All folds x strengths are one solve, to a hundred times the tolerance (scikit-learn's own
    default), from whose solutions the fit on all rows begins; the features are held once, and each
    fold has the standardisation of its own training rows.

    Args:
        Cs: inverses of the penalty to choose from; among equals the smallest is taken.
        cv: number of stratified folds, or a splitter of scikit-learn.
        tolerance: largest component of the gradient of the mean loss at the solution; from 1e-6 on,
            products are float32.

    Attributes:
        C_: the strength chosen, of lowest rates_. rates_: (len(Cs),) mean over the folds of the
            EER; of more than two classes, of the cross-entropy at equal priors, in bits.
        classes_, coef_, intercept_: as of `LinearProbe`.

    >>> x = [[-1.0], [-0.8], [-0.9], [1.0], [0.9], [0.8]]
    >>> LinearProbeCV(cv=3).fit(x, [0, 0, 0, 1, 1, 1]).predict([[-2.0], [2.0]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        Cs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        cv: Any = 5,
        tolerance: float = 1e-6,
    ) -> None:
        self.Cs = Cs
        self.cv = cv
        self.tolerance = tolerance

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinearProbeCV":
        """Fit on features (N, P) and labels (N,)."""
        features, targets = self._checked(X, y)
        folds = list(check_cv(self.cv, targets, classifier=True).split(features, targets))
        rows = torch.zeros(len(folds), len(targets), dtype=torch.bool)
        for k, (train, _) in enumerate(folds):
            rows[k, train] = True
            if len(np.unique(targets[train])) < len(self.classes_):
                raise ValueError(
                    f"fold {k + 1} of {len(folds)} trains on none "
                    "of one class; expected fewer folds"
                )
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        z = scaling.apply(x, torch.float32 if self.tolerance >= FINEST_SINGLE else torch.float64)
        y_all = torch.from_numpy(targets)[None]
        prepared = Features(z[0])
        solver = self._solver()
        of_folds = solve_selections(
            prepared,
            y_all.expand(len(rows), -1),
            rows=rows,
            strengths=self.Cs,
            tolerance=100 * self.tolerance,
            fit=solver,
        )
        weights, biases = folded(scaling, of_folds)
        losses = [
            [
                _loss(targets[test], features[test] @ w.T + b)
                for w, b in zip(of_fold, bias, strict=True)
            ]
            for (_, test), of_fold, bias in zip(folds, weights, biases, strict=True)
        ]
        self.rates_ = np.mean(losses, axis=0)
        best = min(range(len(self.Cs)), key=lambda i: (self.rates_[i], self.Cs[i]))
        self.C_ = self.Cs[best]
        start = Solution(
            of_folds.weight.mean(1, True)[:, :, [best]], of_folds.bias.mean(1, True)[:, :, [best]]
        )
        shared = prepared if z.shape[1] >= z.shape[2] else z
        self._keep(scaling, solver(shared, y_all, [self.C_], start=start, tolerance=self.tolerance))
        return self


def _loss(targets: NDArray[Any], scores: NDArray[np.float64]) -> float:
    """What a strength is chosen by: EER, or balanced cross-entropy in bits of many classes."""
    if scores.ndim == 1:
        return eer(targets, scores)
    bits = -log_softmax(scores, axis=1)[np.arange(len(targets)), targets] / np.log(2)
    return float(np.mean([bits[targets == number].mean() for number in np.unique(targets)]))
