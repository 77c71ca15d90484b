"""The embedded demo corpus: what demo.csv says is what is there, and nothing in it gives the answer
away.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import probing.corpora.demo as demo
from cache.errors import ProbeError
from probing.corpora import load_corpus
from probing.provenance.demo import build
from probing.provenance.demo.channel import (
    RATE,
    Channel,
    channel_pass,
    crop,
    decode,
    encode_opus,
    frame_db,
    set_level,
    through_codec,
    trim_edges,
)
from probing.provenance.demo.texts import SHARES, texts_for
from probing.provenance.demo.trivial import trivial_baseline, trivial_features

FOLDER = Path(demo.__file__).parent
ALLOWED = {
    "CC BY-SA 3.0",
    "CC BY 3.0",
    "CC BY 4.0",
    "MIT",
    "public domain / BSD",
    "BSD-like (Shmyrev 2005)",
    "synthetic speech, text of our own",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "demo.csv")


@pytest.fixture(scope="module")
def audio(table) -> dict[str, np.ndarray]:
    return {row.utterance_id: soundfile.read(FOLDER / row.path)[0] for row in table.itertuples()}


@pytest.fixture(scope="module")
def speech(table, audio) -> np.ndarray:
    return audio[table.loc[table["label"] == "bonafide", "utterance_id"].iloc[0]]


def people(table: pd.DataFrame) -> pd.Series:
    """The human behind each clip; a converted voice still has its source speaker."""
    return table["speaker"].str.removesuffix("+vc")


# What is there


def test_every_listed_file_has_the_stated_hash(table):
    for row in table.itertuples():
        assert hashlib.sha256((FOLDER / row.path).read_bytes()).hexdigest() == row.sha256, row.path


def test_no_file_is_unlisted(table):
    assert {f"audio/{path.name}" for path in (FOLDER / "audio").iterdir()} == set(table["path"])


def test_every_file_is_opus_at_16_khz_mono(table):
    for path in table["path"]:
        info = soundfile.info(FOLDER / path)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "OPUS"), path


def test_every_file_decodes_fully_to_the_stated_duration(table, audio):
    for row in table.itertuples():
        samples = audio[row.utterance_id]
        assert len(samples) / RATE == pytest.approx(row.duration_s, abs=1e-4), row.path
        assert np.isfinite(samples).all(), row.path
        assert frame_db(samples).max() > -45, f"{row.path} is silent"


def test_the_whole_audio_stays_below_10_mb():
    assert sum(path.stat().st_size for path in (FOLDER / "audio").iterdir()) < 10_000_000


def test_no_audio_occurs_twice(table, audio):
    assert table["sha256"].is_unique
    assert len({samples.tobytes() for samples in audio.values()}) == len(table)


def test_load_corpus_reads_it(table):
    corpus = load_corpus("demo")
    assert list(corpus.utterances["utterance_id"]) == list(table["utterance_id"])
    assert set(corpus.utterances["label"]) == {"bonafide", "spoof"}


# Whether the splits are what they claim


def test_each_split_has_enough_of_both_classes(table):
    counts = table.groupby(["split", "label"]).size()
    least = {
        ("train", "bonafide"): 150,
        ("train", "spoof"): 150,
        ("dev", "bonafide"): 60,
        ("dev", "spoof"): 60,
    }
    for cell, n in {**least, ("eval", "bonafide"): 120, ("eval", "spoof"): 150}.items():
        assert counts[cell] >= n, cell


def test_no_human_speaker_is_in_two_splits(table):
    humans = set(table.loc[table["label"] == "bonafide", "speaker"])
    rows = table[people(table).isin(humans)]
    assert rows.groupby(people(rows))["split"].nunique().max() == 1


def test_every_copy_is_of_a_human_of_the_corpus(table):
    humans = set(table.loc[table["label"] == "bonafide", "speaker"])
    assert set(people(table[table["kind"].isin(["vocoder", "vc"])])) <= humans


def test_no_synthetic_voice_is_in_two_splits(table):
    spoken = table[table["kind"] == "tts"]
    assert spoken.groupby("speaker")["split"].nunique().max() == 1


def test_eval_has_known_and_unseen_attacks_and_dev_no_unseen_ones(table):
    attacks = {split: set(rows["attack"]) - {"-"} for split, rows in table.groupby("split")}
    assert attacks["dev"] <= attacks["train"]
    assert len(attacks["eval"] & attacks["train"]) >= 4
    assert len(attacks["eval"] - attacks["train"]) >= 4


def test_no_spoken_text_is_in_two_splits(table):
    spoken = table[table["kind"] == "tts"]
    assert spoken.groupby("utterance")["split"].nunique().max() == 1


def test_the_shares_of_a_language_do_not_overlap():
    for lang, shares in SHARES.items():
        given = [text for split in shares for text in texts_for(lang, split)]
        assert len(given) == len(set(given)), lang


# Whether anything but the audio gives the answer away


def test_bona_fide_clips_have_no_attack_and_spoofs_have_one(table):
    assert (table["attack"].eq("-") == table["label"].eq("bonafide")).all()
    assert (table["kind"].eq("human") == table["label"].eq("bonafide")).all()


def test_neither_name_nor_order_tells_the_label(table):
    assert list(table["path"]) == [f"audio/demo-{i:04d}.opus" for i in range(1, len(table) + 1)]
    spoof = table["label"].eq("spoof").to_numpy()
    assert abs(np.corrcoef(np.arange(len(table)), spoof)[0, 1]) < 0.1
    changes = np.mean(spoof[1:] != spoof[:-1])
    assert changes == pytest.approx(2 * spoof.mean() * (1 - spoof.mean()), abs=0.08)


def test_durations_have_the_same_spread_in_both_classes(table):
    for _, rows in table.groupby("split"):
        spread = rows.groupby("label")["duration_s"].quantile([0.1, 0.5, 0.9]).unstack(0)
        assert np.allclose(spread["bonafide"], spread["spoof"], atol=0.12)


def test_trivial_features_barely_separate_the_classes(table, audio):
    features = np.array([trivial_features(audio[name]) for name in table["utterance_id"]])
    result = trivial_baseline(table, features).set_index(["features", "split", "attack"])
    for split in ("dev", "eval"):  # as far from chance either way
        assert abs(result.loc[("all four", split, "all"), "auc"] - 0.5) < 0.12, split


# Whether it may be passed on


def test_every_licence_permits_redistribution(table):
    assert set(table["licence"]) <= ALLOWED


def test_a_copy_carries_the_licence_of_its_source(table):
    copies = table[table["kind"].isin(["vocoder", "vc"])]
    human = table[table["kind"] == "human"].groupby(["source", "lang"])["licence"].unique()
    for row in copies.itertuples():
        assert [row.licence] == list(human[row.source, row.lang]), row.path


def test_attribution_names_every_source_synthesiser_licence_and_attack(table):
    page = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for column in ("source", "synthesiser", "licence", "attack"):
        for name in set(table[column]) - {"-"}:
            assert f"| {name} |" in page, name


# The channel


def test_the_channel_depends_on_samples_and_seed_only(speech):
    first = channel_pass(speech, np.random.default_rng(3))
    assert np.array_equal(first, channel_pass(speech, np.random.default_rng(3)))
    other = channel_pass(speech, np.random.default_rng(4))
    assert len(other) != len(first) or not np.array_equal(other, first)


@pytest.mark.parametrize("codec", Channel.codecs)
def test_a_codec_keeps_length_and_content(speech, codec):
    heard = through_codec(set_level(speech, -23.0), codec, 0.5)
    assert len(heard) == len(speech)
    assert np.corrcoef(heard, speech)[0, 1] > 0.9


def test_the_channel_keeps_levels_within_its_bounds(speech):
    for seed in range(12):
        heard = channel_pass(speech, np.random.default_rng(seed))
        level = 10 * np.log10(np.mean(heard**2))
        assert np.max(np.abs(heard)) <= 1.0
        assert Channel.level[0] - 1 < level < Channel.level[1] + 1
        assert frame_db(heard).min() > Channel.noise[0] - 6


def test_trimming_removes_silence_at_the_edges_only(speech):
    silence = np.zeros(RATE)
    trimmed = trim_edges(np.concatenate([silence, speech, silence, speech, silence]))
    assert 2 * len(speech) + RATE - 0.3 * RATE < len(trimmed) <= 2 * len(speech) + RATE + 0.1 * RATE


def test_a_clip_shorter_than_the_crop_stays_whole(speech):
    rng = np.random.default_rng(0)
    assert len(crop(speech, 100.0, rng)) == len(speech)
    assert len(crop(speech, 1.0, rng)) == RATE


def test_a_crop_is_no_pause(speech):
    pause = np.random.default_rng(0).normal(0, 1e-4, 20 * RATE)
    clip = np.concatenate([pause, speech, pause])
    for seed in range(20):
        assert (
            frame_db(crop(clip, 1.0, np.random.default_rng(seed))).max()
            > frame_db(speech).max() - 30
        )


def test_encoding_twice_gives_the_same_bytes(speech):
    assert encode_opus(speech, serial=7) == encode_opus(speech, serial=7)
    assert encode_opus(speech, serial=7) != encode_opus(speech, serial=8)
    assert len(decode(encode_opus(speech))) == len(speech)


# The build


def test_target_durations_are_spread_evenly_and_never_longer_than_the_clip():
    lengths = np.random.default_rng(0).uniform(1.0, 5.0, 300)
    durations = np.array(build.assign_durations(list(lengths), np.random.default_rng(1)))
    assert (durations <= lengths).all()
    assert durations.min() >= 1.0
    assert durations.max() <= build.LONGEST
    assert np.median(durations) == pytest.approx((build.SHORTEST + build.LONGEST) / 2, abs=0.15)


def test_build_without_the_shared_data_says_what_is_missing(tmp_path, capsys):
    assert build.main(["--shared", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "meta.csv" in capsys.readouterr().err


def test_a_missing_program_names_its_package(monkeypatch, tmp_path):
    from probing.provenance.demo.synthesis import run_program

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProbeError, match="apt-get install espeak-ng"):
        run_program(["espeak-ng", "--version"])


def test_a_missing_module_names_its_package(monkeypatch):
    from probing.provenance.demo import synthesis

    monkeypatch.setitem(synthesis.PYPI, "no_such_module", "no-such-package")
    for look in (synthesis.needed, synthesis.package_file):
        with pytest.raises(ProbeError, match="pip install no-such-package"):
            look("no_such_module")
