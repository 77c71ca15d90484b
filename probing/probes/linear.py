"""The linear probe as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import check_cv
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probing.metrics import eer
from probing.probes.features import Features
from probing.probes.logistic import Solution, fit_logistic
from probing.probes.scaling import Scaling
from probing.probes.selections import solve_selections

FINEST_SINGLE = 1e-6


class LinearProbe(ClassifierMixin, BaseEstimator):
    """Class-balanced logistic regression on standardised features, for two classes.

    The same solver that `probe sweep` runs on all layers at once, for one problem; it gives the solution of
    scikit-learn's LogisticRegression(C, class_weight="balanced") behind a StandardScaler.

    Args:
        C: inverse of the penalty.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Attributes:
        classes_: the two classes, ascending; positive scores speak for the second.
        coef_, intercept_: (1, P) and (1,), for features as they are given (scaling folded in).
    """

    def __init__(self, C: float = 1.0, tolerance: float = 1e-7) -> None:
        self.C = C
        self.tolerance = tolerance

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinearProbe":
        """Fit on features (N, P) and labels (N,)."""
        features, targets = self._checked(X, y)
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        solution = fit_logistic(scaling.apply(x), torch.from_numpy(targets)[None], [self.C], tolerance=self.tolerance)
        weight, bias = scaling.fold(solution.weight, solution.bias)
        self.coef_, self.intercept_ = weight[0, 0].numpy(), bias[0, 0].numpy()
        return self

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) != 2:
            kind = "one class" if len(self.classes_) == 1 else "multiclass"
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        return features, targets == 1

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds (N,) of the second class."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(features @ self.coef_[0] + self.intercept_[0])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, 2) of the classes, at the balanced prior."""
        second = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.stack([1 - second, second], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likelier class of each row."""
        scores = self.decision_function(X)
        return np.asarray(self.classes_[(scores > 0).astype(int)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class LinearProbeCV(LinearProbe):
    """The linear probe whose strength has the lowest mean EER over folds, fitted again on all rows.

    All folds x strengths are one solve, to a hundred times the tolerance (scikit-learn's own default), from whose
    solutions the fit on all rows begins; the features are held once, and each fold has the standardisation of its own
    training rows.

    Args:
        Cs: inverses of the penalty to choose from; among equals the smallest is taken.
        cv: number of stratified folds, or a splitter of scikit-learn.
        tolerance: largest component of the gradient of the mean loss at the solution; from 1e-6 on, products are
            float32.

    Attributes:
        C_: the strength chosen. rates_: (len(Cs),) mean EER over the folds.
        classes_, coef_, intercept_: as of `LinearProbe`.
    """

    def __init__(
        self, Cs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), cv: Any = 5, tolerance: float = 1e-6
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
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        z = scaling.apply(x, torch.float32 if self.tolerance >= FINEST_SINGLE else torch.float64)
        y_all, prepared = torch.from_numpy(targets)[None], Features(z[0])
        of_folds = solve_selections(prepared, y_all, rows, self.Cs, 100 * self.tolerance)
        weights, biases = (values[0].numpy() for values in scaling.fold(of_folds.weight, of_folds.bias))
        rates = [
            [eer(targets[test], scores) for scores in (features[test] @ weight.T + bias).T]
            for (_, test), weight, bias in zip(folds, weights, biases, strict=True)
        ]
        self.rates_ = np.mean(rates, axis=0)
        best = min(range(len(self.Cs)), key=lambda i: (self.rates_[i], self.Cs[i]))
        self.C_ = self.Cs[best]
        start = Solution(of_folds.weight.mean(1, True)[:, :, [best]], of_folds.bias.mean(1, True)[:, :, [best]])
        shared = prepared if z.shape[1] >= z.shape[2] else z
        solution = fit_logistic(shared, y_all, [self.C_], start=start, tolerance=self.tolerance)
        weight, bias = scaling.fold(solution.weight, solution.bias)
        self.coef_, self.intercept_ = weight[0, 0].numpy(), bias[0, 0].numpy()
        return self
