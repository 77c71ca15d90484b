"""The least Cllr of any rising map, reliability, and thresholds chosen on dev."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.metrics import ScoresError, cllr
from probing.metrics.calibration import best_ratios, min_cllr, reliability
from probing.metrics.thresholds import eer_threshold, error_rates, false_alarm_threshold

few = settings(max_examples=40, deadline=None)  # the first call imports scikit-learn
Trials = tuple[np.ndarray, np.ndarray]
tied_trials = (
    st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=40)
    .filter(lambda rows: len({row[0] for row in rows}) == 2)
    .map(
        lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float))
    )
)


@few
@given(tied_trials)
def test_the_best_ratios_rise_with_the_scores_and_cost_no_more_than_others_do(
    trials: Trials,
) -> None:
    bonafide, scores = trials
    ratios = best_ratios(bonafide, scores)
    order = np.argsort(scores, kind="stable")
    assert all(a <= b + 1e-9 for a, b in zip(ratios[order], ratios[order][1:], strict=False))
    least = min_cllr(bonafide, scores)
    assert -1e-12 <= least <= 1 + 1e-9
    for scale, offset in product((0.0, 0.3, 1.0, 3.0), (-1.0, 0.0, 2.0)):
        assert least <= cllr(bonafide, scale * scores + offset) + 1e-9
    assert min_cllr(bonafide, np.exp(scores)) == pytest.approx(least)


def test_the_least_cllr_worked_by_hand() -> None:
    # the middle pair is pooled to a ratio of 1, which costs each of its trials one bit, half of
    # their class
    assert min_cllr([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0]) == pytest.approx(0.5)
    assert min_cllr([1, 0], [1.0, 0.0]) == 0
    assert min_cllr([1, 0], [0.0, 1.0]) == pytest.approx(1)


def test_what_is_calibrated_lies_on_the_diagonal_and_what_claims_too_much_does_not() -> None:
    generator = np.random.default_rng(0)
    bonafide = np.arange(40000) < 8000
    ratios = 2 * generator.normal(2.0 * bonafide) - 2
    found = reliability(bonafide, ratios)
    assert ((found.low <= found.found) & (found.found <= found.high)).all()
    assert (
        (found.low - 0.01 <= found.claimed) & (found.claimed <= found.high + 0.01)
    ).mean() >= 0.9
    assert found.n.sum() == 40000
    assert np.abs(found.found - found.claimed).max() < 0.05
    over = reliability(bonafide, 3 * ratios)
    assert np.abs(over.found - over.claimed).max() > 0.15


@few
@given(tied_trials, st.sampled_from([0.0, 0.1, 0.5, 0.99]))
def test_a_threshold_keeps_the_false_alarms_it_was_given_and_misses_no_more_than_it_must(
    trials: Trials, most: float
) -> None:
    bonafide, scores = trials
    threshold = false_alarm_threshold(bonafide, scores, most)
    rates = error_rates(bonafide, scores, threshold)
    assert rates.false_alarm <= most
    for other in (*np.unique(scores), np.inf):
        at_other = error_rates(bonafide, scores, other)
        assert at_other.false_alarm > most or at_other.miss >= rates.miss


@few
@given(tied_trials)
def test_no_other_threshold_has_errors_nearer_to_each_other(trials: Trials) -> None:
    bonafide, scores = trials
    at = error_rates(bonafide, scores, eer_threshold(bonafide, scores))
    for other in (*np.unique(scores), np.inf):
        rates = error_rates(bonafide, scores, other)
        assert abs(at.miss - at.false_alarm) <= abs(rates.miss - rates.false_alarm) + 1e-12


def test_a_threshold_lies_between_scores() -> None:
    assert eer_threshold([1, 1, 0, 0], [4.0, 3.0, 1.0, 0.0]) == 2
    assert false_alarm_threshold([1, 0], [0.0, 1.0], 0.0) == np.nextafter(1.0, 2)
    with pytest.raises(ScoresError):
        eer_threshold([1, 1], [0.0, 1.0])
