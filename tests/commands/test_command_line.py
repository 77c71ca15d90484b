"""The command line from end to end, as a newcomer types it, on real speech."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import processes
import pytest
from processes import Process
from small_extraction import run_cli
from typed_options import read_back
from typer.main import get_command
from typer.testing import CliRunner

from analysis.commands.app import app, main
from analysis.commands.files import check_file, check_folder, check_suffix, written_out
from analysis.commands.tables import TableFiles
from analysis.commands.typed import typed
from cache import Cache
from cache.errors import OptionError
from probing.sweep import SweepOptions, finished_run

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "probing" / "corpora" / "demo"


def probe(*arguments: object, cwd: Path) -> Process:
    process = processes.probe(*arguments, folder=cwd)
    process.wait()
    return process


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of some short clips of the demo corpus, extracted and swept."""
    folder = tmp_path_factory.mktemp("wörk place")
    table = pd.read_csv(DEMO / "demo.csv")
    table = table[table["duration_s"] < 2.2].groupby(["split", "label"]).head(8)
    table = table[["path", "label", "speaker", "attack", "split"]].assign(
        path=[str((DEMO / path).resolve()) for path in table["path"]]
    )
    table.to_csv(folder / "mine.csv", index=False)
    extracted = probe(
        "extract", "my.cache", "--corpus", "mine.csv", "--audio-root", DEMO, cwd=folder
    )
    assert extracted.wait() == 0, extracted.said
    assert "Next: probe sweep my.cache" in extracted.err.read_text()
    few = ["--resamples", 200, "--control-seeds", 1, "--seeds", 1]
    swept = probe("sweep", "my.cache", *few, cwd=folder)
    assert swept.wait() == 0, swept.said
    (folder / "sweep.txt").write_text(swept.out.read_text())
    return folder


def test_extract_then_sweep_ends_with_the_sentence_and_the_picture(workplace: Path) -> None:
    text = (workplace / "sweep.txt").read_text()
    sentence = json.loads((workplace / "my.run" / "run.json").read_text())["finding"]["sentence"]
    assert sentence in text
    picture = re.search(r"Picture: (\S+)", text)
    assert picture is not None
    assert (workplace / picture.group(1)).read_bytes().startswith(b"\x89PNG")
    assert (workplace / "my.run" / "report.html").exists()
    assert re.search(r"EER \(%\) on eval by layer.*\n(.*[┤┼].*\n){12}", text)
    assert len(re.findall(r"^ *\*? *\d+ +\d+\.\d", text, flags=re.MULTILINE)) == 13


def test_info_says_what_made_the_cache(workplace: Path) -> None:
    shown = probe("cache", "info", "my.cache", cwd=workplace)
    assert shown.wait() == 0
    said = shown.out.read_text()
    n = len(pd.read_csv(workplace / "mine.csv"))
    assert f"{n} of {n}, 0 could not be used" in said
    assert "embedded WavLM 12x192" in said
    assert "weights_sha256" in said


