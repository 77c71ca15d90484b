"""Probes of many classes are those of scikit-learn, solved together."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probing.probes import LinearProbe, LinearProbeCV, Scaling, fit_logistic, fit_multinomial
from probing.probes.selections import fit_each_selection, fit_selections

STRENGTHS = (1e-3, 0.1, 10.0)


def classes(
    n: int, n_features: int, n_classes: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features whose means differ by class, and classes of unequal size."""
    generator = np.random.default_rng(seed)
    y = generator.choice(
        n_classes, n, p=np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum()
    )
    y[: 2 * n_classes] = np.tile(np.arange(n_classes), 2)
    x = (
        generator.normal(size=(n, n_features))
        + 0.5 * generator.normal(size=(n_classes, n_features))[y]
    )
    return x, y


def oracle(x: np.ndarray, y: np.ndarray, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=10_000).fit(
        x, y
    )


@pytest.mark.parametrize(
    ("n", "n_features", "n_classes"), [(300, 20, 3), (60, 150, 4), (400, 12, 9)]
)
def test_every_labelling_and_strength_is_the_solution_of_scikit_learn(
    n: int, n_features: int, n_classes: int
) -> None:
    x, y = classes(n, n_features, n_classes)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    labels = np.stack([y, np.random.default_rng(1).permutation(y)])
    layers = torch.tensor(np.stack([x, x[:, ::-1].copy()]))
    found = fit_multinomial(
        layers, torch.tensor(labels), STRENGTHS, n_classes=n_classes, tolerance=1e-9
    )
    for layer, features in enumerate(layers.numpy()):
        for k, of_labelling in enumerate(labels):
            for s, strength in enumerate(STRENGTHS):
                expected = oracle(features, of_labelling, strength)
                assert np.allclose(found.weight[layer, k, s], expected.coef_, atol=2e-5)
                assert np.allclose(found.bias[layer, k, s], expected.intercept_, atol=1e-4)


@pytest.mark.parametrize("n_features", [10, 200])
def test_rows_left_out_take_no_part(n_features: int) -> None:
    x, y = classes(120, n_features, 3)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    rows = np.arange(120) % 4 != 3
    weights = torch.tensor(np.stack([rows, ~rows | (np.arange(120) < 6)]))
    targets = torch.tensor(y).expand(2, -1)
    found = fit_multinomial(
        torch.tensor(x)[None], targets, [0.1], n_classes=3, rows=weights, tolerance=1e-9
    )
    for k, chosen in enumerate(weights.numpy().astype(bool)):
        expected = oracle(x[chosen], y[chosen], 0.1)
        assert np.allclose(found.weight[0, k, 0], expected.coef_, atol=2e-5)


def test_two_classes_are_those_of_the_solver_of_two_at_twice_the_strength() -> None:
    x, y = classes(100, 8, 2)
    features, targets = torch.tensor(x)[None], torch.tensor(y)[None]
    many = fit_multinomial(features, targets, [0.05], n_classes=2, tolerance=1e-10)
    two = fit_logistic(features, targets == 1, [0.1], tolerance=1e-10)
    assert torch.allclose(many.weight[..., 1, :] - many.weight[..., 0, :], two.weight, atol=1e-6)
    assert torch.allclose(many.bias[..., 1] - many.bias[..., 0], two.bias, atol=1e-6)


def test_the_estimator_is_logistic_regression_behind_a_standard_scaler() -> None:
    x, y = classes(150, 12, 5)
    x, names = 40 + 3 * x, np.array(["de", "en", "fr", "it", "ru"])[y]
    expected = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", tol=1e-10)
    )
    expected.fit(x, names)
    ours = LinearProbe(C=0.3, tolerance=1e-9).fit(x, names)
    assert np.allclose(ours.predict_proba(x), expected.predict_proba(x), atol=1e-4)
    assert (ours.predict(x) == expected.predict(x)).all()
    assert ours.coef_.shape == (5, 12)


@pytest.mark.parametrize("n_features", [8, 150])
def test_the_strength_chosen_over_folds_is_the_one_a_loop_chooses(n_features: int) -> None:
    x, y = classes(120, n_features, 4)
    x[0, 1], x[1:, 1] = 1, 0  # varies in some folds only
    losses = np.zeros((5, len(STRENGTHS)))
    for k, (train, test) in enumerate(StratifiedKFold(5).split(x, y)):
        for s, strength in enumerate(STRENGTHS):
            scores = LinearProbe(C=strength).fit(x[train], y[train]).decision_function(x[test])
            bits = -log_softmax(scores, axis=1)[np.arange(len(test)), y[test]] / np.log(2)
            losses[k, s] = np.mean([bits[y[test] == number].mean() for number in range(4)])
    probe = LinearProbeCV(Cs=STRENGTHS, tolerance=1e-7).fit(x, y)
    assert probe.rates_ == pytest.approx(losses.mean(axis=0), abs=1e-3)
    assert STRENGTHS[losses.mean(axis=0).argmin()] == probe.C_
    alone = LinearProbe(C=probe.C_).fit(x, y)
    assert np.allclose(probe.decision_function(x), alone.decision_function(x), atol=1e-3)


def test_a_fold_without_a_class_is_refused() -> None:
    x, y = classes(40, 4, 3)
    folds = [(np.flatnonzero(y != 2), np.flatnonzero(y == 2))]
    with pytest.raises(ValueError, match="fold 1 of 1 trains on none of one class"):
        LinearProbeCV(cv=folds).fit(x, y)


def test_many_classes_of_few_rows_converge_in_float32_to_the_solution_of_float64() -> None:
    # undamped steps took a class here so far out that no later one brought it back
    n_classes, dim = 120, 160
    generator = np.random.default_rng(2)
    y = np.concatenate([np.repeat(np.arange(n_classes), 4), np.arange(n_classes // 2)])
    x = generator.normal(size=(n_classes, dim))[y] * 0.6 + generator.normal(size=(len(y), dim))
    features = torch.from_numpy(x.astype(np.float32))[None]
    targets = torch.from_numpy(y)[None]
    scores = []
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-9)):
        z = Scaling.of(features, dtype).apply(features, dtype)
        found = fit_multinomial(z, targets, [1.0], n_classes=n_classes, tolerance=tolerance)
        scores.append(z[0].double() @ found.weight[0, 0, 0].T + found.bias[0, 0, 0])
    single, double = (margins.log_softmax(dim=1) for margins in scores)
    assert (single - double).abs().max() < 0.05
    assert torch.equal(single.argmax(dim=1), double.argmax(dim=1))


def test_selections_one_after_another_are_those_of_one_solve() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = torch.from_numpy(generator.normal(size=(1, 90, 5)) + y[:, None] * 3.0 + 7)
    rows = torch.from_numpy(generator.random((4, 90)) < 0.7)
    arguments = (x, torch.from_numpy(y), rows, [0.01, 1.0])
    how = {
        "tolerance": 1e-10,
        "dtype": torch.float64,
        "fit": partial(fit_multinomial, n_classes=3),
    }
    together = fit_selections(*arguments, **how)
    alone = fit_each_selection(*arguments, **how)
    for one, other in zip(together, alone, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
