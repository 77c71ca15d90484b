"""Bootstrap intervals: they agree with resampling by hand, keep the classes, and cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.metrics import draw, eer, eer_resamples, percentile_interval


def gaussian_trials(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    bonafide = np.arange(2 * n) < n
    return bonafide, generator.normal(size=2 * n) + 2.0 * bonafide


@settings(max_examples=30)
@given(st.integers(2, 30), st.integers(0, 999), st.booleans())
def test_each_resample_equals_repeating_the_trials_drawn(n: int, seed: int, tied: bool) -> None:
    bonafide, scores = gaussian_trials(n, seed)
    scores = scores.round() if tied else scores
    speakers = np.random.default_rng(seed).integers(0, 4, 2 * n)
    for clusters in (None, speakers):
        resamples = draw(bonafide, clusters, n=5, seed=seed)
        values = eer_resamples(bonafide, scores, resamples)
        for counts, value in zip(resamples.counts, values, strict=True):
            times = counts[resamples.cluster]
            assert value == pytest.approx(eer(np.repeat(bonafide, times), np.repeat(scores, times)), abs=1e-12)


def test_every_resample_draws_as_many_of_each_class() -> None:
    bonafide = np.arange(50) < 7
    counts = draw(bonafide, n=200).counts
    resamples = draw(bonafide, n=200)
    of_bonafide = np.isin(np.arange(counts.shape[1]), resamples.cluster[bonafide])
    assert (counts[:, of_bonafide].sum(axis=1) == 7).all()
    assert (counts[:, ~of_bonafide].sum(axis=1) == 43).all()


def test_a_speaker_with_both_classes_is_drawn_separately_for_each() -> None:
    resamples = draw([1, 1, 0, 0], ["a", "a", "a", "a"], n=100)
    assert resamples.counts.shape == (100, 2)
    assert (resamples.counts == 1).all()


def test_same_seed_same_interval_and_another_seed_another() -> None:
    bonafide, scores = gaussian_trials(40, 0)
    values = [eer_resamples(bonafide, scores, draw(bonafide, n=50, seed=seed)) for seed in (3, 3, 4)]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).any()


def test_blocks_of_resamples_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bonafide, scores = gaussian_trials(40, 0)
    resamples = draw(bonafide, n=50)
    whole = eer_resamples(bonafide, scores, resamples)
    monkeypatch.setattr("probing.metrics.bootstrap.BLOCK_VALUES", 300)
    assert (eer_resamples(bonafide, scores, resamples) == whole).all()


def test_the_interval_covers_the_true_error_rate_about_as_often_as_it_says() -> None:
    truth = 0.15865525393145707  # two unit Gaussians two apart cross at one sigma
    covered = 0
    for seed in range(100):
        bonafide, scores = gaussian_trials(150, seed)
        values = eer_resamples(bonafide, scores, draw(bonafide, n=200, seed=seed))
        interval = percentile_interval(eer(bonafide, scores), values)
        covered += interval.low <= truth <= interval.high
    assert 88 <= covered <= 100


def test_correlated_speakers_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    speaker = np.repeat(np.arange(20), 20)
    bonafide = speaker < 10
    scores = generator.normal(size=400) * 0.3 + generator.normal(size=20)[speaker] + bonafide
    widths = []
    for clusters in (None, speaker):
        interval = percentile_interval(0.0, eer_resamples(bonafide, scores, draw(bonafide, clusters, n=500)))
        widths.append(interval.high - interval.low)
    assert widths[1] > 2 * widths[0]
