"""Error rates of localisation equal what counting every millisecond gives."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from probing.metrics import (
    ScoresError,
    draw,
    eer,
    localisation_figures,
    range_eer,
    range_pieces,
    segment_eer,
    segment_eers,
    segments,
    threshold_at_eer,
)
from probing.metrics.localisation import SCORED, TRUTH, Pieces, eer_of
from probing.metrics.localisation_resamples import found_resamples, pieces_eer_resamples

SEEDS = st.integers(0, 10**6)


def drawn(seed: int, n: int = 12, hop: float = 0.02) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Utterances with spoofed and unlabelled stretches of whole milliseconds, and a score every
    hop, some of them tied.

    The first piece begins and the last one ends with the clip.
    """
    generator = np.random.default_rng(seed)
    truth, scored = [], []
    for i in range(n):
        name = f"u{generator.integers(10**9)}-{i}"
        edges = np.concatenate([[0], np.cumsum(generator.integers(3, 900, 5))]) / 1000
        labels = generator.choice(["bonafide", "spoof", "Genuine", ""], 5, p=[0.35, 0.35, 0.2, 0.1])
        truth += [
            (name, a, b, label)
            for (a, b), label in zip(itertools.pairwise(edges), labels, strict=True)
            if label
        ]
        starts = np.arange(0, edges[-1], hop)
        centre = np.searchsorted(edges, starts + hop / 2, side="right") - 1
        spoof = labels[np.minimum(centre, 4)] == "spoof"
        scores = np.round(generator.normal(np.where(spoof, -0.7, 0.7), 1), 1)
        ends = np.append(starts[1:], edges[-1])
        scored += [
            (name, a, b, score) for a, b, score in zip(starts, ends, scores, strict=True) if b > a
        ]
    table = pd.DataFrame(truth, columns=["utterance_id", "start", "end", "label"])
    return table, pd.DataFrame(scored, columns=["utterance_id", "start", "end", "score"])


