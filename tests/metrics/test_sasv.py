"""a-DCF and t-EER: figures of the published packages, definitions in plain loops, and what holds
for any scores.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probing.metrics import ScoresError, draw
from probing.metrics.sasv import SasvCosts, a_dcf, sasv_curve, t_eer
from probing.metrics.sasv_bootstrap import a_dcf_resamples, t_eer_resamples
from probing.metrics.tdcf import KEYS

Trials = tuple[np.ndarray, np.ndarray, np.ndarray]
trials_of_three_kinds = (
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.integers(-4, 4), st.integers(-4, 4)),
        min_size=3,
        max_size=20,
    )
    .filter(lambda rows: len({row[0] for row in rows}) == 3)
    .map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))
)


TIED = (  # two pairs of thresholds are equally near
    np.array(["target"] * 5 + ["nontarget"] + ["spoof"] * 3),
    np.array([0, 0, 0, 0, 0, 0, 0, -1, -1]),
    np.array([0, 0, -1, -1, -1, -1, 0, 0, -1]),
)


def rejected_at(scores: np.ndarray, of: np.ndarray) -> list[Fraction]:
    """Share of some trials that is rejected at every threshold of all, each by deciding every
    trial.
    """
    thresholds = [*sorted(set(scores.tolist())), np.inf]
    return [
        Fraction(int((scores[of] < threshold).sum()), int(of.sum())) for threshold in thresholds
    ]


def t_eer_by_pairs(keys: np.ndarray, asv: np.ndarray, cm: np.ndarray) -> float:
    """The concurrent t-EER by a double loop over the thresholds of both systems."""
    human = rejected_at(cm, keys != "spoof")
    spoofs = [1 - share for share in rejected_at(cm, keys == "spoof")]
    best: tuple[float | Fraction, float | Fraction] = (np.inf, np.nan)
    for miss, *others in zip(*(rejected_at(asv, keys == key) for key in KEYS), strict=True):
        nontarget, spoof = (1 - rate for rate in others)
        if miss >= nontarget:
            continue
        gap: float | Fraction = np.inf
        for cm_miss, cm_spoof in zip(human, spoofs, strict=True):
            if (here := abs(cm_miss + (1 - cm_miss) * miss - (1 - cm_miss) * nontarget)) < gap:
                gap, chosen = here, (cm_miss, cm_spoof)
        if spoof and chosen[0] < 1:
            away = abs(nontarget / spoof - chosen[1] / (1 - chosen[0]))
            best = (away, spoof * chosen[1]) if away < best[0] else best
    return float(best[1])


def worked_trials() -> Trials:
    i = np.arange(900)
    keys = np.array(KEYS)[i % 3]
    asv = np.sin(1.0 * i**2) * 2 + 2.0 * (keys == "target") + 1.3 * (keys == "spoof")
    return keys, asv, np.cos(1.7 * i**2) * 2 - 1.5 * (keys == "spoof")


def test_the_figures_are_those_of_the_published_packages() -> None:
    keys, asv, cm = worked_trials()
    for official in (False, True):  # no two scores are equal
        # a_dcf 0.0.4, and compute_teer of the ASVspoof 5 evaluation package, both run on these
        # trials
        assert a_dcf(keys, np.minimum(asv, cm + 2), official=official) == pytest.approx(
            0.7722222222222223, abs=1e-15
        )
        assert t_eer(keys, asv, cm, official=official) == pytest.approx(
            0.38939999999999997, abs=1e-15
        )


@settings(max_examples=40)
@given(trials_of_three_kinds)
def test_the_a_dcf_is_the_least_cost_of_deciding_by_a_threshold(trials: Trials) -> None:
    keys, scores, _ = trials
    rejected = (rejected_at(scores, keys == key) for key in KEYS)
    costs = [
        0.9 * miss + 0.5 * (1 - nontarget) + (1 - spoof)
        for miss, nontarget, spoof in zip(*rejected, strict=True)
    ]
    assert a_dcf(keys, scores) == pytest.approx(min(costs) / 0.9, abs=1e-12)
    assert 0 <= a_dcf(keys, scores) <= 1


@settings(max_examples=50)
@given(trials_of_three_kinds)
@example(TIED)
def test_the_t_eer_is_that_of_trying_every_pair_of_thresholds(trials: Trials) -> None:
    assert t_eer(*trials) == pytest.approx(t_eer_by_pairs(*trials), abs=1e-15)


@settings(max_examples=40)
@given(trials_of_three_kinds, st.integers(0, 99))
def test_neither_the_order_of_trials_nor_a_rising_function_of_scores_matters(
    trials: Trials, seed: int
) -> None:
    keys, asv, cm = trials
    order = np.random.default_rng(seed).permutation(len(keys))
    assert a_dcf(keys[order], np.exp(asv[order] / 3)) == a_dcf(keys, asv)
    assert t_eer(keys[order], asv[order] ** 3 * 1e6, np.arctan(cm[order]) - 7) == t_eer(
        keys, asv, cm
    )


@settings(max_examples=40)
@given(trials_of_three_kinds)
def test_tied_scores_are_one_threshold_unless_read_as_the_packages_do(trials: Trials) -> None:
    keys, scores, _ = trials
    curve = sasv_curve(keys, scores)
    assert len(curve.miss) == len(set(scores.tolist())) + 1
    assert len(sasv_curve(keys, scores, official=True).miss) == len(keys) + 1
    assert [curve.miss[0], curve.false_alarm[0], curve.false_alarm_spoof[0]] == [0, 1, 1]
    assert [curve.miss[-1], curve.false_alarm[-1], curve.false_alarm_spoof[-1]] == [1, 0, 0]
    assert a_dcf(keys, np.zeros(len(keys))) == 1
    # in a tie targets are rejected first
    assert a_dcf(keys, scores, official=True) >= a_dcf(keys, scores) - 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_a_resample_is_the_figure_of_the_trials_repeated(
    seed: int, tied: bool, by_speaker: bool
) -> None:
    generator = np.random.default_rng(seed)
    keys = np.repeat(KEYS, generator.integers(3, 30, 3))
    asv = generator.normal(size=len(keys)) + 2.0 * (keys == "target")
    cm = generator.normal(size=len(keys)) - 2.0 * (keys == "spoof")
    if tied:
        asv, cm = asv.round(), cm.round()
    drawn = draw(
        keys != "spoof", generator.integers(0, 4, len(keys)) if by_speaker else None, n=5, seed=seed
    )
    found = a_dcf_resamples(keys, asv, drawn), t_eer_resamples(keys, asv, cm, drawn)
    for i, counts in enumerate(drawn.counts):
        times = counts[drawn.cluster]
        repeated = [np.repeat(column, times) for column in (keys, asv, cm)]
        if len(set(repeated[0])) < 3:
            assert np.isnan([of[i] for of in found]).all()
            continue
        assert found[0][i] == pytest.approx(a_dcf(*repeated[:2]), abs=1e-12)
        assert found[1][i] == pytest.approx(t_eer(*repeated), abs=1e-12)


def test_a_grid_of_thresholds_finds_the_same_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    keys = np.repeat(KEYS, 1500)
    asv = generator.normal(size=4500) + 2.0 * (keys == "target") + (keys == "spoof")
    cm = generator.normal(size=4500) - 2.0 * (keys == "spoof")
    drawn = draw(keys != "spoof", np.arange(4500) % 60, n=20)
    on_grid = t_eer_resamples(keys, asv, cm, drawn)
    monkeypatch.setattr("probing.metrics.sasv_bootstrap.ALL_POINTS", 10_000)
    assert (t_eer_resamples(keys, asv, cm, drawn) == on_grid).all()


def test_what_no_figure_can_be_made_of_is_refused() -> None:
    for keys, scores, message in [
        (
            ["target", "spoof"],
            [1.0, 0.0],
            "1 target, 0 nontarget, 1 spoof; expected all three kinds",
        ),
        (["target", "nontarget", "spoof"], [1.0, np.nan, 0.0], "1 of 3 scores are NaN"),
        (["target", "nontarget", "spoof"], [1.0, 0.0], r"scores \(2,\) and keys \(3,\)"),
        (
            ["target", "nontarget", "bonafide"],
            [1.0, 0.0, 2.0],
            "key 'bonafide': expected one of target",
        ),
    ]:
        with pytest.raises(ScoresError, match=message):
            a_dcf(keys, scores)
    with pytest.raises(ScoresError, match="1 of 3 scores are NaN"):
        t_eer(["target", "nontarget", "spoof"], [1.0, 0.0, 2.0], [1.0, np.nan, 0.0])
    with pytest.raises(ScoresError, match="3 scores, resamples of 2"):
        a_dcf_resamples(["target", "nontarget", "spoof"], [1.0, 0.0, 2.0], draw([1, 0]))
    with pytest.raises(ValueError, match="priors that sum to 1"):
        SasvCosts(p_target=0.5)
