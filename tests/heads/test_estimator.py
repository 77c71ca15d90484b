"""A head as an estimator of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone

from probing.heads.estimator import MergeClassifier
from probing.heads.head import HeadUnusable


def planted(n: int = 480, layers: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise in all layers but the second, where the classes lie apart."""
    generator = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2, "spoof", "bonafide")
    x = generator.normal(size=(n, layers, 6))
    x[:, 1, 0] += 6 * (y == "spoof")
    return 100 + 7 * x, y


@pytest.mark.parametrize(
    "merge", ["mean", "weighted-sum", "sls", "se", "gumbel", "attentive", "attentive-compact"]
)
def test_it_finds_a_planted_layer(merge: str) -> None:
    x, y = planted()
    fitted = MergeClassifier(merge, seed=1).fit(x, y)
    other, truth = planted(seed=5)
    # Chance is 0.5; the plain mean cannot do better than 0.70, three of its four layers being
    # noise.
    assert fitted.score(other, truth) > (0.58 if merge in ("mean", "sls", "se") else 0.75)
    assert fitted.gates_.shape == (4,)
    proba = fitted.predict_proba(other)
    assert np.allclose(proba.sum(1), 1)
    assert np.array_equal(fitted.classes_[proba.argmax(1)], fitted.predict(other))
    if merge == "weighted-sum":
        assert fitted.gates_.argmax() == 1


def test_a_clone_fitted_again_is_the_same_and_groups_stay_whole() -> None:
    x, y = planted()
    groups = np.arange(len(y)) // 8
    one = MergeClassifier(depth=2, epochs=6, backend="mlp").fit(x, y, groups)
    again = clone(one)
    assert again.get_params() == one.get_params()
    assert np.array_equal(again.fit(x, y, groups).decision_function(x), one.decision_function(x))
    kept = np.isin(np.arange(len(y)), one.dev_rows_)
    assert not set(groups[kept]) & set(groups[~kept])
    changed = x.copy()
    changed[:, 2:] = 0
    assert np.array_equal(one.decision_function(changed), one.decision_function(x))


@pytest.mark.parametrize(
    ("what", "x", "y", "message"),
    [
        ({}, np.zeros((4, 6)), "abab", r"X of shape \(4, 6\): expected \(N, L, P\)"),
        ({}, np.zeros((4, 2, 3)), "aba", r"y of shape \(3,\): expected \(4,\)"),
        ({}, np.zeros((4, 2, 3)), "aaaa", "1 classes: expected two"),
        ({}, np.full((4, 2, 3), np.nan), "abab", "not finite"),
        ({}, np.zeros((4, 2, 3)), "aaab", "no dev split"),
        ({"depth": 3}, np.zeros((4, 2, 3)), "abab", "depth=3: expected 1 to 2"),
        ({"backend": "lstm"}, np.zeros((4, 2, 3)), "abab", "backend='lstm'"),
        ({"dev_share": 1.0}, np.zeros((4, 2, 3)), "abab", "dev_share=1.0"),
    ],
)
def test_wrong_input_is_refused(what: dict, x: np.ndarray, y: str, message: str) -> None:
    with pytest.raises(HeadUnusable, match=message):
        MergeClassifier(**what).fit(x, list(y))


def test_other_layers_than_it_was_fitted_on_are_refused() -> None:
    x, y = planted(40)
    fitted = MergeClassifier(epochs=1).fit(x, y)
    with pytest.raises(HeadUnusable, match="fitted on"):
        fitted.predict(x[:, :2])
    with pytest.raises(HeadUnusable, match="groups of shape"):
        fitted.fit(x, y, [1, 2])
    with pytest.raises(HeadUnusable, match="both classes in both parts"):
        fitted.fit(x, y, y)
