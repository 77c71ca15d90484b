"""ROC, detection costs and t-DCF: reference figures, worked cases, and what must hold for any
scores.
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.published import ATTACKS, countermeasure, needs_scores, verification
from sklearn.metrics import log_loss, roc_auc_score, roc_curve

from probing.metrics import (
    ASVSPOOF5,
    AsvRates,
    Costs,
    ScoresError,
    accuracy,
    act_dcf,
    asv_rates,
    auc,
    cllr,
    eer,
    legacy_min_tdcf,
    min_dcf,
    official_eer,
    revised_min_tdcf,
    roc,
)

ASV = AsvRates(0.0245, -5.7, 0.024604675, 0.024581006, 0.760652453)
Metric = Callable[[np.ndarray, np.ndarray], float]
RANKED: dict[str, Metric] = {
    "eer": eer,
    "auc": auc,
    "min_dcf": min_dcf,
    "legacy": lambda bonafide, scores: legacy_min_tdcf(bonafide, scores, ASV),
    "revised": lambda bonafide, scores: revised_min_tdcf(bonafide, scores, ASV),
}
OTHERS: dict[str, Metric] = {
    "official_eer": official_eer,
    "official_min_dcf": lambda bonafide, scores: min_dcf(bonafide, scores, official=True),
    "act_dcf": act_dcf,
    "cllr": cllr,
    "accuracy": accuracy,
}
Trials = tuple[np.ndarray, np.ndarray]
ranked = pytest.mark.parametrize("name", RANKED)
tied_trials = (
    st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=60)
    .filter(lambda rows: len({row[0] for row in rows}) == 2)
    .map(
        lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float))
    )
)


@needs_scores
def test_published_scores_give_the_reference_figures() -> None:
    attack, bonafide, scores = countermeasure()
    _, keys, asv_scores = verification()
    asv = asv_rates(keys, asv_scores)
    assert official_eer(bonafide, scores) == pytest.approx(0.01060134752, abs=1e-8)
    assert asv.eer == pytest.approx(0.02457784, abs=1e-8)
    assert asv.threshold == -5.680051
    assert (asv.false_alarm, asv.miss) == pytest.approx((0.0246046749, 0.0245810056), abs=1e-8)
    assert asv.false_alarm_spoof == pytest.approx(0.7606524530, abs=1e-8)
    assert asv.legacy() == pytest.approx((0.915044120, 0.380326226), abs=1e-8)
    assert asv.revised()[0] == pytest.approx(0.025455880, abs=1e-8)
    for official in (False, True):  # no tie lies where the costs are least
        assert legacy_min_tdcf(bonafide, scores, asv, official=official) == pytest.approx(
            0.033538947, abs=1e-8
        )
        assert revised_min_tdcf(bonafide, scores, asv, official=official) == pytest.approx(
            0.094167831, abs=1e-8
        )
        assert min_dcf(bonafide, scores, official=official) == pytest.approx(0.029893113, abs=1e-8)
    assert act_dcf(bonafide, scores) == pytest.approx(0.044395365, abs=1e-8)
    assert cllr(bonafide, scores) == pytest.approx(0.066251950, abs=1e-8)
    for name, percent in ATTACKS.items():
        chosen = bonafide | (attack == name)
        assert 100 * official_eer(bonafide[chosen], scores[chosen]) == pytest.approx(
            percent, abs=5.1e-5
        )


def test_a_case_worked_by_hand() -> None:
    bonafide = np.array([1, 1, 1, 1, 0, 0], bool)
    scores = np.array([3.0, 2.0, 1.0, -1.0, 1.5, -2.0])
    assert ASVSPOOF5.threshold == pytest.approx(-0.641854, abs=1e-6)
    assert auc(bonafide, scores) == 6 / 8
    # at -1: none missed, half accepted
    assert min_dcf(bonafide, scores) == pytest.approx(0.5 * 0.5 / 0.5)
    assert act_dcf(bonafide, scores) == pytest.approx((0.95 * 0.25 + 0.5 * 0.5) / 0.5)
    assert accuracy(bonafide, scores) == 4 / 6
    assert accuracy(bonafide, scores, 1.75) == 4 / 6
    c1 = 0.95 * 0.99 * (1 - ASV.miss) - 0.95 * 0.01 * 10 * ASV.false_alarm
    c2 = 0.05 * 10 * ASV.false_alarm_spoof
    c0 = 0.95 * 0.99 * ASV.miss + 0.95 * 0.01 * 10 * ASV.false_alarm
    least = min(c2 / 2, c1 / 2)
    assert legacy_min_tdcf(bonafide, scores, ASV) == pytest.approx(least / min(c1, c2))
    assert revised_min_tdcf(bonafide, scores, ASV) == pytest.approx(
        (c0 + least) / (c0 + min(c1, c2))
    )


@given(tied_trials)
def test_the_roc_is_that_of_scikit_learn(trials: Trials) -> None:
    curve = roc(*trials)
    false_alarm, hit, threshold = roc_curve(*trials, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_alarm[::-1], false_alarm, atol=1e-12)
    np.testing.assert_allclose(curve.miss[::-1], 1 - hit, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold[::-1], threshold)


@given(tied_trials)
def test_area_and_cllr_and_minimum_are_those_of_scikit_learn(trials: Trials) -> None:
    bonafide, scores = trials
    assert auc(bonafide, scores) == pytest.approx(roc_auc_score(bonafide, scores), abs=1e-12)
    balanced = np.where(bonafide, 1 / bonafide.sum(), 1 / (~bonafide).sum())
    loss = log_loss(bonafide, 1 / (1 + np.exp(-scores)), sample_weight=balanced) / np.log(2)
    assert cllr(bonafide, scores) == pytest.approx(loss, abs=1e-9)
    false_alarm, hit, _ = roc_curve(bonafide, scores)  # dropping points on a line loses no minimum
    assert min_dcf(bonafide, scores) == pytest.approx(
        (0.95 * (1 - hit) + 0.5 * false_alarm).min() / 0.5, abs=1e-12
    )


@given(tied_trials)
def test_rates_at_a_threshold_are_those_of_deciding_by_it(trials: Trials) -> None:
    bonafide, scores = trials
    curve = roc(bonafide, scores)
    for threshold, miss, false_alarm in zip(
        curve.threshold, curve.miss, curve.false_alarm, strict=True
    ):
        assert miss == pytest.approx((scores[bonafide] < threshold).mean())
        assert false_alarm == pytest.approx((scores[~bonafide] >= threshold).mean())


@given(tied_trials)
def test_corners_draw_the_same_line(trials: Trials) -> None:
    curve = roc(*trials)
    corners = curve.corners()
    assert len(corners.miss) <= len(curve.miss)
    # a function, as it never goes back
    along, across = curve.miss - curve.false_alarm, curve.miss + curve.false_alarm
    cornered = np.interp(
        along, corners.miss - corners.false_alarm, corners.miss + corners.false_alarm
    )
    np.testing.assert_allclose(cornered, across, atol=1e-12)


@ranked
@given(
    trials=tied_trials, shift=st.integers(-9, 9), times=st.integers(2, 3), seed=st.integers(0, 99)
)
def test_order_shift_monotone_maps_and_repetition_change_nothing(
    name: str, trials: Trials, shift: int, times: int, seed: int
) -> None:
    bonafide, scores = trials
    metric, order = RANKED[name], np.random.default_rng(seed).permutation(len(scores))
    value = metric(bonafide, scores)
    assert metric(bonafide[order], scores[order]) == pytest.approx(value, abs=1e-12)
    assert metric(bonafide, scores + shift) == pytest.approx(value, abs=1e-12)
    assert metric(bonafide, np.expm1(scores) ** 3) == pytest.approx(value, abs=1e-12)
    assert metric(np.repeat(bonafide, times), np.repeat(scores, times)) == pytest.approx(
        value, abs=1e-12
    )


@given(trials=tied_trials, times=st.integers(2, 3))
def test_repetition_changes_no_cost_at_a_given_threshold(trials: Trials, times: int) -> None:
    bonafide, scores = trials
    for metric in (act_dcf, cllr, accuracy):
        value = metric(bonafide, scores)
        assert metric(np.tile(bonafide, times), np.tile(scores, times)) == pytest.approx(
            value, abs=1e-12
        )


@given(tied_trials)
def test_bounds(trials: Trials) -> None:
    bonafide, scores = trials
    for name in ("eer", "auc", "min_dcf", "legacy", "revised"):
        assert 0 <= RANKED[name](bonafide, scores) <= 1 + 1e-12, name
    assert min_dcf(bonafide, scores) <= act_dcf(bonafide, scores) + 1e-12
    assert min_dcf(bonafide, scores, official=True) <= min_dcf(bonafide, scores) + 1e-12


@given(tied_trials)
def test_without_ties_the_official_reading_is_the_same_curve(trials: Trials) -> None:
    bonafide, scores = trials
    apart = scores + np.arange(len(scores)) * 1e-6
    for name in ("miss", "false_alarm"):
        np.testing.assert_allclose(
            getattr(roc(bonafide, apart), name), getattr(roc(bonafide, apart, official=True), name)
        )
    assert official_eer(bonafide, apart) == pytest.approx(
        eer(bonafide, apart), abs=1 / min(bonafide.sum(), (~bonafide).sum())
    )


def test_constant_scores_say_nothing() -> None:
    bonafide, scores = np.array([True, False, False]), np.zeros(3)
    assert (eer(bonafide, scores), auc(bonafide, scores), min_dcf(bonafide, scores)) == (
        0.5,
        0.5,
        1,
    )
    assert cllr(bonafide, scores) == pytest.approx(1)
    assert legacy_min_tdcf(bonafide, scores, ASV) == revised_min_tdcf(bonafide, scores, ASV) == 1
    # as the official code has it: between tied trials, bona fide first
    assert official_eer(bonafide, scores) == 1


def test_perfect_scores_cost_nothing_but_the_speaker_verification() -> None:
    bonafide, scores = np.array([False, True, True]), np.array([-900.0, 900.0, 901.0])
    assert (min_dcf(bonafide, scores), act_dcf(bonafide, scores), cllr(bonafide, scores)) == (
        0,
        0,
        0,
    )
    assert legacy_min_tdcf(bonafide, scores, ASV) == 0
    c0, c1, c2 = ASV.revised()
    assert revised_min_tdcf(bonafide, scores, ASV) == pytest.approx(c0 / (c0 + min(c1, c2)))


@pytest.mark.parametrize("name", {**RANKED, **OTHERS})
@pytest.mark.parametrize(
    ("bonafide", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "2 bona fide of 2 trials"),
        ([0, 0], [0.1, 0.2], "0 bona fide of 2 trials"),
        ([1, 0], [0.1, float("nan")], "1 of 2 scores are NaN"),
        ([1, 0, 1], [0.1, 0.2], "expected one of each"),
    ],
)
def test_one_class_and_nan_are_refused(
    name: str, bonafide: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        {**RANKED, **OTHERS}[name](np.array(bonafide), np.array(scores))


def test_rates_of_a_speaker_verification_system_worked_by_hand() -> None:
    rates = asv_rates(
        ["target"] * 4 + ["nontarget"] * 4 + ["spoof"] * 2, [5, 4, 3, 1, 2, 0, -1, -2, 4, 1]
    )
    # the highest score rejected, at or above which it then accepts
    assert (rates.eer, rates.threshold) == (0.25, 1)
    assert (rates.miss, rates.false_alarm, rates.false_alarm_spoof) == (0, 0.25, 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["target", "nontarget", "bonafide"], "expected one of target"),
        (["target", "spoof", "spoof"], "0 nontarget"),
    ],
)
def test_verification_scores_without_all_three_kinds_are_refused(
    keys: list[str], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        asv_rates(keys, [1, 2, 3])


def test_a_verification_system_that_spoofs_never_pass_leaves_the_legacy_cost_undefined() -> None:
    rates = AsvRates(0.1, 0, 0.1, 0.1, 0)
    with pytest.raises(ScoresError, match="C2 0"):
        legacy_min_tdcf([1, 0], [1, 0], rates)
    assert revised_min_tdcf([1, 0], [1, 0], rates) == 1


@pytest.mark.parametrize(
    "wrong", [{"p_spoof": 0}, {"p_spoof": 1}, {"miss": 0}, {"false_alarm": -1}]
)
def test_costs_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a prior"):
        Costs(**wrong)
