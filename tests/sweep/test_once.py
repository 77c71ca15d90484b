"""A sweep that is there already is kept and shown, as long as it is whole."""

import json
from pathlib import Path

import pytest
from hand_made import write_cache
from planted import plant
from small_extraction import run_cli

from cache import Cache
from cache.errors import ProbeError
from probing.runs.writer import made_with
from probing.sweep import DepthOptions, SweepOptions, finished_run, sweep_once

OPTIONS = SweepOptions(
    strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
)


def test_a_whole_run_is_kept_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    cache = Cache(plant(tmp_path / "c", {1: 2.0}, n_layers=1, n=(40, 40, 40)))
    messages: list[str] = []
    run = sweep_once(cache, tmp_path / "r", OPTIONS, say=messages.append)
    record = (run.folder / "run.json").read_bytes()
    scores = next((run.folder / "scores").iterdir())
    whole = scores.read_bytes()
    sweep_once(cache, tmp_path / "r", OPTIONS, say=messages.append)
    assert messages[-1] == f"Nothing to do: {run.folder} is that sweep."
    assert (run.folder / "run.json").read_bytes() == record
    scores.write_bytes(whole[:-9])
    sweep_once(cache, tmp_path / "r", OPTIONS, say=messages.append)
    assert "Nothing to do" not in messages[-1]
    assert scores.read_bytes() == whole
    scores.unlink()
    sweep_once(cache, tmp_path / "r", OPTIONS, say=messages.append)
    assert scores.read_bytes() == whole


def test_the_same_command_again_shows_the_run_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leaking = write_cache(
        tmp_path / "c.cache", change=lambda table: table.assign(speaker=table["speaker"].str[-1:])
    )
    words = ["sweep", str(leaking), "--strengths", "0.1", "--heads", "none", "--resamples", "100"]
    run = sweep_once(Cache(leaking), tmp_path / "c.run", OPTIONS, say=lambda text: None)
    record = (run.folder / "run.json").read_bytes()
    assert run_cli([*words, "--control-seeds", "0"], monkeypatch) == 0
    shown = capsys.readouterr()
    assert f"Nothing to do: {run.folder} is that sweep." in shown.err
    assert run.sentence in shown.out
    assert (run.folder / "run.json").read_bytes() == record
    assert run_cli([*words, "--control-seeds", "0", "--strict"], monkeypatch) == 2
    assert "train and eval share" in capsys.readouterr().err
    assert run_cli([*words, "--control-seeds", "1"], monkeypatch) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_other_audio_under_the_same_ids_makes_another_run(tmp_path: Path) -> None:
    def stamped(crc: int) -> Cache:
        change = lambda table: table.assign(file_crc32=range(crc, crc + len(table)))  # noqa: E731
        return Cache(write_cache(tmp_path / f"{crc}.cache", change=change))

    def say(text: str) -> None:
        pass

    first, second = stamped(1), stamped(2)
    assert first.id == second.id
    run = sweep_once(first, tmp_path / "r", OPTIONS, say=say)
    assert finished_run(first, run.folder, OPTIONS) is not None
    assert finished_run(second, run.folder, OPTIONS) is None
    with pytest.raises(ProbeError, match=r"another cache \(.*audio"):
        sweep_once(second, run.folder, OPTIONS, say=say)
    record = json.loads((run.folder / "run.json").read_text())
    earlier = {name: record[name] for name in record if name != "audio"}
    assert made_with(earlier, {"audio": {"train": 1}})
