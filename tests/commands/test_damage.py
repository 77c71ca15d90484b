"""What a damaged cache, run or export makes the commands say, and the code they exit with."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from random_store import Recipe, names
from small_extraction import run_cli

from cache import CacheCorrupt
from cache.manifest import load_manifest
from probing.corpora import Corpus
from probing.extraction.planning import check_place
from probing.sealing import seal

IDS = names(8)
SHARD = "shard-00001.h5"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished cache of two shards."""
    Recipe().write(tmp_path / "c", IDS)
    manifest = load_manifest(tmp_path / "c")
    about = {"backbone": "none", "corpus": "mine", "corpus_spec": "mine.csv"}
    replace(manifest, about=about).save(tmp_path / "c")
    return tmp_path / "c"


def cut(folder: Path) -> None:
    shard = folder / SHARD
    shard.write_bytes(shard.read_bytes()[:-1])


def test_verify_names_a_cut_shard_once_and_does_not_advise_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(folder)
    assert run_cli(["verify", str(folder)], monkeypatch) == 1
    text = capsys.readouterr().out
    n_bytes = (folder / SHARD).stat().st_size
    assert text.startswith(f"{SHARD}: {n_bytes} bytes, expected {n_bytes + 1} (4 utterances: ")
    assert text.count(SHARD) == 1
    assert "cache verify" not in text
    assert f"1 fault. Mend them: probe cache repair {folder}" in text.replace("\n", " ")


@pytest.mark.parametrize("command", [["verify"], ["cache", "verify"]])
def test_a_damaged_manifest_is_damage_not_bad_input(
    folder: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "cache.json").write_text("{")
    assert run_cli([*command, str(folder)], monkeypatch) == 1
    text = capsys.readouterr().out
    assert "cache.json: damaged (it is not the JSON object that was written)" in text
    assert text.count("cache.json") == 1


@pytest.mark.parametrize("harm", ["no JSON", "another value"])
def test_a_damaged_record_of_a_run_is_damage_not_bad_input(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.txt").write_text("a 1")
    seal(tmp_path, "run.json", {"form": "run"})
    assert run_cli(["verify", str(tmp_path)], monkeypatch) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    text = "{" if harm == "no JSON" else json.dumps({**record, "form": "other"})
    (tmp_path / "run.json").write_text(text)
    capsys.readouterr()
    assert run_cli(["verify", str(tmp_path)], monkeypatch) == 1
    shown = capsys.readouterr().out
    assert "run.json: damaged (" in shown
    assert shown.count("run.json") == 1
    assert "probe verify" not in shown


@pytest.mark.parametrize("harm", ["cut", "removed"])
def test_a_lost_shard_is_noticed_without_reading_it(
    harm: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(["cache", "info", str(folder)], monkeypatch) == 0
    assert f"{folder}: finished" in capsys.readouterr().out.replace("\n", "")
    corpus = Corpus("mine", "mine.csv", folder.parent, Recipe().corpus(IDS))
    check_place(folder, corpus)
    if harm == "cut":
        cut(folder)
    else:
        (folder / SHARD).unlink()
    assert run_cli(["cache", "info", str(folder)], monkeypatch) == 0
    shown = capsys.readouterr()
    assert f"{folder}: damaged" in shown.out.replace("\n", "")
    assert f"mend them: probe cache repair {folder}" in shown.err.replace("\n", " ")
    assert run_cli(["cache", "info", str(folder), "--json"], monkeypatch) == 0
    assert SHARD in json.loads(capsys.readouterr().out)["damage"]
    with pytest.raises(CacheCorrupt, match=f"{SHARD}.*probe cache repair"):
        check_place(folder, corpus)