def every_millisecond(truth: pd.DataFrame, scored: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Label (1 bona fide) and score of the middle of each millisecond that has both."""
    labels, scores = [], []
    for name, own in truth.groupby("utterance_id"):
        pieces = scored[scored["utterance_id"] == name]
        for row in own.itertuples():
            times = np.arange(round(row.start * 1000), round(row.end * 1000)) / 1000 + 0.0005
            at = np.searchsorted(pieces["start"], times, side="right") - 1
            labels.append(np.full(len(times), row.label.lower() != "spoof"))
            scores.append(pieces["score"].to_numpy()[at])
    return np.concatenate(labels), np.concatenate(scores)


@given(seed=SEEDS)
@settings(max_examples=12, deadline=None)
def test_the_range_error_rate_is_that_of_every_millisecond(seed: int) -> None:
    truth, scored = drawn(seed)
    labels, scores = every_millisecond(truth, scored)
    found = range_eer(
        truth.sample(frac=1, random_state=seed), scored.sample(frac=1, random_state=seed)
    )
    assert found == pytest.approx(eer(labels, scores), abs=1e-9)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_pieces_off_the_millisecond_are_within_a_thousandth(seed: int) -> None:
    truth, scored = drawn(seed, n=30, hop=0.02437)
    labels, scores = every_millisecond(truth, scored)
    assert range_eer(truth, scored) == pytest.approx(eer(labels, scores), abs=1e-3)


@pytest.mark.parametrize("resolution", [0.01, 0.02, 0.04, 0.64])
@given(seed=SEEDS)
@settings(max_examples=3, deadline=None)
def test_a_segment_is_spoofed_if_any_part_is_and_has_the_lowest_score_centred_in_it(
    resolution: float, seed: int
) -> None:
    truth, scored = drawn(seed, n=4)
    labels, scores = [], []
    for name, own in truth.groupby("utterance_id"):
        pieces = scored[scored["utterance_id"] == name]
        first, last, score = (pieces[column].to_numpy() for column in ("start", "end", "score"))
        centre = (first + last) / 2
        opens, closes = own["start"].to_numpy(), own["end"].to_numpy()
        bonafide = (own["label"].str.lower() != "spoof").to_numpy()
        for k in range(int(closes.max() / resolution) + 1):
            begin, end = k * resolution, (k + 1) * resolution
            inside = bonafide[(opens < end - 1e-7) & (closes > begin + 1e-7)]
            if not len(inside):
                continue
            own_scores = score[(centre > begin - 1e-7) & (centre < end - 1e-7)]
            if not len(own_scores):
                middle = (k + 0.5) * resolution + 1e-6  # a piece may end exactly at the middle
                own_scores = score[(first <= middle) & (middle < last)]
            if len(own_scores):
                labels.append(inside.all())
                scores.append(own_scores.min())
    found = segments(truth, scored, resolution)
    assert sorted(zip(found.bonafide, found.scores, strict=True)) == sorted(
        zip(labels, scores, strict=True)
    )
    assert segment_eer(truth, scored, resolution) == eer(labels, scores)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_precision_recall_and_f1_are_those_of_every_millisecond(seed: int) -> None:
    truth, scored = drawn(seed)
    labels, scores = every_millisecond(truth, scored)
    pieces = range_pieces(truth, scored)
    found = localisation_figures(pieces, threshold_at_eer(pieces))
    expected = precision_recall_fscore_support(
        ~labels, scores < found.threshold, average="binary", zero_division=0
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3], abs=1e-9)
    miss = (scores[labels] < found.threshold).mean()
    false_alarm = (scores[~labels] >= found.threshold).mean()
    gaps = [
        abs((scores[labels] <= threshold).mean() - (scores[~labels] > threshold).mean())
        for threshold in np.unique(scores)
    ]
    assert abs(miss - false_alarm) == pytest.approx(min(gaps), abs=1e-9)


def test_resolutions_are_those_of_partialspoof_by_default() -> None:
    found = segment_eers(*drawn(0))
    assert list(found) == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
    assert found[0.16] == segment_eer(*drawn(0), 0.16)


def test_perfect_and_constant_scores_give_0_and_a_half() -> None:
    truth, scored = drawn(1)
    perfect = truth.assign(score=np.where(truth["label"] == "spoof", -1.0, 1.0))
    assert range_eer(truth, perfect) == 0
    assert range_eer(truth, scored.assign(score=2.0)) == pytest.approx(0.5)
    pieces = range_pieces(truth, perfect)
    figures = localisation_figures(pieces, threshold_at_eer(pieces))
    assert (figures.precision, figures.recall, figures.f1) == (1, 1, 1)
    nothing = localisation_figures(pieces, -9)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)


@pytest.mark.parametrize(
    ("truth", "scored", "message"),
    [
        ({"label": "sil"}, {}, "expected bonafide or spoof"),
        ({}, {"score": np.nan}, "are NaN"),
        ({"utterance_id": "other"}, {}, "no moment has a label and a score"),
        ({"label": "spoof"}, {}, "expected both"),
    ],
)
def test_what_has_no_error_rate_is_refused(truth: dict, scored: dict, message: str) -> None:
    tables = drawn(2)
    with pytest.raises(ScoresError, match=message):
        range_eer(tables[0].assign(**truth), tables[1].assign(**scored))


def test_a_column_that_is_missing_is_named() -> None:
    truth, scored = drawn(3)
    with pytest.raises(ScoresError, match="no column 'score'"):
        range_eer(truth, scored.drop(columns="score"))
    with pytest.raises(ScoresError, match="resolution 0"):
        segments(truth, scored, 0)


def test_resamples_are_those_of_pieces_taken_as_often_as_their_cluster_was_drawn() -> None:
    generator = np.random.default_rng(3)
    n = 4000
    bonafide = generator.random(n) < 0.7
    pieces = Pieces(generator.normal(size=n).round(2) + bonafide, bonafide, generator.random(n))
    speaker = generator.integers(0, 12, n)
    resamples = draw(bonafide, speaker, n=100, seed=1)
    # few distinct ones, and many
    for scores in (pieces.scores, pieces.scores + 0.001 * generator.normal(size=n)):
        of = replace(pieces, scores=scores)
        found = pieces_eer_resamples(of, resamples.cluster, resamples)
        weights = resamples.counts[:, resamples.cluster] * pieces.seconds
        expected = [eer_of(replace(of, seconds=row)) for row in weights]
        assert found == pytest.approx(expected, abs=1e-9 if scores is pieces.scores else 2e-4)
    shares = found_resamples(pieces, 0.3, resamples.cluster, resamples)
    for i in range(3):
        alone = localisation_figures(replace(pieces, seconds=weights[i]), 0.3)
        for name, values in shares.items():
            assert values[i] == pytest.approx(getattr(alone, name))


def test_pieces_know_their_utterances() -> None:
    truth = pd.DataFrame([("b", 0, 1, "bonafide"), ("a", 0, 0.5, "spoof")], columns=list(TRUTH))
    scored = pd.DataFrame(
        [("a", 0, 0.5, 1.0), ("b", 0, 0.3, 2.0), ("b", 0.3, 1, 3.0)], columns=list(SCORED)
    )
    assert range_pieces(truth, scored).utterances.tolist() == ["b", "b", "a"]
    found = segments(truth, scored, 0.25)
    assert found.utterances.tolist() == ["b"] * 4 + ["a"] * 2
