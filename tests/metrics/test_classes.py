"""Figures of classes are those of scikit-learn where it has them, and bits that add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
)

from probing.metrics import class_figures, confusion
from probing.metrics.eer import ScoresError


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 10_000))
def test_figures_are_those_of_scikit_learn(n_classes: int, n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    y, scores = generator.integers(0, n_classes, n), generator.normal(size=(n, n_classes))
    prior = generator.random(n_classes) + 0.1
    found, chosen = class_figures(y, scores, prior), scores.argmax(axis=1)
    present = np.unique(y)
    assert found.accuracy == pytest.approx(accuracy_score(y, chosen))
    assert found.balanced_accuracy == pytest.approx(
        np.mean([(chosen[y == number] == number).mean() for number in present])
    )
    if len(present) > 1 and set(chosen) <= set(present):
        assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(y, chosen))
    assert found.macro_f1 == pytest.approx(
        f1_score(y, chosen, labels=present, average="macro", zero_division=0)
    )
    odds = np.exp(scores) * prior
    odds /= odds.sum(axis=1, keepdims=True)
    assert found.cross_entropy == pytest.approx(
        log_loss(y, odds, labels=range(n_classes)) / np.log(2)
    )
    assert (
        confusion(y, chosen, n_classes).tolist()
        == confusion_matrix(y, chosen, labels=range(n_classes)).tolist()
    )


def test_scores_that_say_nothing_have_no_information_whatever_the_prior() -> None:
    y = np.array([0, 0, 0, 1, 2, 2])
    for prior in ([1, 1, 1], [3, 1, 2]):
        assert class_figures(y, np.zeros((6, 3)), prior).v_information == pytest.approx(0)


def test_scores_that_say_everything_have_the_entropy() -> None:
    y = np.array([0, 1, 2, 3])
    found = class_figures(y, 100 * np.eye(4))
    assert (found.entropy, found.macro_f1) == (2, 1)
    assert found.v_information == pytest.approx(2)


@pytest.mark.parametrize(
    ("y", "scores", "prior", "message"),
    [
        ([0], np.zeros((2, 2)), None, "expected"),
        ([], np.zeros((0, 2)), None, "N above 0"),
        ([0, 2], np.zeros((2, 2)), None, "from 0 to 1"),
        ([0.5, 1.0], np.zeros((2, 2)), None, "whole numbers"),
        ([0, 1], np.array([[0, np.nan], [0, 1]]), None, "finite"),
        ([0, 1], np.zeros((2, 2)), [1.0, 0.0], "above 0"),
    ],
)
def test_what_has_no_figures_is_refused(
    y: list[float], scores: np.ndarray, prior: object, message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        class_figures(y, scores, prior)
