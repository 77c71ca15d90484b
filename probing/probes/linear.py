"""The linear probe as a scikit-learn estimator."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probing.probes.logistic import fit_logistic
from probing.probes.scaling import Scaling


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
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) != 2:
            kind = "one class" if len(self.classes_) == 1 else "multiclass"
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        x = torch.tensor(features)[None]
        scaling = Scaling.of(x)
        solution = fit_logistic(
            scaling.apply(x), torch.from_numpy(targets == 1)[None], [self.C], tolerance=self.tolerance
        )
        weight, bias = scaling.fold(solution.weight, solution.bias)
        self.coef_, self.intercept_ = weight[0, 0].numpy(), bias[0, 0].numpy()
        return self

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
