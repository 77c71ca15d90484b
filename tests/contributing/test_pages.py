"""Every "Add a ..." page of CONTRIBUTING.md is done as it says, in a folder outside the package."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_models import build
from typer.testing import CliRunner

import analysis
from analysis.commands.app import app
from analysis.runs.rerun import commands
from cache import Cache
from probing.backbones import load_backbone
from probing.backbones.families import ARCHITECTURE
from probing.corpora import KNOWN
from probing.heads.head import load_head
from probing.heads.kinds import BACKENDS, MERGES
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

ROOT = Path(__file__).parents[2]
PAGES = re.split(
    r"^## (?=Add)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)[1:]
PAGES_BY_TITLE = {page.splitlines()[0].removeprefix("Add a "): page for page in PAGES}
FAST = [
    "--strengths",
    "0.1",
    "--control-seeds",
    "1",
    "--resamples",
    "100",
    "--epochs",
    "2",
    "--depths",
    "2",
]


def follow(title: str, *more: str) -> str:
    """Write the module of a page, type its command, and give what was printed."""
    page = PAGES_BY_TITLE[title]
    code = re.search(r"```python\n# (\w+\.py)\n(.*?)```", page, flags=re.DOTALL)
    command = re.search(r"^`probe (.*)`$", page, flags=re.MULTILINE)
    assert code is not None
    assert command is not None
    Path(code[1]).write_text(code[2], encoding="utf-8")
    return probe(*shlex.split(command[1]), *more)


def probe(*words: str) -> str:
    shown = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return shown.output


def test_there_is_a_page_for_every_registry_and_none_is_long() -> None:
    assert list(PAGES_BY_TITLE) == [
        "merge",
        "back-end",
        "backbone family",
        "corpus",
        "metric",
        "plot",
    ]
    assert max(len(page.rstrip().splitlines()) for page in PAGES) <= 25


def test_files_that_pages_name_are_there_and_at_most_two_are_of_the_package() -> None:
    for title, page in PAGES_BY_TITLE.items():
        files = set(re.findall(r"`([\w/]+\.py)`", page))
        assert all((ROOT / file).is_file() for file in files), title
        assert 1 <= len([file for file in files if not file.startswith("tests/")]) <= 2, title


def test_every_head_and_corpus_is_in_a_readme() -> None:
    found = [
        path
        for folder in ("", "probing")
        for path in (ROOT / folder).glob("**/README.md" if folder else "*.md")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in found)
    for name in (*MERGES.built_in, *BACKENDS.built_in, *KNOWN.built_in):
        assert re.search(rf"`[^`\n]*\b{re.escape(name)}\b[^`\n]*`", text), name


def test_a_merge(own: Path, cache_folder: Path) -> None:
    shutil.copytree(cache_folder, "my.cache")
    follow("merge", *FAST)
    run = Run(Path("my.run"))
    depths = run.results.query(
        "experiment == 'depth' and metric == 'eer' and head == 'my_merge:NormGate+linear'"
    )
    assert sorted(depths["depth"].unique()) == [2, 3]
    views = set(run.results.query("experiment == 'contribution'")["metric"])
    assert views == {"gate", "gate_sd", "gate_start", "eer_without", "eer_permuted"}
    probe("plot", "my.run", "gates", "--out", "gates.svg")
    head = "my_merge:NormGate+linear-depth-03"
    assert load_head(run.folder / "heads" / f"{head}.safetensors").config()["own"] == {
        "merge": "my_merge:NormGate"
    }
    probe("score", "my.run", "my.cache", "--head", head, "--split", "eval", "--out", "again.txt")
    stored = pd.read_csv(run.folder / "scores" / f"{head}.eval.txt", sep=" ", header=None)
    np.testing.assert_allclose(
        pd.read_csv("again.txt", sep=" ", header=None)[3], stored[3], atol=1e-5
    )
    assert "probe --import my_merge sweep my.cache" in commands(run)
    named = DepthOptions(heads=("norm-gate+linear",), seeds=(0,), epochs=2, depths=(2,))
    options = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=named)
    again = sweep(cache_folder, own / "named.run", options, say=lambda text: None)
    assert "norm-gate+linear" in set(again.results["head"])


def test_a_back_end(own: Path, cache_folder: Path) -> None:
    shutil.copytree(cache_folder, "my.cache")
    follow("back-end", *FAST)
    rows = Run(Path("my.run")).results.query(
        "experiment == 'depth' and metric == 'eer' and split == 'eval'"
    )
    assert set(rows["head"]) == {"weighted-sum+my_backend:Loudest"}


def test_a_backbone_family(own: Path) -> None:
    build("sew-d", own / "sew-d")
    soundfile.write("a.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    Path("mine.csv").write_text("path,label\na.wav,spoof\n")
    measured = load_backbone("./sew-d")
    follow("backbone family")
    cache = Cache(Path("sew.cache"))
    declared = load_backbone("./sew-d")
    assert [measured.n_frames(n) for n in range(700, 4000)] == [
        declared.n_frames(n) for n in range(700, 4000)
    ]
    assert cache.utterances["n_frames"].tolist() == [declared.n_frames(8000)]
    named = set(json.loads(str(cache.fingerprint["backbone_architecture"])))
    assert "squeeze_factor" in named
    assert named <= set(ARCHITECTURE)
    assert not set(json.loads(str(measured.fingerprint()["architecture"]))) <= set(ARCHITECTURE)


def test_a_corpus(own: Path) -> None:
    Path("calls").mkdir()
    soundfile.write("calls/a.wav", np.zeros(1600), 16000)
    soundfile.write("calls/b.wav", np.zeros(1600), 16000)
    Path("calls/list.txt").write_text("a.wav bonafide ann\nb.wav spoof bob\n")
    shown = follow("corpus")
    assert "eval bonafide: 1" in shown
    assert "studio:calls: all is there" in shown
    assert "studio:ROOT" in probe("corpus", "list")


def test_a_metric(own: Path) -> None:
    rows = [
        f"u{i} {'-' if i % 2 else 'A01'} {'bonafide' if i % 2 else 'spoof'} {i if i % 2 else -i}"
        for i in range(40)
    ]
    Path("scores.txt").write_text("\n".join([*rows, "u40 A01 spoof 10.5", ""]))
    follow("metric", "--resamples", "100", "--out", "found")
    table = pd.read_csv("found/evaluation.csv")
    assert table["miss_at_1"].between(0, 1).all()
    scores = np.array([i if i % 2 else -i for i in range(40)] + [10.5])
    spoof = np.array([i % 2 == 0 for i in range(41)])
    expected = (scores[~spoof] <= np.quantile(scores[spoof], 0.99)).mean()
    assert table["miss_at_1"][0] == pytest.approx(expected)
    assert re.search(r"miss at 1 %.*\n.*\d", probe("evaluate", "scores.txt", "--resamples", "100"))


def test_a_plot(own: Path, cache_folder: Path) -> None:
    none = SweepOptions(
        strengths=(0.1,), control_seeds=(0,), resamples=100, depths=DepthOptions(heads=())
    )
    sweep(cache_folder, own / "my.run", none, say=lambda text: None)
    follow("plot")
    assert "<svg" in Path("gain.svg").read_text()
    assert "EER gained by each layer" in Path(analysis.save_report("my.run")).read_text()
