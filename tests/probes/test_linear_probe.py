"""The linear probe keeps scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from probing.probes import LinearProbe


@parametrize_with_checks([LinearProbe()])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_estimator_contract(estimator: LinearProbe, check) -> None:
    check(estimator)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.where(np.arange(90) < 30, "bonafide", "spoof")
    return 3 + generator.normal(size=(90, 8)) * np.arange(1, 9) + (y == "spoof")[:, None], y


def test_it_is_logistic_regression_behind_a_standard_scaler(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", tol=1e-10))
    ours = LinearProbe(C=0.3).fit(x, y)
    assert np.allclose(ours.decision_function(x), oracle.fit(x, y).decision_function(x), atol=1e-4)
    assert (ours.predict(x) == oracle.predict(x)).all()
    assert np.allclose(ours.predict_proba(x).sum(axis=1), 1)


def test_it_works_in_a_grid_search(data: tuple[np.ndarray, np.ndarray]) -> None:
    search = GridSearchCV(LinearProbe(), {"C": [1e-6, 1.0]}, cv=3).fit(*data)
    assert search.best_params_["C"] in (1e-6, 1.0)
    assert search.best_score_ > 0.5


def test_one_class_is_refused(data: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="one class"):
        LinearProbe().fit(data[0][:30], data[1][:30])
