"""`--dry-run` says what an extraction will take and writes nothing."""

from pathlib import Path

import pytest
from small_extraction import corpus_in, machine, manifest_of, quiet, run_cli, with_frames

from cache import FingerprintMismatch, ProbeError
from probing.extraction import extract, rehearse
from probing.extraction.estimate import Estimate


def test_it_says_disk_and_time_and_writes_nothing(backbone, corpus, undisturbed, tmp_path: Path) -> None:
    said: list[str] = []
    plan = rehearse(tmp_path / "not" / "there", corpus, with_frames(backbone), machine(), say=said.append)
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
    rehearse(tmp_path / "c", corpus_in(tmp_path / "audio"), with_frames(backbone), machine(), say=said.append)
    assert not any("Time" in text for text in said)


def test_what_does_not_fit_ends_with_exit_code_2(backbone, corpus, tmp_path: Path, monkeypatch, capsys) -> None:
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