def test_the_same_extract_again_has_nothing_to_do(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    again = run_cli(
        ["extract", "my.cache", "--corpus", "mine.csv", "--audio-root", str(DEMO)], monkeypatch
    )
    assert again == 0
    assert "Nothing to do" in capsys.readouterr().err


def printed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What a command that ends well writes to standard output."""
    assert run_cli(words, monkeypatch) in (0, None)
    return capsys.readouterr().out


def test_the_configuration_of_a_run_makes_the_same_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    text = printed(["config", "my.run"], monkeypatch, capsys)
    assert "cache: my.cache\n" in text
    Path("c.yaml").write_text(text.replace("cache: my.cache\n", ""))
    options = read_back(SweepOptions, ["--config", "c.yaml"])
    assert isinstance(options, SweepOptions)
    assert finished_run(Cache("my.cache"), "my.run", options) is not None
    assert finished_run(Cache("my.cache"), "my.run", replace(options, resamples=300)) is None
    made = printed(["config", "my.cache"], monkeypatch, capsys)
    assert "corpus: " in made
    assert "backbone: embedded\n" in made


def refusal(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What a command that is refused says."""
    monkeypatch.setattr(sys, "argv", ["probe", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    return capsys.readouterr().err


def strict(text: str) -> dict:
    """The object that a text of JSON holds, which has no NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_has_standard_output_to_itself(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    info = strict(printed(["cache", "info", "my.cache", "--json"], monkeypatch, capsys))
    assert (info["utterances"], info["finished"], info["layers"]) == (
        len(pd.read_csv("mine.csv")),
        True,
        [*range(13)],
    )
    assert {row["split"] for row in info["counts"]} == {"train", "dev", "eval"}
    scores = next(iter(sorted(Path("my.run/scores").glob("linear-layer-*.eval.txt"))))
    words = [
        "evaluate",
        str(scores),
        "--by",
        "attack",
        "--resamples",
        "100",
        "--json",
        "--out",
        "figures",
    ]
    found = strict(printed(words, monkeypatch, capsys))
    assert found["figures"][0]["attack"] == "pooled"
    assert 0 <= found["figures"][0]["eer"] <= 1
    assert Path("figures/evaluation.csv").exists()
    of_layers = strict(
        printed(["transfer", "my.cache", "--layers", "0:1", "--json"], monkeypatch, capsys)
    )
    assert [row["layer"] for row in of_layers["scores"]] == [0, 1]


def test_a_dash_writes_to_standard_output(workplace: Path) -> None:
    for words in (
        ["transfer", "my.cache", "--layers", "0:1", "-o", "-"],
        ["plot", "my.run", "layers", "--out", "-"],
    ):
        done = probe(*words, cwd=workplace)
        assert done.wait() == 0, done.said
        text = done.out.read_text()
        assert (
            text.startswith("layer,logme") if words[0] == "transfer" else text.startswith("<?xml")
        )


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
@pytest.mark.parametrize("folder", ["my.run", "my.cache"])
def test_no_folder_of_results_is_written_into_a_run_or_a_cache(
    workplace: Path,
    command: str,
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workplace)
    of = (
        "my.run"
        if command == "calibrate"
        else str(next(iter(Path("my.run/scores").glob("*.eval.txt"))))
    )
    said = refusal([command, of, "--out", folder], monkeypatch, capsys)
    assert f"--out {folder}: is a {folder.removeprefix('my.')}, which holds nothing else" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "new.cache", "--corpus", "none.csv"], "none.csv: no such manifest"),
        (["extract", "my.cache"], "holds the corpus"),
        (["extract", "new.cache", "--backbone", "no-such-folder/model"], "error: "),
        (
            ["extract", "new.cache", "--backbone", "./no-such-folder"],
            "./no-such-folder: no such folder",
        ),
        (
            ["extract", "new.cache", "--backbone", "/no/such/folder"],
            "/no/such/folder: no such folder",
        ),
        (["extract", "new.cache", "--device", "cuda:99"], "error: "),
        (["extract", "new.cache", "--seconds", "0"], "--seconds 0: expected 0.05 to 3600"),
        (
            ["extract", "new.cache", "--frames-dtype", "int3"],
            "--frames-dtype int3: expected float16, float32 or int8",
        ),
        (["extract", "new.cache", "--batch-size", "0"], "--batch-size"),
        (["extract", "--no-such-option"], "No such option"),
        (["sweep", "none.cache"], "none.cache: no cache here"),
        (["sweep", "my.cache", "--strengths", "much"], "--strengths much"),
        (
            ["sweep", "my.cache", "--eval", "test"],
            "no utterances in split 'test', only dev, eval, train",
        ),
        (["sweep", "my.cache", "--out", "my.cache"], "is there and is no run"),
        (["compare", "my.run"], "1 run: expected two or more"),
        (["compare", "my.run", "none.run"], "none.run: no run here"),
        (
            ["plot", "my.run", "layers", "--compare", "./my.run", "--out", "x.png"],
            "my.run: is there twice",
        ),
        (["compare", "my.run", "./my.run"], "my.run: is there twice. Name each run once"),
        (
            ["extract", "new.cache", "--layers", "0,99"],
            "--layers 0,99: 99 is not among the layers, 0:12",
        ),
        (
            ["robustness", "my.run", "--views", "my.cache"],
            "--views my.cache: is a cache, which holds nothing else",
        ),
        (
            ["attack", "my.run", "--keep", "my.cache"],
            "--keep my.cache: is a cache, which holds nothing else",
        ),
        (
            ["report", "my.run", "--out", "my.cache"],
            "--out my.cache: is a folder. Name a file",
        ),
        (
            ["report", "my.run", "--out", "no/page.html"],
            "--out no/page.html: expected a file in a folder that is there",
        ),
        (["compare", "my.run", "my.cache"], "my.cache: a cache, not a run"),
        (["report", "none.run"], "none.run: no run here"),
        (
            ["plot", "my.run", "layers", "--out", "curve.gif"],
            "curve.gif: expected a name that ends in .png, .svg",
        ),
        (
            ["plot", "my.run", "conditions", "--by", "moon", "--out", "x.png"],
            "no column 'moon'. Expected one of",
        ),
        (["plot", "my.run", "moon", "--out", "x.png"], "'moon' is not one of"),
        (["plot", "my.run", "pareto", "--out", "x.png"], "1 run: expected two or more"),
        (
            ["plot", "my.run", "layers", "--split", "train", "--out", "x.png"],
            "--split train: expected dev or eval",
        ),
        (
            ["sweep", "my.cache", "--device", "gpu"],
            "unknown device 'gpu'; expected auto, cpu, cuda, cuda:1, xpu or",
        ),
        (["sweep", "my.cache", "--device", "cuda:99"], "--device cuda:99: PyTorch"),
        (
            ["score", "my.run", "mine.csv", "--device", "gpu", "--out", "s.txt"],
            "Type --device cuda",
        ),
        (["inspect", "my.run", "x", "--device", "tpu", "--out", "x.csv"], "Type --device auto"),
        (
            ["export", "my.run", "new", "--depth", "2", "--device", "cuda:99"],
            "finds no such device here, only cpu",
        ),
        (["extract", "new.cache", "--device", "CUDA"], "Type --device cuda"),
        (
            ["sweep", "my.cache", "--strengths", "nan"],
            "--strengths nan: expected one or more numbers from 1e-10",
        ),
        (["sweep", "my.cache", "--strengths", "1,1e-300"], "--strengths 1,1e-300: expected"),
        (["sweep", "my.cache", "--strengths", "inf"], "--strengths inf: expected"),
        (["sweep", "my.cache", "--margin", "nan"], "--margin nan: expected a finite number"),
        (["sweep", "my.cache", "--seed", "-1"], "--seed -1: expected 0 or more"),
        (["sweep", "my.cache", "--memory-gb", "nan"], "--memory-gb"),
        (["extract", "new.cache", "--seconds", "nan"], "--seconds nan: expected a finite number"),
        (
            ["extract", "new.cache", "--max-seconds", "inf"],
            "--max-seconds inf: expected a finite number",
        ),
        (["cache", "repair", "my.cache", "--wait", "inf"], "--wait inf: expected a finite number"),
        (
            ["similarity", "my.cache", "--variance", "nan", "--out", "x.csv"],
            "--variance nan: expected a finite number",
        ),
        (
            ["cache", "info", "my.run"],
            "my.run: a run, not a cache. What takes it: probe report my.run",
        ),
        (["cache", "verify", "my.run"], "my.run: a run, not a cache"),
        (["sweep", "my.run"], "my.run: a run, not a cache"),
        (
            ["export", "my.run", "new", "--depth", "99"],
            "--depth 99: my.run has no head of that depth. It has depths 0:12",
        ),
        (["export", "my.run", "new", "--head", "mean+linar"], "Did you mean mean+linear"),
        (["sweep", "my.cache", "--eval", "evl"], "only dev, eval, train. Did you mean eval"),
        (["similarity", "my.run", "--out", "x.csv"], "my.run: a run, not a cache"),
        (
            ["report", "my.cache"],
            "my.cache: a cache, not a run. Sweep it first: probe sweep my.cache",
        ),
        (
            ["score", "my.cache", "mine.csv", "--out", "s.txt"],
            "my.cache: a cache, not a run or an exported model",
        ),
        (["evaluate", "my.cache"], "my.cache: a cache, not a score file"),
        (
            ["evaluate", "my.run"],
            "my.run: a run, not a score file. Name a file of it, as my.run/scores/",
        ),
        (["evaluate", "."], ".: a folder, not a score file"),
        (["cache", "verify", "none.cache"], "none.cache: no cache here"),
        (["cache", "info", "mine.csv"], "mine.csv: no cache here"),
        (["cache", "repair", "none.cache"], "none.cache: no cache here"),
    ],
)
def test_bad_input_ends_with_one_message_and_code_2(
    workplace: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "argv", ["probe", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (workplace / "new.cache").exists()


def test_exits_are_left_beside_the_run_and_no_figure_is_nan(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    text = printed(["exits", "my.run", "--head", "linear", "--depths", "1,12"], monkeypatch, capsys)
    assert "nan" not in text
    assert "fewer than 5 spoofs" in text
    assert (workplace / "my.exits" / "exits.json").is_file()


def test_exits_are_written_into_no_folder_of_others(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(workplace / "my.run", tmp_path / "my.run")
    monkeypatch.chdir(tmp_path)
    words = ["exits", str(run), "--head", "linear", "--resamples", "100", "--out"]
    Path("mine").mkdir()
    Path("mine/curve.csv").write_text("kept")
    Path("mine/notes.txt").write_text("kept")
    said = refusal([*words, "mine"], monkeypatch, capsys)
    assert "--out mine: holds other files, as notes.txt. Name another folder" in said
    assert Path("mine/curve.csv").read_text() == "kept"
    for place in ("new", "new", "my.exits"):  # what it wrote itself is replaced
        printed([*words, place], monkeypatch, capsys)
    shutil.copytree(run, "other.run")
    words[1] = "other.run"
    assert "--out new: holds what probe exits found of my.run" in refusal(
        [*words, "new"], monkeypatch, capsys
    )


def test_the_report_of_a_run_that_is_not_named_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one.run", "other.run"):
        Path(name).mkdir()
        Path(name, "run.json").write_text("{}")
        Path(name, "report.html").write_text("kept")
    said = refusal(["report", "one.run", "--out", "other.run/report.html"], monkeypatch, capsys)
    assert "is a file of other.run, a run that this command does not name" in said
    words = ["calibrate", "one.run", "--out", "other.run/calibration/linear"]
    assert "a run that this command does not name" in refusal(words, monkeypatch, capsys)
    assert Path("other.run/report.html").read_text() == "kept"


def test_a_folder_with_something_else_is_refused_before_the_cache_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full dir").mkdir()
    (tmp_path / "full dir" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    said = refusal(["sweep", "none.cache", "--out", "full dir"], monkeypatch, capsys)
    assert said == "error: --out 'full dir': is there and is no run. Name another folder\n"


def test_one_fault_is_one_fault(
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(workplace / "my.run", tmp_path / "my run")
    (run / "results.csv").write_text("other")
    assert run_cli(["verify", str(run)], monkeypatch) == 1
    assert (
        f"1 fault. Restore them from a copy, or make it again: probe sweep CACHE --out '{run}'"
        in (capsys.readouterr().out)
    )


def test_bad_input_shows_no_traceback(workplace: Path) -> None:
    result = probe("sweep", "none.cache", cwd=workplace)
    assert (result.wait(), len(result.err.read_text().splitlines())) == (2, 1)


def leaves(command, path: str = "") -> list[str]:
    """The commands that do something, as they are typed."""
    below = getattr(command, "commands", {})
    return (
        [leaf for name, inner in below.items() for leaf in leaves(inner, f"{path} {name}")]
        if below
        else [path.strip()]
    )


def test_readme_names_only_commands_and_options_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    commands = "|".join(sorted(leaves(get_command(app)), key=len, reverse=True))
    named = re.findall(rf"probe ({commands})([^`\n]*)", text)
    shown = {
        command: CliRunner().invoke(app, [*command.split(), "--help"]).stdout
        for command, _ in named
    }
    assert {"extract", "sweep", "evaluate", "cache repair", "corpus check"} <= set(shown)
    for command, rest in named:
        for option in re.findall(r"--[a-z0-9-]+", rest):
            assert option in shown[command], f"probe {command} {option}"
    for option in set(re.findall(r"`(--[a-z0-9-]+)", text)):
        assert any(option in page for page in (*shown.values(), "--help")), option


def test_nothing_is_written_into_a_run_or_a_cache_but_what_belongs_there(tmp_path: Path) -> None:
    for mark, name in (("cache.json", "c.cache"), ("run.json", "r.run")):
        (tmp_path / name / "figures").mkdir(parents=True)
        (tmp_path / name / mark).write_text("{}")
        (tmp_path / name / "figures" / "x.csv").write_text("x")
        (tmp_path / name / "results.csv").write_text("x")
        for file in ("results.csv", "figures/x.csv"):
            with pytest.raises(OptionError, match=f"is a file of {name}"):
                check_suffix(tmp_path / name / file, (".csv",))
        with (
            pytest.raises(OptionError, match="is a file of"),
            written_out(tmp_path / name / mark, mark),
        ):
            pass
        with pytest.raises(
            OptionError, match=f"keep=.*would be a part of {name}, a .*, which holds nothing else"
        ):
            check_suffix(tmp_path / name / "new.csv", (".csv",), "keep")
        with pytest.raises(OptionError, match=r"views=.*holds nothing else"):
            check_folder(tmp_path / name, "views")
        with pytest.raises(OptionError, match=f"would be a part of {name}"):
            check_folder(tmp_path / name / "new")
    with pytest.raises(OptionError, match=r"c.cache/report.html: would be"):
        check_file(tmp_path / "c.cache" / "report.html")
    for runs in ([tmp_path / "r.run"], [tmp_path]):  # a folder with runs in it
        with typed({"runs": runs}):  # as probe report and probe calibrate leave them
            check_file(tmp_path / "r.run" / "report.html")
            check_folder(tmp_path / "r.run" / "calibration" / "linear-layer-01")
    with (
        typed({"runs": [tmp_path / "c.cache"]}),
        pytest.raises(OptionError, match=r"a part of r.run, a run that this command does not name"),
    ):
        check_file(tmp_path / "r.run" / "report.html")
    check_suffix(tmp_path / "beside.csv", (".csv",))


def test_no_output_replaces_what_the_command_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, keys = tmp_path / "scores.txt", tmp_path / "keys.csv"
    scores.write_text("a 1\nb 2\n")
    keys.write_text("utterance_id,label\na,bonafide\nb,spoof\n")
    before = keys.read_bytes()
    for name in (keys, tmp_path / "." / "keys.csv"):
        assert (
            run_cli(["evaluate", str(scores), "--keys", str(keys), "--csv", str(name)], monkeypatch)
            == 2
        )
        assert "--csv" in (told := capsys.readouterr().err)
        assert "named twice" in told
    assert keys.read_bytes() == before
    assert run_cli(["report", "any.run", "--out", str(tmp_path / "scores.txt")], monkeypatch) == 2
    assert "ends in .html" in capsys.readouterr().err
    with pytest.raises(OptionError, match="is the corpus that the cache was made of"):
        TableFiles(csv=str(keys)).check_not_corpus(str(keys))


@pytest.mark.parametrize(
    "words",
    [
        ["describe", "any.cache", "--labels", "t.csv", "--out", "t.csv"],
        ["transfer", "any.cache", "--labels", "t.csv", "--out", "./t.csv"],
        ["similarity", "t.csv", "--out", "t.csv"],
        ["inspect", "any.run", "id", "--labels", "t.csv", "--out", "t.csv"],
        ["report", "page.html", "--out", "page.html"],
        ["score", "any.run", "t.csv", "--out", "t.csv"],
        ["plot", "any.run", "layers", "--out", "p.svg", "--csv", "t.csv", "--config", "c.yaml"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_refuses_an_output_that_it_names_elsewhere(
    tmp_path: Path,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("t.csv", "page.html"):
        Path(name).write_text("kept")
    Path("c.yaml").write_text("compare: t.csv\n")
    Path("any.run").mkdir()
    Path("any.run/run.json").write_text("{}")
    assert "is named twice in this command" in refusal(words, monkeypatch, capsys)
    assert {path.read_text() for path in map(Path, ("t.csv", "page.html"))} == {"kept"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", "c", "--resamples", "abc"], "--resamples abc: expected a whole number. Type"),
        (["describe", "c", "--seeds", "0"], "--seeds 0: expected 1 or more. Type probe describe"),
        (["cache", "repair", "c", "--wait", "x"], "--wait x: expected a number. Type probe cache"),
        (["extract", "--model", "x"], "No such option: --model. Did you mean --backbone? Type"),
        (["plot", "a", "b"], "--out: is missing. Type probe plot --help"),
        (["plot"], "RUN: is missing. Type probe plot --help"),
        (
            ["cache", "nfo"],
            "No such command 'nfo'. Did you mean probe cache info? Type probe cache",
        ),
        (["--nope"], "No such option: --nope. Type probe --help"),
        (["cache", "--nope"], "No such option: --nope. Type probe cache --help"),
        (["sweep", "c", "--seed"], "Option '--seed' requires an argument. Type probe sweep --help"),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_the_form_of_all_errors(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = " ".join(refusal(words, monkeypatch, capsys).split())
    assert shown.startswith(f"error: {message}")
    assert "Usage" not in shown
