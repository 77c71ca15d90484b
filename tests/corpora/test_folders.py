"""Corpora of folders: every format that decodes is taken, and what is passed over is counted."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_extraction import run_cli

from cache import ProbeError
from probing.audio.formats import USUAL_SUFFIXES
from probing.corpora import load_corpus

TONE = np.full(800, 0.1)


def test_every_suffix_of_a_format_that_decodes_is_taken(tmp_path: Path) -> None:
    names = []
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for kind in (
            "WAV",
            "FLAC",
            "OGG",
            "MP3",
            "AIFF",
            "AU",
            "CAF",
            "W64",
            "RF64",
            "NIST",
            "IRCAM",
            "VOC",
        ):
            for suffix in USUAL_SUFFIXES[kind]:
                names.append(f"{label}/1{suffix.upper() if label == 'fake' else suffix}")
                soundfile.write(tmp_path / names[-1], TONE, 16000, format=kind)
    corpus = load_corpus(f"folder:{tmp_path}")
    assert sorted(corpus.utterances["path"]) == sorted(names)
    assert corpus.utterances["utterance_id"].is_unique
    assert corpus.notes == ()


def test_what_is_passed_over_is_counted_by_suffix(tmp_path: Path, monkeypatch, capsys) -> None:
    for name in ("real/1.wav", "fake/tts/2.wav", "elsewhere/3.wav", "4.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, TONE, 16000)
    for name in (
        "real/5.m4a",
        "fake/6.M4A",
        "fake/tts/7.webm",
        "README",
        "real/.hidden.m4a",
        ".git/8.m4a",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert load_corpus(f"folder:{tmp_path}").notes == (
        "4 files of other kinds were passed over: 2 .m4a, 1 .webm, 1 no suffix",
        "2 audio files are not below real/ or fake/ and were passed over",
    )
    assert run_cli(["corpus", "check", f"folder:{tmp_path}"], monkeypatch) == 0
    assert "Note: 4 files of other kinds were passed over: 2 .m4a" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_folder_of_other_kinds_only_names_them(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/1.m4a").write_bytes(b"x")
    with pytest.raises(
        ProbeError, match=r"no audio below real/ or fake/ \(1 file of another kind was .* 1 \.m4a\)"
    ):
        load_corpus(f"folder:{tmp_path}")


def test_folders_without_labels_are_read_whole(tmp_path: Path) -> None:
    for name in (
        "Train/anna/1.wav",
        "Train/anna/b/2.wav",
        "validation/bert/3.flac",
        "test/4.wav",
        "more/carl/5.wav",
        "x/y/TRAIN/6.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, TONE, 16000)
    (tmp_path / "meta.csv").write_text("x")
    corpus = load_corpus(str(tmp_path))
    assert corpus.utterances[["path", "split", "folder"]].to_numpy().tolist() == [
        ["Train/anna/1.wav", "train", "anna"],
        ["Train/anna/b/2.wav", "train", "anna"],
        ["more/carl/5.wav", "all", "more"],
        ["test/4.wav", "eval", ""],
        ["validation/bert/3.flac", "dev", "bert"],
        ["x/y/TRAIN/6.wav", "train", "x"],
    ]
    assert (corpus.utterances[["label", "attack", "speaker"]] == "").all(axis=None)
    assert corpus.notes == (
        "1 file of another kind was passed over: 1 .csv",
        "there are no labels; a sweep needs --target COLUMN",
    )


@pytest.mark.parametrize("below", ["", "/real", "/fake"])
def test_folders_of_one_split_by_two_names_are_kept_apart(tmp_path: Path, below: str) -> None:
    for split in ("train", "test", "eval"):
        (tmp_path / f"{split}{below}").mkdir(parents=True)
        soundfile.write(tmp_path / f"{split}{below}/1.wav", TONE, 16000)
    corpus = load_corpus(str(tmp_path))
    assert sorted(corpus.utterances["split"]) == ["eval", "test", "train"]
    assert "the splits eval and test would both be eval" in corpus.notes[0]
