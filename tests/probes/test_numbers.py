"""Probes of numbers are the ridge regressions of scikit-learn, every strength from one
factorisation.
"""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probing.probes import NumberProbe, NumberProbeCV, fit_ridge

STRENGTHS = (1e-4, 1e-2, 1.0)


def numbers(n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = 7 + generator.normal(size=(n, n_features)) * np.arange(1, n_features + 1)
    return x, x[:, :3].sum(axis=1) + 5 * generator.normal(size=n)


@pytest.mark.parametrize(("n", "n_features"), [(200, 20), (40, 100)])
def test_every_target_and_strength_is_the_solution_of_scikit_learn(n: int, n_features: int) -> None:
    x, y = numbers(n, n_features)
    targets = np.stack([y, y[::-1], y**2])
    rows = np.ones((3, n), bool)
    rows[1, ::3] = False
    layers = np.stack([x, np.square(x)])
    found = fit_ridge(
        torch.tensor(layers), torch.tensor(targets.copy()), STRENGTHS, rows=torch.tensor(rows)
    )
    for layer, features in enumerate(layers):
        for k, target in enumerate(targets):
            for s, strength in enumerate(STRENGTHS):
                expected = Ridge(alpha=1 / strength, solver="svd").fit(
                    features[rows[k]], target[rows[k]]
                )
                assert np.allclose(found.weight[layer, k, s], expected.coef_, rtol=1e-6, atol=1e-7)
                assert float(found.bias[layer, k, s]) == pytest.approx(
                    expected.intercept_, rel=1e-6
                )


def test_the_estimator_is_ridge_regression_behind_a_standard_scaler() -> None:
    x, y = numbers(80, 10)
    expected = make_pipeline(StandardScaler(), Ridge(alpha=1 / 0.3)).fit(x, y)
    assert np.allclose(NumberProbe(C=0.3).fit(x, y).predict(x), expected.predict(x))


@pytest.mark.parametrize("n_features", [6, 90])
def test_the_strength_chosen_over_folds_is_the_one_a_loop_chooses(n_features: int) -> None:
    x, y = numbers(70, n_features)
    scores = np.array(
        [
            [NumberProbe(C=c).fit(x[train], y[train]).score(x[test], y[test]) for c in STRENGTHS]
            for train, test in KFold(5).split(x)
        ]
    ).mean(axis=0)
    probe = NumberProbeCV(Cs=STRENGTHS).fit(x, y)
    assert probe.scores_ == pytest.approx(scores, abs=1e-8)
    assert STRENGTHS[scores.argmax()] == probe.C_
    assert np.allclose(probe.coef_, NumberProbe(C=probe.C_).fit(x, y).coef_)
