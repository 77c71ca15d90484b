"""Intervals: they cover where percentiles do not, are never empty, and hold for several figures at
once.
"""

import numpy as np
import pytest
from scipy.stats import norm

from probing.metrics import (
    difference_interval,
    difference_p,
    draw,
    eer,
    eer_resamples,
    rate_interval,
    simultaneous_level,
)


def corpus(
    rate: float, n: int, per_speaker: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores of this EER, and speakers, a third of the variance being of these."""
    generator = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(2 * n), per_speaker)
    bonafide = speaker < n
    noise = (
        generator.normal(size=2 * n)[speaker] / 3**0.5
        + generator.normal(size=len(speaker)) * (2 / 3) ** 0.5
    )
    return bonafide, noise - 2 * norm.ppf(rate) * bonafide, speaker


def test_few_speakers_and_a_low_error_rate_are_covered_where_percentiles_are_not() -> None:
    covered, by_percentiles = 0, 0
    for seed in range(100):
        bonafide, scores, speaker = corpus(0.02, 10, 20, seed)
        drawn = draw(bonafide, speaker, n=200, seed=seed)
        resampled = eer_resamples(bonafide, scores, drawn)
        found = rate_interval(eer(bonafide, scores), resampled, drawn)
        covered += found.low <= 0.02 <= found.high
        low, high = np.quantile(resampled, [0.025, 0.975])
        by_percentiles += low <= 0.02 <= high
    assert covered >= 90
    assert by_percentiles < 88


def test_no_error_at_all_is_not_taken_for_certainty() -> None:
    found = []
    for n in (10, 100, 1000):
        bonafide = np.arange(2 * n) < n
        drawn = draw(bonafide, n=100)
        found.append(
            rate_interval(0.0, eer_resamples(bonafide, bonafide.astype(float), drawn), drawn)
        )
    assert [interval.low for interval in found] == [0, 0, 0]
    assert 0.05 < found[0].high < 0.3
    assert found[0].high > found[1].high > found[2].high > 0.0005
    reversed_scores = rate_interval(1.0, np.ones(100), drawn)
    assert (reversed_scores.low, reversed_scores.high) == pytest.approx((1 - found[2].high, 1))


def test_one_trial_of_a_class_says_nothing() -> None:
    drawn = draw([1, 0, 0, 0], n=100)
    found = rate_interval(0.5, np.full(100, 0.5), drawn)
    assert (found.low, found.high) == (0, 1)
    difference = difference_interval(0.1, np.full(100, 0.1), drawn)
    assert difference.low < 0 < difference.high
    assert difference_p(0.1, np.full(100, 0.1), drawn) == 1


def test_a_difference_of_rates_has_no_interval_beyond_one() -> None:
    drawn = draw([1, 1, 0, 0], n=100)
    found = difference_interval(0.5, np.linspace(-1, 1, 100), drawn)
    assert (found.low, found.high) == (-1, 1)


def test_the_class_of_fewest_clusters_counts_most() -> None:
    bonafide = np.arange(400) < 200
    few, even, many = (
        draw(
            bonafide, np.where(bonafide, np.arange(400) % n, np.arange(400) % m + 1000), n=10
        ).degrees
        for n, m in ((4, 100), (52, 52), (100, 100))
    )
    assert few == pytest.approx(3, abs=0.5)
    assert even == pytest.approx(102)
    assert many == pytest.approx(198)


def test_all_of_several_intervals_hold_at_a_level_between_one_alone_and_bonferroni() -> None:
    generator = np.random.default_rng(0)
    common, own = generator.normal(size=4000), generator.normal(size=(10, 4000))
    bonferroni = 1 - 0.05 / 10
    independent, alike = simultaneous_level(own), simultaneous_level(common + 0.5 * own)
    assert 0.95 < alike < independent
    assert independent == pytest.approx(0.95 ** (1 / 10), abs=0.001)
    assert independent < bonferroni + 0.001
    assert simultaneous_level(own[:1]) == pytest.approx(0.95, abs=0.01)
    assert simultaneous_level(np.zeros((3, 50))) == 0.95


def test_p_is_below_a_twentieth_where_the_interval_leaves_zero_out() -> None:
    bonafide, scores, speaker = corpus(0.2, 12, 20, 0)
    drawn = draw(bonafide, speaker, n=300)
    resampled = eer_resamples(bonafide, scores, drawn)
    spread = resampled - resampled.mean()
    for value in np.linspace(-0.2, 0.2, 41):
        found = difference_interval(value, spread + value, drawn)
        assert (difference_p(value, spread, drawn) < 0.05) == (found.low > 0 or found.high < 0)
