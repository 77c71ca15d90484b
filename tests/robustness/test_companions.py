"""What lies beside a run is in its report: robustness, exits and attacks of that run, and of no
other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import machine, quiet, run_cli, write_clips
from tiny_models import build

from analysis.reports.report import save_report
from analysis.robustness import read_attacks, read_robustness
from analysis.runs.companions import Companion, companion_folder, companions_of
from analysis.runs.loading import load
from cache import ProbeError
from probing.corpora import load_corpus
from probing.exits import find_exits, read_exits
from probing.extraction import Options, extract
from probing.sweep import DepthOptions, SweepOptions, sweep

NAME = "<b>one</b>"
TITLES = ("What survives noise, codecs and rooms", "When to stop", "What attacks do")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 16 clips with all three beside it, and a run of another seed."""
    folder = tmp_path_factory.mktemp("beside")
    write_clips(folder / "audio")
    table = pd.DataFrame(
        {"path": [f"audio/{path.name}" for path in sorted((folder / "audio").iterdir())]}
    )
    table["label"] = ["bonafide", "spoof"] * 8
    table["split"] = ["train"] * 6 + ["dev"] * 4 + ["eval"] * 6
    table["attack"] = ["-", NAME] * 8
    table.to_csv(folder / "c.csv", index=False)
    options = Options(str(build("wavlm", folder / "model")), max_seconds=0.8, frames=True)
    cache = extract(
        folder / "one.cache", load_corpus(str(folder / "c.csv")), options, machine(), say=quiet
    )
    for name, seed in (("one", 0), ("other", 1)):
        what = SweepOptions(
            strengths=(0.1,), control_seeds=(), resamples=100, seed=seed, depths=DepthOptions(())
        )
        sweep(cache, folder / f"{name}.run", what, say=quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (
            [
                "robustness",
                "one.run",
                "--grid",
                f"noise:white@0,20; noise:{noise(folder)}@10; speed:0.9",
            ],
            ["exits", "one.run", "--head", "linear", "--out", "one.exits"],
            [
                "attack",
                "one.run",
                "--layers",
                "1",
                "--method",
                "fgsm",
                "--eps",
                "8",
                "--clips",
                "4",
                "--smooth",
                "2",
            ],
        ):
            assert run_cli(command, patch) == 0
    return folder


def noise(folder: Path) -> str:
    """A folder of noise with a name that a page must escape."""
    source = folder / "<i>&noise"
    source.mkdir()
    shutil.copy(next((folder / "audio").glob("*.flac")), source / "a.flac")
    return source.name


def test_what_was_written_is_read_again_as_it_was(place: Path) -> None:
    run = load(place / "one.run")
    robust, stop, attacked = (Companion.read(companion_folder(run.folder, kind)) for kind in KINDS)
    table = read_robustness(run, robust.folder)
    assert [condition.name for condition in table.conditions][:2] == [
        "noise:white@0",
        "noise:white@20",
    ]
    assert next(condition.snr_db for condition in table.conditions) == 0
    assert np.isnan(
        table.layers.query("condition == 'speed:0.9'")["frames_cosine"].astype(float)
    ).all()
    assert (table.layers.query("condition == 'noise:white@0'")["frames_cosine"] < 1).all()
    again = find_exits(run, "linear")
    read = read_exits(stop.folder, dict(stop.about))
    assert (read.sentence, read.policy) == (again.sentence, again.policy)
    pd.testing.assert_frame_equal(read.curve, again.curve)
    found = read_attacks(run, attacked.folder, attacked.about)
    assert (found.smoothing.smooth, found.names, len(found.trials)) == (2, (run.backbone,), 4)
    assert set(found.table["access"]) == {"", "white box"}


KINDS = ("robustness", "exits", "attack")


def test_the_report_shows_what_is_beside_the_run_and_says_which_folder_it_took(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run_cli(["report", "one.run", "--out", str(tmp_path / "r.html")], monkeypatch) == 0
    told = capsys.readouterr().err
    page = (tmp_path / "r.html").read_text()
    for kind, title in zip(KINDS, TITLES, strict=True):
        assert f"With one.{kind}" in told
        assert f">{title}</h2>" in page
        assert f"From one.{kind}." in page
    for picture in (
        "EER by layer and condition",
        "EER by SNR of noise:white",
        "EER by judge and attack",
    ):
        assert f'aria-label="{picture}' in page
    assert "EER over 2 noised copies" in page
    assert (place / "one.robustness" / "finding.txt").read_text().split(":")[0] in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "&lt;i&gt;&amp;noise" in page
    assert str(place) not in page


def test_one_of_another_run_is_refused_if_given_and_left_out_if_it_lies_there(
    place: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ProbeError, match=r"one\.exits: is of another run, one\.run .*, not of other\.run"
    ):
        save_report(place / "other.run", tmp_path / "r.html", beside=[place / "one.exits"])
    assert not (tmp_path / "r.html").exists()
    shutil.copytree(place / "other.run", tmp_path / "other.run")
    shutil.copytree(place / "one.exits", tmp_path / "other.exits")
    shutil.copytree(place / "one.robustness", tmp_path / "other.robustness")
    (tmp_path / "other.robustness" / "about.json").unlink()  # as earlier versions wrote it
    lines: list[str] = []
    page = Path(save_report(tmp_path / "other.run", say=lines.append)).read_text()
    assert lines == [
        "other.robustness does not say which run it is of: "
        "left out. Make it again: probe robustness",
        "other.exits is of another run: left out. Make it again: probe exits",
    ]
    assert all(line in page for line in lines)
    assert not any(title in page for title in TITLES)


def test_of_several_runs_each_has_its_own_wherever_it_stands(place: Path, tmp_path: Path) -> None:
    runs = [load(place / "other.run"), load(place / "one.run")]
    moved = shutil.copytree(place / "one.exits", tmp_path / "elsewhere")
    found, left_out = companions_of(runs, [moved])
    assert [[companion.folder.name for companion in mine] for mine in found] == [
        [],
        ["one.robustness", "elsewhere", "one.attack"],
    ]
    assert left_out == [[], []]
    with pytest.raises(ProbeError, match=r"one\.exits: .*elsewhere is of the same run and kind"):
        companions_of(runs, [moved, place / "one.exits"])
    with pytest.raises(ProbeError, match="no folder that says which run it is of"):
        companions_of(runs, [place / "audio"])


def test_a_folder_with_a_damaged_table_is_named(place: Path, tmp_path: Path) -> None:
    run = load(place / "one.run")
    reading: dict[str, Callable[[Companion], object]] = {
        "robustness.csv": lambda companion: read_robustness(run, companion.folder),
        "curve.csv": lambda companion: read_exits(companion.folder, dict(companion.about)),
        "clips.csv": lambda companion: read_attacks(run, companion.folder, companion.about),
    }
    for kind, (file, read) in zip(KINDS, reading.items(), strict=True):
        folder = shutil.copytree(place / f"one.{kind}", tmp_path / kind)
        (folder / file).write_text("nothing\n1\n")
        with pytest.raises(ProbeError, match=rf"{kind}.*cannot be read .*no column"):
            read(Companion.read(folder))
        (folder / file).unlink()
        with pytest.raises(ProbeError, match=rf"{kind}.*cannot be read"):
            read(Companion.read(folder))


def test_beside_the_folder_one_is_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.run").mkdir()
    monkeypatch.chdir(tmp_path / "x.run")
    assert companion_folder(Path(), "exits") == tmp_path / "x.exits"
    assert companion_folder(Path("y"), "attack") == Path("y.attack")


def test_views_are_made_of_no_audio_that_is_missing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    words = ["robustness", "one.run", "--grid", "gain:3", "--out", str(tmp_path / "out")]
    views = tmp_path / "views"
    (tmp_path / "elsewhere").mkdir()
    words += ["--views", str(views), "--no-heads"]
    assert run_cli([*words, "--audio-root", str(tmp_path / "elsewhere")], monkeypatch) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no such file; 6 of 6 audio files of" in said
    assert "Say where they are: --audio-root DIR" in said
    assert not views.exists()
    assert run_cli(words, monkeypatch) == 0


def test_what_is_no_companion_is_refused_with_what_it_is(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    words = ["report", "one.run", "--out", str(tmp_path / "r.html"), "--with"]
    for given, reason in {
        "other.run": "other.run: a run, not a folder of probe robustness, probe exits or probe",
        "audio": "audio: no folder that says which run it is of (no about.json). Make one with",
        "one.exits --with ./one.exits": "--with one.exits: is there twice. Name it once",
    }.items():
        assert run_cli([*words, *given.split()], monkeypatch) == 2
        assert reason in " ".join(capsys.readouterr().err.split())
