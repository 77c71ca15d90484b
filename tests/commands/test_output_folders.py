"""A command writes to a folder that is new, empty or its own; what others put there stays."""

import shutil
from pathlib import Path

import pytest
from planted import plant
from small_extraction import quiet, run_cli

from analysis.commands import attack, exits, robustness
from analysis.commands.folders import Outputs, check_companion
from cache import Cache
from cache.errors import OptionError
from probing.sweep import DepthOptions, SweepOptions, sweep

EVAL = "one.run/scores/linear-layer-03.eval.txt"
# a command -> a file that it always writes, and a further one, by which its folder is recognised
WRITING = {
    f"evaluate {EVAL} --resamples 100": ("evaluation.csv", "det.png"),
    "compare one.run two.run": ("pairs.csv", "comparison.csv"),
    "calibrate one.run": ("dev.txt", "calibration.csv"),
    "exits one.run --head linear": ("curve.csv", "attacks.csv"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs on the same utterances."""
    folder = tmp_path_factory.mktemp("runs")
    options = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(())
    )
    for seed, name in enumerate(("one", "two")):
        cache = plant(folder / f"{name}.cache", {3: 2.0}, seed=seed)
        sweep(Cache(cache), folder / f"{name}.run", options, say=quiet)
    return folder


@pytest.mark.parametrize("command", WRITING)
def test_a_folder_of_others_is_refused_and_an_own_one_replaced(
    command: str,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(made)
    name, other = WRITING[command]
    words = [*command.split(), "--out"]
    for files, reason in (
        ((name, "notes.txt"), "holds other files, as notes.txt. Name another folder"),
        ((name,), f"holds {name} and no {other}, which would be written with it. Name another"),
    ):
        folder = tmp_path / str(len(files))
        folder.mkdir()
        for file in files:
            (folder / file).write_text("mine")
        assert run_cli([*words, str(folder)], monkeypatch) == 2
        assert reason in capsys.readouterr().err
        assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
            files, "mine"
        )
    new = tmp_path / "new"
    for _ in range(2):
        assert run_cli([*words, str(new)], monkeypatch) == 0, capsys.readouterr().err
    assert {name, other} <= {path.name for path in new.iterdir()}


def test_pictures_of_an_earlier_evaluation_do_not_stay(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    words = ["evaluate", EVAL, "--resamples", "100", "--out", str(tmp_path / "e")]
    known = ["--corpus", str(tmp_path / "known.csv"), "--by", "attack,codec"]
    scores = [line.split() for line in Path(EVAL).read_text().splitlines()]
    (tmp_path / "x.wav").touch()
    rows = [
        f"x.wav,{name},{label},{attack},{'ab'[i // 2 % 2]}"
        for i, (name, attack, label, _) in enumerate(scores)
    ]
    header = "path,utterance_id,label,attack,codec"
    (tmp_path / "known.csv").write_text("\n".join([header, *rows]))
    assert run_cli([*words, *known], monkeypatch) == 0
    assert (tmp_path / "e" / "det-codec.png").is_file()
    assert run_cli(words, monkeypatch) == 0
    assert {path.name for path in (tmp_path / "e").iterdir()} == {
        "evaluation.csv",
        "det.png",
        "det.svg",
    }


def test_a_table_that_the_command_writes_may_lie_in_its_folder(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    words = ["evaluate", EVAL, "--resamples", "100", "--out", str(tmp_path / "e")]
    assert run_cli(words, monkeypatch) == 0
    for _ in range(2):
        assert run_cli([*words, "--tex", str(tmp_path / "e" / "t.tex")], monkeypatch) == 0
    assert run_cli(words, monkeypatch) == 2  # it is somebody's file now


@pytest.mark.parametrize("kind", ["exits", "attack", "robustness"])
def test_findings_that_do_not_say_what_they_are_of_are_known_by_their_files(
    kind: str, tmp_path: Path
) -> None:
    outputs: Outputs = {"exits": exits, "attack": attack, "robustness": robustness}[kind].OUTPUTS
    folder = tmp_path / f"one.{kind}"
    folder.mkdir()
    for name in outputs.always:
        (folder / name).touch()
    check_companion(folder, tmp_path / "one.run", kind, outputs)  # of an earlier version
    (folder / "about.json").write_text("{")
    check_companion(folder, tmp_path / "one.run", kind, outputs)
    (folder / "notes.txt").touch()
    with pytest.raises(OptionError, match=r"holds other files, as notes.txt"):
        check_companion(folder, tmp_path / "one.run", kind, outputs)


def test_a_folder_by_the_name_of_an_output_is_not_replaced(tmp_path: Path) -> None:
    outputs = Outputs(("a.csv",), ("b-*.csv",))
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OptionError, match=r"holds other files, as a\.csv"):
        outputs.check(tmp_path)
    shutil.rmtree(tmp_path / "a.csv")
    (tmp_path / "a.csv").touch()
    (tmp_path / "b-1.csv").touch()
    (tmp_path / "c.csv.partial").touch()  # of a command that was killed
    outputs.check(tmp_path)
