"""Options come from a file as they do from the command line, which wins; what a file cannot mean is
refused.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from changed_options import CHANGED
from typed_options import read_back
from typer.main import get_command
from typer.testing import CliRunner

from analysis.commands.app import app, main
from analysis.commands.config_file import key_of
from analysis.runs.rerun import values_of
from probing.options import Option
from probing.sweep import DepthOptions, SweepOptions


def told(options: object) -> dict[str, object]:
    values = values_of(type(options), vars(options))
    return (
        {**values, **values_of(DepthOptions, vars(options.depths))}
        if isinstance(options, SweepOptions)
        else values
    )


@pytest.mark.parametrize("options", CHANGED, ids=lambda options: type(options).__name__)
def test_options_that_are_written_to_a_file_are_read_back_as_the_same(
    options: object, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(told(options)))
    assert read_back(type(options), ["--config", str(tmp_path / "c.yaml")]) == options


def test_what_is_typed_wins_and_words_are_taken_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "seeds: 4  # first weights\nstrengths: [1e-3, 0.1]\npositive: no\ntarget: "
        "lang\nunseen-attacks: off\n"
    )
    found = read_back(SweepOptions, ["--seeds", "2", "--config", str(file)])
    assert isinstance(found, SweepOptions)
    assert (found.depths.seeds, found.strengths) == ((0, 1), (0.001, 0.1))
    assert (found.target.positive, found.unseen_attacks) == (("no",), False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stregths: 1", "stregths: probe sweep has no such option. Did you mean strengths?"),
        ("seeds: 1\nseeds: 2", "line 2: seeds is there twice"),
        ("seeds:\n  a: 1", "line 1: seeds has parts of its own"),
        ("seeds: [", "is no YAML (line 1, column 9"),
        ("seed: banana", "c.yaml: seed: banana: expected a whole number. Type probe sweep --help"),
        ("memory-gb: lots", "c.yaml: memory_gb: lots: expected a number"),
        ("memory_gb: 0.1", "c.yaml: memory_gb: 0.1: expected 0.5 or more"),
        ("- seeds", "expected names of options with values"),
        ("strict: maybe", "strict: maybe: expected true or false"),
        ("seeds: few", "--seeds few: expected how many, as 3"),
    ],
)
def test_a_file_at_fault_is_refused(
    text: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    assert refused(["sweep", "--config", "c.yaml"], monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_command_of_a_group_is_named_with_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("cash: my.cache")
    assert refused(["cache", "info", "--config", "c.yaml"], monkeypatch) == 2
    assert "cash: probe cache info has no such option" in capsys.readouterr().err


def refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["probe", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_every_parameter_of_a_command_has_a_key_of_its_own() -> None:
    def leaves(command: object) -> list[object]:
        below = getattr(command, "commands", None)
        return (
            [command]
            if below is None
            else [leaf for inner in below.values() for leaf in leaves(inner)]
        )

    for command in leaves(get_command(app)):
        keys = [key_of(param) for param in command.params]  # type: ignore[attr-defined]
        assert len(keys) == len(set(keys)), keys
        assert "config" in keys


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("info x.cache", "Did you mean probe cache info?"),
        ("swep", "Did you mean probe sweep?"),
        ("train", "Did you mean probe sweep?"),
        ("extract --model x", "Did you mean --backbone?"),
        ("sweep --layers 3", "Did you mean --depths?"),
        ("sweep --seed banana", "--seed banana: expected a whole number"),
        ("sweep --strenghts 1", "Did you mean --strengths?"),
        ("sweep --heads weighed-sum+linear", "Did you mean weighted-sum"),
        ("sweep --metric macrof1", "Did you mean macro_f1?"),
        ("sweep --tier pool", "Did you mean pooled?"),
        ("plot x.run layer --out x.png", "Did you mean layers?"),
        ("extract x --backbone log_mel", "Try `log-mel`"),
    ],
)
def test_a_near_miss_says_what_may_be_meant(
    words: str,
    meant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    assert refused(words.split(), monkeypatch) == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("probe sw", "sweep"),
        ("probe cache i", "info"),
        ("probe sweep --fol", "--folds"),
        ("probe sweep --heads none,gumbel+l", "none,gumbel+linear none,gumbel+lstm"),
        ("probe extract --backbone log", "log-mel"),
        ("probe plot x.run la", "layers"),
        ("probe sweep --metric ma", "macro_f1"),
        ("probe extract --corpus asvspoof5", "asvspoof5:"),
        ("probe export my.run --head sls+m", "sls+mlp sls+mlp-depth-02"),
        ("probe plot my.run layers --corpus a", "asv-eval"),
        ("probe attack my.run --corpus d", "demo"),
        ("probe evaluate s.txt --corpus asvspoof5", "asvspoof5:"),
    ],
)
def test_the_shell_completes(
    typed: str, completed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.run" / "heads").mkdir(parents=True)
    (tmp_path / "my.run" / "heads" / "sls+mlp-depth-02.safetensors").touch()
    (tmp_path / "my.run" / "run.json").write_text('{"corpora": ["demo", "asv-eval"]}')
    monkeypatch.chdir(tmp_path)
    environment = {
        "_PROBE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    shown = CliRunner().invoke(app, [], env=environment, prog_name="probe")
    assert shown.stdout.split() == completed.split(), shown.output


def test_python_m_probing_is_the_command_line_and_nothing_else_of_probing_knows_of_analysis() -> (
    None
):
    done = subprocess.run(
        [sys.executable, "-m", "probing", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("probe ")
    root = Path(__file__).parents[2]
    files = [path for package in ("cache", "probing") for path in (root / package).rglob("*.py")]
    knows = re.compile(r"^\s*(from|import) analysis\b", re.MULTILINE)
    knowing = [path.name for path in files if knows.search(path.read_text(encoding="utf-8"))]
    assert knowing == ["__main__.py"]


def test_an_option_of_choices_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"expected a or bc\. Did you mean bc\?"):
        Option(choices=("a", "bc")).check("x", "bcd")


def test_an_option_of_no_use_is_refused_if_typed_and_passed_over_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [
        f"u{i} {'-' if i % 2 else 'A01'} {('spoof', 'bonafide')[i % 2]} {i}" for i in range(40)
    ]
    Path("scores.txt").write_text("\n".join(lines))
    Path("keys.txt").write_text("any")
    Path("c.yaml").write_text("asv_keys: keys.txt\naudio_root: nowhere\nresamples: 100\n")
    words = ["evaluate", "scores.txt", "--config", "c.yaml"]
    assert refused(words, monkeypatch) == 0
    assert refused([*words, "--audio-root", "here"], monkeypatch) == 2
    assert "--audio-root here: is where the paths of --corpus" in capsys.readouterr().err
    assert refused(words, monkeypatch) == 0  # what was typed before is forgotten
    Path("several.yaml").write_text("seed: 3\nframes_dtype: float32\n")  # as sweep has a seed too
    words = ["extract", "new.cache", "--config", "several.yaml", "--corpus", "none.csv"]
    assert refused(words, monkeypatch) == 2
    assert "none.csv" in capsys.readouterr().err
    assert refused([*words, "--view-seed", "3"], monkeypatch) == 2
    assert "--view-seed 3: is of a view" in capsys.readouterr().err
