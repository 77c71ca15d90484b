"""The linear probe of a number as a scikit-learn estimator."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, validate_data

from probing.probes.linear import folded
from probing.probes.logistic import Solution
from probing.probes.ridge import fit_ridge
from probing.probes.scaling import Scaling


class NumberProbe(RegressorMixin, BaseEstimator):
    """Ridge regression on standardised features.

    It gives the solution of scikit-learn's Ridge(alpha=1 / C) behind a StandardScaler.

    Args:
        C: inverse of the penalty.

    Attributes:
        coef_, intercept_: (P,) and a number, for features as they are given (scaling folded in).

    >>> NumberProbe(C=1e6).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(
    ...     3
    ... ).tolist()
    [7.0]
    """

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NumberProbe":
        """Fit on features (N, P) and numbers (N,)."""
        features, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        self._keep(
            scaling,
            fit_ridge(scaling.apply(x), torch.tensor(targets, dtype=torch.float64)[None], [self.C]),
        )
        return self

    def _keep(self, scaling: Scaling, solution: Solution) -> None:
        weight, bias = folded(scaling, solution)
        self.coef_, self.intercept_ = weight[0, 0], float(bias[0, 0])

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The number (N,) of each row."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(features @ self.coef_ + self.intercept_)


class NumberProbeCV(NumberProbe):
    """The linear probe of a number at the strength of highest mean R^2 over folds, fitted on all.

    One factorisation a fold gives every strength; each fold has the standardisation of its own
    training rows.

    Args:
        Cs: inverses of the penalty to choose from; among equals the smallest is taken.
        cv: number of folds, or a splitter of scikit-learn.

    Attributes:
        C_: the strength chosen. scores_: (len(Cs),) mean R^2 over the folds.
        coef_, intercept_: as of `NumberProbe`.

    >>> x = [[float(i)] for i in range(10)]
    >>> NumberProbeCV(Cs=(1e-3, 10.0), cv=5).fit(x, [2 * row[0] for row in x]).C_
    10.0
    """

    def __init__(self, Cs: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), cv: Any = 5) -> None:
        self.Cs = Cs
        self.cv = cv

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NumberProbeCV":
        """Fit on features (N, P) and numbers (N,)."""
        features, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        t = torch.tensor(targets, dtype=torch.float64)[None]
        scores = []
        for train, test in check_cv(self.cv, targets).split(features, targets):
            x = torch.tensor(features[train])[None]
            scaling = Scaling.of(x)
            weight, bias = folded(scaling, fit_ridge(scaling.apply(x), t[:, train], self.Cs))
            found = features[test] @ weight[0].T + bias[0]
            scores.append([r2_score(targets[test], of_strength) for of_strength in found.T])
        self.scores_ = np.mean(scores, axis=0)
        best = min(range(len(self.Cs)), key=lambda i: (-self.scores_[i], self.Cs[i]))
        self.C_ = self.Cs[best]
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        self._keep(scaling, fit_ridge(scaling.apply(x), t, [self.C_]))
        return self
