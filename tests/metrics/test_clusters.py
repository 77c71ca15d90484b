"""What is drawn whole: columns, crossed and nested ones, and the words for it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import ProbeError
from probing.metrics import Resamples, draw, eer, eer_resamples, rate_interval
from probing.metrics.clusters import clusters_of


def trials(n_speakers: int = 10, n_attacks: int = 8, seed: int = 0) -> pd.DataFrame:
    """A bona fide trial of every speaker for each attack, and a spoof of every speaker
    and attack.
    """
    generator, n = np.random.default_rng(seed), n_speakers * n_attacks
    of_attack = generator.normal(size=n_attacks)
    return pd.DataFrame(
        {
            "utterance_id": [f"u{i}" for i in range(2 * n)],
            "label": ["bonafide"] * n + ["spoof"] * n,
            "speaker": [f"s{i % n_speakers}" for i in range(2 * n)],
            "attack": ["-"] * n + [f"A{i // n_speakers}" for i in range(n)],
            "score": np.concatenate(
                [
                    generator.normal(size=n) + 2,
                    generator.normal(size=n) + np.repeat(of_attack, n_speakers),
                ]
            ),
        }
    )


def drawn_by(table: pd.DataFrame, unit: str, n: int = 200) -> Resamples:
    return draw(table["label"].eq("bonafide"), clusters_of(table, unit), n=n)


@pytest.mark.parametrize("stored", [True, False])
def test_a_spoof_counts_as_often_as_its_speaker_times_its_attack(
    stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not stored:
        monkeypatch.setattr("probing.metrics.resamples.STORED_COUNTS", 0)
    table = trials()
    bonafide = table["label"].eq("bonafide").to_numpy()
    resamples = drawn_by(table, "speaker,attack", 40)
    assert (resamples.stored is None) != stored
    values = eer_resamples(bonafide, table["score"], resamples)
    for counts, value in zip(resamples.counts, values, strict=True):
        times = counts[resamples.cluster].astype(int)
        of_spoofs = (
            table[~bonafide]
            .assign(times=times[~bonafide])
            .pivot_table("times", "speaker", "attack")
        )
        assert np.linalg.matrix_rank(of_spoofs.to_numpy()) == 1
        assert of_spoofs.to_numpy().sum() == of_spoofs.size
        assert (
            table[bonafide].assign(times=times[bonafide]).groupby("speaker")["times"].nunique() == 1
        ).all()
        assert times[bonafide].sum() == bonafide.sum()
        repeated = np.repeat(bonafide, times), np.repeat(table["score"], times)
        assert value == pytest.approx(eer(*repeated), abs=1e-12)


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 99), st.floats(0.05, 1))
def test_no_class_of_a_resample_is_empty_and_the_window_changes_no_result(
    n_speakers: int, n_attacks: int, seed: int, kept: float
) -> None:
    table = trials(n_speakers, n_attacks, seed)
    generator = np.random.default_rng(seed)
    table = table[
        (table["label"] == "bonafide")
        | (generator.random(len(table)) < kept)
        | (table.index % 17 == 0)
    ]
    bonafide = table["label"].eq("bonafide").to_numpy()
    if bonafide.all():
        return
    resamples = drawn_by(table, "speaker,attack", 50)
    times = resamples.counts[:, resamples.cluster]
    assert (times[:, bonafide].sum(axis=1) > 0).all()
    assert (times[:, ~bonafide].sum(axis=1) > 0).all()
    whole = eer_resamples(bonafide, table["score"], resamples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("probing.metrics.bootstrap.BLOCK_VALUES", 30)
        assert eer_resamples(bonafide, table["score"], resamples) == pytest.approx(whole, abs=1e-12)


def test_by_attack_bona_fide_trials_are_drawn_by_speaker_or_else_by_utterance() -> None:
    table = trials()
    known, unknown = drawn_by(table, "attack"), drawn_by(table.assign(speaker="-"), "attack")
    assert (
        known.drawn
        == "by speaker and attack (bona fide: 10 speakers; spoof: 8 attacks; of attacks like these)"
    )
    assert (
        unknown.drawn
        == "by attack (bona fide: 80 utterances; spoof: 8 attacks; of attacks like these)"
    )
    for resamples in (known, unknown):
        bonafide = resamples.counts[:, : resamples.sizes[0]]
        assert (bonafide.std(axis=0) > 0).all()


def test_attacks_like_these_vary_more_than_these_attacks() -> None:
    table = trials(30, 8)
    bonafide = table["label"].eq("bonafide").to_numpy()
    widths = {}
    for unit in ("speaker", "speaker,attack"):
        drawn = drawn_by(table, unit)
        found = rate_interval(
            eer(bonafide, table["score"]), eer_resamples(bonafide, table["score"], drawn), drawn
        )
        widths[unit] = found.high - found.low
    assert widths["speaker,attack"] > 1.5 * widths["speaker"]
    assert (
        drawn_by(table, "speaker").drawn
        == "by speaker (30 bona fide, 30 spoof; of these 8 attacks only)"
    )
    assert (
        drawn_by(table, "utterance").drawn
        == "by utterance (of these 8 attacks and their speakers only)"
    )
    assert drawn_by(table, "speaker,attack").drawn == (
        "by speaker and attack (bona fide: 30 speakers; spoof: 30 "
        "speakers x 8 attacks; of attacks like these)"
    )


def test_voices_of_one_attack_each_are_drawn_with_their_attack() -> None:
    table = trials()
    own = table.assign(speaker=table["speaker"] + table["attack"])
    resamples, by_attack = drawn_by(own, "speaker,attack"), drawn_by(own, "attack")
    assert resamples.levels[1].names == ("attack",)
    assert (resamples.counts == by_attack.counts).all()


def test_spoofs_of_one_attack_are_not_drawn_by_it_and_that_is_said() -> None:
    table = trials()
    same_attack = table[table["attack"].isin(["-", "A3"])]
    assert (
        drawn_by(same_attack, "speaker,attack").note
        == "not by attack, as the spoof trials are of one"
    )
    assert drawn_by(same_attack, "speaker,attack").unit == "speaker"
    assert (
        drawn_by(same_attack, "attack").drawn
        == "by utterance, since the spoof trials are of one attack"
    )


@pytest.mark.parametrize("unit", ["utterance", "speaker", "speaker,attack"])
def test_the_order_of_rows_changes_no_interval(unit: str) -> None:
    table, found = trials(), []
    for some in (table, table.sample(frac=1, random_state=1)):
        found.append(
            eer_resamples(some["label"].eq("bonafide"), some["score"], drawn_by(some, unit))
        )
    assert (found[0] == found[1]).all()


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(
        ProbeError, match=r"interval_by=speaker,moon: no such column, moon\. Expected utterance or"
    ):
        clusters_of(trials(), "speaker,moon")
    with pytest.raises(ProbeError, match="interval_by=label: no such column"):
        clusters_of(trials(), "label")
