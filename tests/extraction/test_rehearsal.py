"""`--dry-run` says what an extraction will take and writes nothing."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_extraction import corpus_in, machine, manifest_of, quiet, run_cli, speech, with_frames

from cache import FingerprintMismatch, ProbeError
from probing.extraction import Options, extract, rehearsal, rehearse
from probing.extraction.estimate import Estimate
from probing.extraction.rehearsal import LONGEST_S


def test_it_says_disk_and_time_and_writes_nothing(
    backbone, corpus, undisturbed, tmp_path: Path
) -> None:
    said: list[str] = []
    plan = rehearse(
        tmp_path / "not" / "there", corpus, with_frames(backbone), machine(), say=said.append
    )
    assert plan.n_utterances == 16
    assert plan.tier_bytes["pooled"] == undisturbed.pooled().nbytes
    assert list(tmp_path.iterdir()) == []
    assert said[1].startswith("Plan: 16 utterances, about 10 s of audio; pooled ")
    assert "Time: about" in said[2]
    assert "decode" in said[2]
    assert len(said) == 3


def test_what_is_in_the_cache_is_not_counted_again(backbone, corpus, tmp_path: Path) -> None:
    folder, options = tmp_path / "c", with_frames(backbone)
    extract(folder, corpus.only(["dev"]), options, machine(), say=quiet)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert rehearse(folder, corpus, options, machine(), say=quiet).n_utterances == 11
    assert rehearse(folder, corpus.only(["dev"]), options, machine(), say=quiet).n_utterances == 0
    with pytest.raises(FingerprintMismatch):
        rehearse(folder, corpus, with_frames(backbone, seconds=1.0), machine(), say=quiet)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_corpus_of_nothing_but_unusable_files_has_no_time(backbone, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/a.wav").write_bytes(b"")
    said: list[str] = []
    rehearse(
        tmp_path / "c",
        corpus_in(tmp_path / "audio"),
        with_frames(backbone),
        machine(),
        say=said.append,
    )
    assert not any("Time" in text for text in said)


def test_one_long_clip_is_rehearsed_in_part(backbone, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", np.resize(speech(0, 16000), 65 * 16000), 16000)
    said: list[str] = []
    options = Options(str(backbone), max_seconds=3600)
    started = time.perf_counter()
    plan = rehearse(
        tmp_path / "c", corpus_in(tmp_path / "audio"), options, machine(), say=said.append
    )
    assert time.perf_counter() - started < 60
    assert plan.audio_seconds == pytest.approx(65)
    assert f"in a sample, clips cut to {LONGEST_S:.0f} s" in said[-1]


def test_a_sample_of_long_clips_is_of_few(backbone, corpus, tmp_path: Path, monkeypatch) -> None:
    run: list[int] = []
    known = rehearsal.session

    def session(writer, root, *, n_utterances, **more):
        run.append(n_utterances)
        return known(writer, root, n_utterances=n_utterances, **more)

    monkeypatch.setattr(rehearsal, "session", session)
    monkeypatch.setattr(rehearsal, "MOST_S", 2.5)  # a quarter of what the 16 clips have
    rehearse(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=quiet)
    assert run == [3, 3] or run == [4, 4]


def test_what_does_not_fit_ends_with_exit_code_2(
    backbone, corpus, tmp_path: Path, monkeypatch, capsys
) -> None:
    command = ["extract", str(tmp_path / "c"), "--corpus", str(manifest_of(corpus.root / "audio"))]
    command += ["--backbone", str(backbone), "--device", "cpu", "--dry-run"]
    assert run_cli(command, monkeypatch) == 0
    assert "dry run" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()

    def full(self: Estimate, folder: Path) -> None:
        raise ProbeError(f"{folder}: does not fit")

    monkeypatch.setattr(Estimate, "check", full)
    assert run_cli(command, monkeypatch) == 2
    assert "Time" not in capsys.readouterr().err
