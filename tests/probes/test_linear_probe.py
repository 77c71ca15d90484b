"""The linear probe keeps scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from probing.metrics import cllr, eer
from probing.metrics.calibration import min_cllr
from probing.probes import LinearProbe, LinearProbeCV, NumberProbe, NumberProbeCV


@parametrize_with_checks([LinearProbe(), LinearProbeCV(cv=2), NumberProbe(), NumberProbeCV(cv=2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_estimator_contract(estimator: LinearProbe, check) -> None:
    check(estimator)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.where(np.arange(90) < 30, "bonafide", "spoof")
    return 3 + generator.normal(size=(90, 8)) * np.arange(1, 9) + (y == "spoof")[:, None], y


def test_it_is_logistic_regression_behind_a_standard_scaler(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = data
    oracle = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", tol=1e-10)
    )
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


@pytest.mark.parametrize("n_features", [8, 120])
def test_the_strength_chosen_over_folds_is_the_one_a_loop_chooses(n_features: int) -> None:
    generator = np.random.default_rng(1)
    y = generator.permutation(np.arange(100) < 35)
    x = 50 + generator.normal(size=(100, n_features)) @ generator.normal(
        size=(n_features, n_features)
    )
    x[:, 0] += 3 * y
    x[0, 1], x[1:, 1] = 1, 0  # varies in some folds only
    strengths = (1e-3, 1e-1, 10.0)
    rates = np.array(
        [
            [
                eer(y[test], LinearProbe(C=c).fit(x[train], y[train]).decision_function(x[test]))
                for c in strengths
            ]
            for train, test in StratifiedKFold(5).split(x, y)
        ]
    ).mean(axis=0)
    probe = LinearProbeCV(Cs=strengths, tolerance=1e-7).fit(x, y)
    assert probe.rates_ == pytest.approx(rates, abs=1e-9)
    assert strengths[rates.argmin()] == probe.C_
    alone = LinearProbe(C=probe.C_).fit(x, y)
    assert np.allclose(probe.decision_function(x), alone.decision_function(x), atol=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_scores_are_log_likelihood_ratios_and_a_strong_penalty_only_claims_less(
    share: float,
) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(3000) < share * 3000
    x, other = (
        generator.normal(size=(3000, 4)) + 1.5 * y[:, None] * [1, 0, 0, 0] for _ in range(2)
    )
    scores = {c: LinearProbe(C=c).fit(x, y).decision_function(other) for c in (1.0, 1e-4)}
    least = min_cllr(y, scores[1.0])
    assert cllr(y, scores[1.0]) < least + 0.03
    assert least < cllr(y, scores[1e-4]) < 1
