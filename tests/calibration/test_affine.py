"""Affine calibration: the solution of scikit-learn, in every prior, and what it does where there is
none.
"""

import numpy as np
import pytest
from metrics.published import countermeasure, needs_scores
from sklearn.linear_model import LogisticRegression

from cache.errors import OptionError
from probing.calibration import Calibration, calibrate, cost_note
from probing.metrics import ScoresError, act_dcf, cllr, eer
from probing.metrics.calibration import min_cllr


def trials(
    n: int = 4000, share: float = 0.3, systems: int = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are no ratios: scaled and shifted, of systems that differ in their noise."""
    generator = np.random.default_rng(seed)
    bonafide = np.arange(n) < share * n
    scores = [5 + (i + 1) * generator.normal(2.0 * bonafide) for i in range(systems)]
    return bonafide, np.stack(scores)


@pytest.mark.parametrize("systems", [1, 3])
def test_it_is_logistic_regression_without_a_penalty(systems: int) -> None:
    bonafide, scores = trials(systems=systems)
    oracle = LogisticRegression(C=1e12, class_weight="balanced", tol=1e-10, max_iter=1000).fit(
        scores.T, bonafide
    )
    made = calibrate(bonafide, scores)
    assert made.scales == pytest.approx(oracle.coef_[0], rel=1e-4)
    assert made.offset == pytest.approx(oracle.intercept_[0], rel=1e-4)
    assert (made.n_bonafide, made.n_spoof, made.note) == (1200, 2800, "")


@pytest.mark.parametrize("prior", [0.05, 0.5, 0.9])
def test_at_a_prior_nothing_costs_less_there(prior: float) -> None:
    bonafide, scores = trials()

    def cost(made: Calibration) -> float:
        odds = made.apply(scores) + np.log(prior / (1 - prior))
        of_bonafide = np.logaddexp(0, -odds[bonafide]).mean()
        return float(prior * of_bonafide + (1 - prior) * np.logaddexp(0, odds[~bonafide]).mean())

    made = calibrate(bonafide, scores, prior)
    for scale, offset in ((1.02, 0), (0.98, 0), (1, 0.02), (1, -0.02)):
        other = Calibration((made.scales[0] * scale,), made.offset + offset)
        assert cost(made) < cost(other)


def test_ratios_of_other_trials_cost_about_the_least_that_their_order_allows() -> None:
    bonafide, scores = trials()
    others, their_scores = trials(share=0.7, seed=1)
    ratios = calibrate(bonafide, scores).apply(their_scores)
    assert cllr(others, their_scores[0]) > 1
    assert cllr(others, ratios) < min_cllr(others, ratios) + 0.02
    assert eer(others, ratios) == eer(others, their_scores[0])


def test_fused_systems_do_better_than_each() -> None:
    bonafide, scores = trials(systems=2)
    others, their_scores = trials(systems=2, seed=1)
    fused = calibrate(bonafide, scores).apply(their_scores)
    for own, their in zip(scores, their_scores, strict=True):
        assert cllr(others, fused) < cllr(others, calibrate(bonafide, own).apply(their)) - 0.05


def test_trials_that_are_told_apart_give_ratios_as_large_as_their_number_allows() -> None:
    sizes = []
    for n in (10, 1000):
        bonafide = np.arange(n) % 2 == 0
        made = calibrate(bonafide, np.where(bonafide, 1.0, -1.0) + np.linspace(0, 0.1, n))
        assert "told apart without an error" in made.note
        sizes.append(np.abs(made.apply([-1.0, 1.0])).max())
    assert np.log(5) < sizes[0] < np.log(20)
    assert np.log(500) < sizes[1] < np.log(2000)
    two = calibrate([1, 1, 0, 0], [[1, 2, 1, 2], [2, 3, 1, 2]])
    assert "told apart" in two.note
    assert np.isfinite(two.apply([[1.0], [2.0]])).all()


@pytest.mark.parametrize("scores", [[0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
def test_scores_that_do_not_rise_with_bona_fide_say_nothing(scores: list[float]) -> None:
    made = calibrate([1, 1, 0, 0], scores)
    assert made.apply(scores).tolist() == [0, 0, 0, 0]
    assert "every likelihood ratio is 1" in made.note


def test_few_trials_and_ratios_that_cost_more_than_none_are_said() -> None:
    assert "too few to rely on" in calibrate([1, 0, 1, 0], [1.0, 0.0, 0.4, 0.5]).note
    assert cost_note(0.99) == ""
    assert "1.20 bits on eval" in cost_note(1.2)


def test_what_cannot_be_calibrated_is_refused() -> None:
    for message, scores in {
        "2 scores are not finite": [np.inf, np.nan, 1, 2],
        "a multiple of those of others": [[1, 2, 0, 3], [2, 4, 0, 6]],
    }.items():
        with pytest.raises(ScoresError, match=message):
            calibrate([1, 0, 1, 0], scores)
    with pytest.raises(ScoresError, match="expected both classes"):
        calibrate([1, 1], [1.0, 2.0])
    for prior in (0.0, 1.0, float("nan")):
        with pytest.raises(OptionError, match="prior"):
            calibrate([1, 0], [1.0, 2.0], prior)


def test_a_record_is_read_back_and_another_is_refused() -> None:
    made = calibrate(*trials(200))
    assert Calibration.of(made.as_dict()) == made
    for wrong in ({"scales": []}, {"offset": float("nan")}, {"prior": 1}, {"scales": ["x"]}):
        with pytest.raises((ValueError, TypeError)):
            Calibration.of({**made.as_dict(), **wrong})


@needs_scores
def test_published_scores_calibrated_on_one_half_cost_less_on_the_other() -> None:
    _, bonafide, scores = countermeasure()
    half = np.random.default_rng(0).permutation(len(scores)) % 2 == 0
    ratios = calibrate(bonafide[half], scores[half]).apply(scores[~half])
    assert cllr(bonafide[~half], ratios) < cllr(bonafide[~half], scores[~half]) - 0.01
    assert act_dcf(bonafide[~half], ratios) < act_dcf(bonafide[~half], scores[~half]) - 0.005
