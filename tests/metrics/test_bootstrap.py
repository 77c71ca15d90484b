"""Bootstrap intervals: they agree with resampling by hand, keep the classes, and cover."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probing.metrics import ScoresError, compare, draw, eer, eer_resamples, rate_interval


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
            assert value == pytest.approx(
                eer(np.repeat(bonafide, times), np.repeat(scores, times)), abs=1e-12
            )


def test_every_resample_draws_as_many_of_each_class() -> None:
    bonafide = np.arange(50) < 7
    counts = draw(bonafide, n=200).counts
    resamples = draw(bonafide, n=200)
    of_bonafide = np.isin(np.arange(counts.shape[1]), resamples.cluster[bonafide])
    assert (counts[:, of_bonafide].sum(axis=1) == 7).all()
    assert (counts[:, ~of_bonafide].sum(axis=1) == 43).all()


def test_a_speaker_with_both_classes_is_drawn_separately_for_each() -> None:
    resamples = draw([1, 1, 0, 0], ["a", "b", "a", "b"], n=100)
    bonafide, spoof = resamples.counts[:, :2], resamples.counts[:, 2:]
    assert resamples.counts.shape == (100, 4)
    assert (bonafide.sum(1) == 2).all()
    assert (spoof.sum(1) == 2).all()
    assert (bonafide != spoof).any()


@pytest.mark.parametrize(
    ("speakers", "kinds"),
    [("LLLLLLLL", "bona fide and spoof"), ("abcdLLLL", "spoof"), ("LLLLabcd", "bona fide")],
)
def test_a_class_of_one_cluster_is_drawn_by_utterance_and_says_so(
    speakers: str, kinds: str
) -> None:
    bonafide = [1, 1, 1, 1, 0, 0, 0, 0]
    drawn, single = draw(bonafide, list(speakers), n=100), draw(bonafide, n=100)
    assert (drawn.counts == single.counts).all()
    assert drawn.unit == "utterance"
    assert drawn.note == f"by utterance, since the {kinds} trials are of one speaker"
    assert single.note == ""


def test_few_clusters_are_said_with_their_number() -> None:
    bonafide = np.repeat([1, 0], 20)
    many, few = np.arange(40) % 8, np.where(bonafide, np.arange(40) % 3, np.arange(40) % 8)
    assert draw(bonafide, many).note == ""
    assert draw(bonafide, few).note == "from 3 bona fide speakers only, so that it is rough"
    assert (
        draw(bonafide, few, unit="attack").note
        == "from 3 bona fide attacks only, so that it is rough"
    )


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_a_rate_lies_within_its_interval_and_both_within_0_and_1(
    value: float, resampled: list[float], n_bonafide: int, n_spoof: int
) -> None:
    drawn = draw([1] * n_bonafide + [0] * n_spoof, n=2)
    interval = rate_interval(value, np.array(resampled), drawn)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


def test_same_seed_same_interval_and_another_seed_another() -> None:
    bonafide, scores = gaussian_trials(40, 0)
    values = [
        eer_resamples(bonafide, scores, draw(bonafide, n=50, seed=seed)) for seed in (3, 3, 4)
    ]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).any()


def test_blocks_of_resamples_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bonafide, scores = gaussian_trials(40, 0)
    resamples = draw(bonafide, n=50)
    whole = eer_resamples(bonafide, scores, resamples)
    monkeypatch.setattr("probing.metrics.bootstrap.BLOCK_VALUES", 300)
    assert eer_resamples(bonafide, scores, resamples) == pytest.approx(whole, abs=1e-15)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(3, 200), st.integers(0, 999), st.booleans(), st.sampled_from([0.0, 0.5, 5.0]))
def test_the_window_changes_no_result(
    monkeypatch: pytest.MonkeyPatch, n: int, seed: int, tied: bool, sigmas: float
) -> None:
    bonafide, scores = gaussian_trials(n, seed)
    scores = scores.round(1) if tied else scores
    speakers = np.random.default_rng(seed).integers(0, 9, 2 * n)
    for clusters in (None, speakers):
        resamples = draw(bonafide, clusters, n=20, seed=seed)
        whole = eer_resamples(bonafide, scores, resamples)
        with monkeypatch.context() as patch:
            patch.setattr("probing.metrics.bootstrap.BLOCK_VALUES", 30)
            patch.setattr("probing.metrics.bootstrap.WINDOW_SIGMAS", sigmas)
            assert eer_resamples(bonafide, scores, resamples) == pytest.approx(whole, abs=1e-12)


def test_counts_drawn_when_needed_are_a_multinomial_and_always_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probing.metrics.resamples.STORED_COUNTS", 0)
    bonafide = np.arange(70_000) < 1_000
    resamples = draw(bonafide, n=20, seed=3)
    assert resamples.stored is None
    counts = resamples.counts
    assert (counts[:, :1000].sum(axis=1) == 1_000).all()
    assert (counts[:, 1000:].sum(axis=1) == 69_000).all()
    assert (counts[4:6] == resamples.rows(4, 6)).all()
    assert (counts[0] != counts[1]).any()
    # the last run is drawn by itself
    for part in (counts[:, :1000], counts[:, 1000:66_000], counts[:, 66_600:]):
        assert part.mean() == pytest.approx(1, abs=0.05)
        assert part.var() == pytest.approx(1, abs=0.05)
        assert (part == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_single_trials_drawn_when_needed_agree_with_repeating_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probing.metrics.resamples.STORED_COUNTS", 0)
    bonafide, scores = gaussian_trials(3_000, 1)
    resamples = draw(bonafide, n=300)
    values = eer_resamples(bonafide, scores, resamples)
    for counts, value in zip(resamples.rows(0, 5), values[:5], strict=True):
        times = counts[resamples.cluster].astype(int)
        assert value == pytest.approx(
            eer(np.repeat(bonafide, times), np.repeat(scores, times)), abs=1e-12
        )


@pytest.mark.parametrize("sigmas", [0.0, 5.0])
@pytest.mark.parametrize("tied", [False, True])
def test_a_figure_that_is_alone_spreads_alike_where_only_its_window_is_drawn(
    monkeypatch: pytest.MonkeyPatch, sigmas: float, tied: bool
) -> None:
    bonafide, scores = gaussian_trials(600, 1)
    order = np.random.default_rng(2).permutation(1200)
    scores = scores.round(1) if tied else scores
    resamples = draw(bonafide, n=3000)
    whole = eer_resamples(bonafide, scores, resamples)
    monkeypatch.setattr("probing.metrics.bootstrap.WINDOW_SIGMAS", sigmas)
    alone = eer_resamples(bonafide, scores, resamples, alone=True)
    assert (alone == eer_resamples(bonafide, scores, resamples, alone=True)).all()
    other = draw(bonafide[order], n=3000)
    assert (alone == eer_resamples(bonafide[order], scores[order], other, alone=True)).all()
    assert alone.mean() == pytest.approx(whole.mean(), abs=4 * whole.std() / 1500**0.5)
    assert alone.std() == pytest.approx(whole.std(), rel=4 / 3000**0.5)
    assert np.quantile(alone, [0.05, 0.5, 0.95]) == pytest.approx(
        np.quantile(whole, [0.05, 0.5, 0.95]), abs=0.2 * whole.std()
    )


def test_speakers_are_drawn_as_ever_where_a_figure_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probing.metrics.bootstrap.BLOCK_VALUES", 30)
    bonafide, scores = gaussian_trials(100, 1)
    resamples = draw(bonafide, np.arange(200) % 9, n=50)
    whole = eer_resamples(bonafide, scores, resamples)
    assert (eer_resamples(bonafide, scores, resamples, alone=True) == whole).all()


def test_resamples_of_other_trials_are_refused() -> None:
    with pytest.raises(ScoresError, match="2 scores, resamples of 3"):
        eer_resamples([1, 0], [1, 0], draw([1, 0, 0]))


def test_a_paired_comparison_is_sharper_than_two_intervals() -> None:
    bonafide, scores = gaussian_trials(400, 0)
    worse = scores - 0.3 * bonafide + 0.1 * np.random.default_rng(1).normal(size=len(scores))
    resamples = draw(bonafide, n=500)
    found = compare(bonafide, scores, worse, resamples)
    assert found.difference.value == eer(bonafide, scores) - eer(bonafide, worse)
    assert found.difference.high < 0
    assert found.first_better > 0.97
    one, two = (
        rate_interval(eer(bonafide, some), eer_resamples(bonafide, some, resamples), resamples)
        for some in (scores, worse)
    )
    assert (
        found.difference.high - found.difference.low < (one.high - one.low + two.high - two.low) / 2
    )
    same = compare(bonafide, scores, scores * 2, resamples)
    assert (
        same.difference.value,
        same.difference.low,
        same.difference.high,
        same.first_better,
    ) == (0, 0, 0, 0.5)


def test_the_interval_covers_the_true_error_rate_about_as_often_as_it_says() -> None:
    truth = 0.15865525393145707  # two unit Gaussians two apart cross at one sigma
    covered = 0
    for seed in range(100):
        bonafide, scores = gaussian_trials(150, seed)
        drawn = draw(bonafide, n=200, seed=seed)
        interval = rate_interval(
            eer(bonafide, scores), eer_resamples(bonafide, scores, drawn), drawn
        )
        covered += interval.low <= truth <= interval.high
    assert 88 <= covered <= 100


def test_correlated_speakers_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    speaker = np.repeat(np.arange(20), 20)
    bonafide = speaker < 10
    scores = generator.normal(size=400) * 0.3 + generator.normal(size=20)[speaker] + bonafide
    widths = []
    for clusters in (None, speaker):
        drawn = draw(bonafide, clusters, n=500)
        interval = rate_interval(
            eer(bonafide, scores), eer_resamples(bonafide, scores, drawn), drawn
        )
        widths.append(interval.high - interval.low)
    assert widths[1] > 2 * widths[0]
