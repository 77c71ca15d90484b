"""The equal error rate: reference figures, ties, and the properties every error rate must have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.published import ATTACKS, countermeasure, needs_scores, verification
from sklearn.metrics import roc_curve

from probing.metrics import ScoresError, eer
from probing.metrics.eer import eer_of_counts, operating_points


def official_eer(bonafide: np.ndarray, scores: np.ndarray) -> float:
    """The nearest operating point of a stable sort, as the official evaluation takes it."""
    order = np.argsort(np.concatenate([scores[bonafide], scores[~bonafide]]), kind="mergesort")
    target = np.concatenate([np.ones(bonafide.sum()), np.zeros((~bonafide).sum())])[order]
    frr = np.concatenate([[0], np.cumsum(target) / target.sum()])
    far = np.concatenate([[1], 1 - np.cumsum(1 - target) / (1 - target).sum()])
    i = np.argmin(np.abs(frr - far))
    return float((frr[i] + far[i]) / 2)


def distinct_trials(n_bonafide: int, n_spoof: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    bonafide = np.arange(n_bonafide + n_spoof) < n_bonafide
    scores = generator.permutation(n_bonafide + n_spoof) + bonafide * generator.uniform(0, n_spoof)
    return bonafide, scores + generator.uniform(0, 1e-6, len(scores))


trials = st.builds(distinct_trials, st.integers(1, 60), st.integers(1, 60), st.integers(0, 10_000))
tied_trials = st.lists(
    st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=80
).filter(lambda rows: len({row[0] for row in rows}) == 2)


@needs_scores
def test_published_scores_give_the_published_figures() -> None:
    attack, bonafide, scores = countermeasure()
    assert len(scores) == 71237
    assert official_eer(bonafide, scores) == pytest.approx(0.01060134752, abs=1e-11)
    assert eer(bonafide, scores) == pytest.approx(0.01060134752, abs=1 / bonafide.sum())
    for name, percent in ATTACKS.items():
        chosen = bonafide | (attack == name)
        assert 100 * official_eer(bonafide[chosen], scores[chosen]) == pytest.approx(
            percent, abs=5.1e-5
        )
        n = min((attack == name).sum(), bonafide.sum())
        assert 100 * eer(bonafide[chosen], scores[chosen]) == pytest.approx(percent, abs=100 / n)


@needs_scores
def test_published_speaker_verification_scores_give_their_eer() -> None:
    _, key, scores = verification()
    chosen, target = key != "spoof", key == "target"
    assert eer(target[chosen], scores[chosen]) == pytest.approx(0.02457784, abs=1 / target.sum())


@given(trials)
def test_without_ties_it_is_the_official_figure_to_within_one_trial(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    bonafide, scores = data
    n = min(bonafide.sum(), (~bonafide).sum())
    assert eer(bonafide, scores) == pytest.approx(official_eer(bonafide, scores), abs=1 / n)


@given(tied_trials)
def test_it_is_where_the_roc_of_scikit_learn_crosses_the_diagonal(
    rows: list[tuple[bool, int]],
) -> None:
    bonafide, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    false_alarm, hit, _ = roc_curve(bonafide, scores, drop_intermediate=False)
    gap = 1 - hit - false_alarm  # falls from 1 to -1 along the curve
    k = int(np.argmax(gap <= 0))
    share = gap[k - 1] / (gap[k - 1] - gap[k])
    crossing = false_alarm[k - 1] + share * (false_alarm[k] - false_alarm[k - 1])
    assert eer(bonafide, scores) == pytest.approx(crossing, abs=1e-12)


@given(tied_trials, st.randoms())
def test_order_of_trials_does_not_matter(rows: list[tuple[bool, int]], random) -> None:
    mixed = random.sample(rows, len(rows))
    values = [eer([row[0] for row in some], [row[1] for row in some]) for some in (rows, mixed)]
    assert values[0] == values[1]


@given(tied_trials, st.integers(2, 4))
def test_shift_monotone_transform_and_repetition_change_nothing(
    rows: list[tuple[bool, int]], times: int
) -> None:
    bonafide, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    value = eer(bonafide, scores)
    assert eer(bonafide, np.exp(scores) + 7) == pytest.approx(value, abs=1e-12)
    assert eer(np.tile(bonafide, times), np.tile(scores, times)) == pytest.approx(value, abs=1e-12)


@given(tied_trials)
def test_turning_labels_and_scores_round_changes_nothing(rows: list[tuple[bool, int]]) -> None:
    bonafide, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    assert eer(~bonafide, -scores) == pytest.approx(eer(bonafide, scores), abs=1e-12)


@pytest.mark.parametrize("scores", [[0, 0, 0], [-1e300] * 3, [float("inf")] * 3])
def test_constant_scores_give_one_half(scores: list[float]) -> None:
    assert eer([True, False, False], scores) == 0.5


def test_perfect_and_inverted_scores_give_nought_and_one() -> None:
    assert eer([0, 1, 1], [0.1, 0.2, 0.3]) == 0
    assert eer([1, 0, 0], [0.1, 0.2, 0.3]) == 1


@pytest.mark.parametrize(
    ("bonafide", "scores", "message"),
    [
        ([1, 0], [0.1, float("nan")], "1 of 2 scores are NaN"),
        ([1, 1], [0.1, 0.2], "2 bona fide of 2 trials"),
        ([0, 0], [0.1, 0.2], "0 bona fide of 2 trials"),
        ([], [], "0 bona fide of 0 trials"),
        ([1, 0, 1], [0.1, 0.2], "expected one of each"),
    ],
)
def test_scores_that_say_nothing_are_refused(
    bonafide: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        eer(bonafide, scores)


def test_scores_that_only_float64_tells_apart_are_not_tied() -> None:
    assert eer([1, 0], [1 + 1e-12, 1.0]) == 0


@given(tied_trials)
def test_bisection_finds_what_counting_every_operating_point_finds(
    rows: list[tuple[bool, int]],
) -> None:
    bonafide, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    counted = eer_of_counts(
        *(count[None] for count in operating_points(bonafide, scores).counts())
    )[0]
    assert eer(bonafide, scores) == pytest.approx(counted, abs=1e-12)
