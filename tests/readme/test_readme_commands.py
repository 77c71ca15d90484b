"""Every command and every line of Python in a README is run on a small part of the demo, or marked
and parsed.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import soundfile
from readme.readmes import READMES, READS_RESULTS, ROOT, blocks, inline, prose
from typer.main import get_command

from analysis.commands.app import app, main
from cache import Cache
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.targets.options import TargetOptions

HEADS = DepthOptions(depths=(2, 4), seeds=(0, 1), epochs=2, weight_decays=(0.1,))
SMALL = SweepOptions(strengths=(0.01, 1.0), control_seeds=(0,), resamples=100)


@cache
def whole_app() -> Any:
    return get_command(app)


def run_here(arguments: list[str], folder: Path) -> None:
    """Run a command in this process, as typed in a folder; it must end with exit code 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["probe", *arguments])
        try:
            with pytest.raises(SystemExit) as stop:
                main()
        finally:
            plt.close("all")
    assert stop.value.code in (0, None), f"probe {' '.join(arguments)}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 56 clips of the demo corpus, their caches and runs under the names that the
    READMEs use.
    """
    folder = tmp_path_factory.mktemp("readme")
    corpus = load_corpus("demo")
    table = corpus.utterances
    wanted = table["split"].map({"train": 16, "dev": 6, "eval": 6})
    table = table[table.groupby(["split", "label"]).cumcount() < wanted]
    (folder / "clips").mkdir()
    for path in table["path"]:
        shutil.copy(corpus.root / path, folder / "clips")
    table["path"] = ["clips/" + Path(path).name for path in table["path"]]
    table[["path", "label", "speaker", "attack", "split"]].to_csv(folder / "mine.csv", index=False)
    samples, rate = soundfile.read(folder / table["path"].iloc[0])
    soundfile.write(folder / "clip.wav", samples, rate)
    mine = load_corpus(str(folder / "mine.csv"))
    for name, backbone, heads in (
        ("demo", "embedded", HEADS),
        ("random", "random:embedded", DepthOptions(())),
    ):
        cache = folder / "results" / f"{name}.cache"
        what = Options(backbone, seconds=0.5, layers="0:4", frames=name == "demo")
        extract(cache, mine, what, Machine("cpu", batch_size=6), say=lambda text: None)
        sweep(cache, cache.with_suffix(".run"), replace(SMALL, depths=heads), say=lambda text: None)
    return folder


@pytest.fixture
def place(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same for one README, which may write what it likes."""
    shutil.copytree(demo, tmp_path / "place", copy_function=os.link)
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def leaf_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what follows it."""
    command = whole_app()
    while hasattr(command, "commands"):
        assert words, f"no command of probe {command.name}"
        assert words[0] in command.commands, f"probe {words[0]}: no such command"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def check(words: list[str]) -> None:
    """Check that a command and every option in it exist."""
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program == "probe":
        command, rest = leaf_of(rest)
        command.make_context("probe", rest)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        assert set(re.findall(r"\.\[(\w+)\]", " ".join(rest))) <= set(extras)
    elif program in ("python", "python3") and rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]) is not None, rest[1]
    else:
        assert program == "python", f"{' '.join(words)}: neither probe, pip nor python"
        check_script(ROOT / rest[0], rest[1:])


def check_script(path: Path, rest: list[str]) -> None:
    """Check that a script is there and has the options and subcommands named."""
    text = path.read_text(encoding="utf-8")
    for word in rest:
        if re.fullmatch(r"--[a-z-]+|[a-z]+", word):
            assert f'"{word}"' in text, f"{path.name} {word}"


@pytest.mark.parametrize("path", READMES, ids=named)
def test_commands_parse_and_their_options_exist(path: Path) -> None:
    for block in blocks(path, "sh"):
        for words in block.commands():
            check(words)


def test_examples_in_the_help_of_commands_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.yaml").write_text("seed: 0\n")  # which is read at once

    def pages(command: Any) -> Iterator[str]:
        below = getattr(command, "commands", {}).values()
        yield command.help
        for inner in below:
            yield from pages(inner)

    lines = [
        line.strip() for page in pages(whole_app()) for line in page.partition("\b")[2].splitlines()
    ]
    examples = [line for line in lines if line]
    assert len(examples) > 60
    for line in examples:
        from_a_file = re.sub(r"<\(.*\)", "demo.yaml", line)
        check(shlex.split(from_a_file.partition(" > ")[0]))


@pytest.mark.parametrize("path", [path for path in READMES if blocks(path, "sh")], ids=named)
def test_commands_run_on_the_demo(path: Path, place: Path) -> None:
    for block in blocks(path, "sh"):
        for words in block.commands() if block.runs else ():
            assert words[0] == "probe", f"{' '.join(words)}: mark its block, as '# takes minutes'"
            run_here(words[1:], place)


@pytest.mark.parametrize("path", [path for path in READMES if blocks(path, "python")], ids=named)
def test_python_runs_on_the_demo(path: Path, place: Path) -> None:
    names: dict[str, object] = {}
    for block in blocks(path, "python"):
        code = compile(block.text, str(path), "exec")
        if block.runs:
            exec(code, names)
    plt.close("all")


@pytest.mark.parametrize("path", READMES, ids=named)
def test_options_in_the_text_exist(path: Path) -> None:
    def options(command: Any) -> set[str]:
        below = getattr(command, "commands", {}).values()
        own = {
            name
            for parameter in command.params
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        return own.union(*(options(command) for command in below))

    every = options(whole_app())
    for text in inline(path):
        if script := re.match(r"(?:python )?(?:tests/\w+/)?(\w+\.py)\b(.*)", text):
            found = list((ROOT / "tests").rglob(script.group(1))) or list(
                path.parent.glob(script.group(1))
            )
            assert found, f"{text}: no such script"
            check_script(
                found[0], [word for word in script.group(2).split() if word.startswith("--")]
            )
        elif re.match(r"(probe |--)", text):
            known = options(leaf_of(text.split()[1:])[0]) if text.startswith("probe ") else every
            for option in re.findall(r"--[a-z0-9][a-z0-9-]*", text):
                assert option in known | {"--help"}, f"{text}: no {option}"


@pytest.mark.parametrize("path", READMES, ids=named)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [
                re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
            ], target


def test_the_readme_is_short_and_no_line_is_long() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
    for path in READMES:
        if path.parent.name != "embedded":  # the card of a model, written when it was trained
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                # .ci/run takes these as they stand, whole lines
                if not line.startswith("python3 -m venv"):
                    assert len(line) <= 120, f"{named(path)}, line {number}"


@pytest.fixture(scope="session")
def with_other_runs(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `demo` with runs of other targets, and with what further commands found."""
    folder = tmp_path_factory.mktemp("examples") / "place"
    shutil.copytree(demo, folder, copy_function=os.link)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ids = Cache("results/demo.cache").utterances["utterance_id"]
        vowels = ["a", "e", "o", "u"] * (len(ids) // 4)
        ages = [20.5 + 7 * (i % 9) for i in range(len(ids))]
        answers = pd.DataFrame({"utterance_id": ids, "vowel": vowels, "age": ages})
        answers.to_csv("answers.csv", index=False)
        stretches = [(name, 0.25 * i, 0.25 * (i + 1)) for name in ids for i in (0, 1)]
        table = pd.DataFrame(stretches, columns=["utterance_id", "start", "end"])
        table.assign(label=["bonafide", "spoof"] * len(ids)).to_csv("stretches.csv", index=False)
        small = replace(SMALL, depths=DepthOptions(()))
        for name, options in {
            "erased": replace(small, erase=2),
            "vowels": replace(small, target=TargetOptions("vowel", "answers.csv")),
            "ages": replace(small, target=TargetOptions("age", "answers.csv", task="number")),
            "frames": replace(small, target=TargetOptions(labels="stretches.csv", unit="frame")),
        }.items():
            cache = Cache("results/demo.cache")
            sweep(cache, Path(f"results/{name}.run"), options, say=lambda text: None)
    run_here(["exits", "results/demo.run", "--head", "linear"], folder)
    run_here(["robustness", "results/demo.run", "--grid", "noise:white@10,0", "--no-heads"], folder)
    words = ["--layers", "1", "--method", "fgsm", "--eps", "8", "--clips", "4"]
    run_here(["attack", "results/demo.run", *words], folder)
    return folder


def with_examples_on_runs() -> list[str]:
    """Modules whose docstrings have examples that read what is in results/."""
    folders = (ROOT / "cache", ROOT / "probing", ROOT / "analysis")
    files = (
        path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if "commands" not in path.parts
    )
    found = [path for path in files if READS_RESULTS.search(path.read_text(encoding="utf-8"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found]


@pytest.mark.parametrize("name", with_examples_on_runs())
def test_examples_in_docstrings_run_on_small_runs(
    name: str, with_other_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(with_other_runs, tmp_path / "place", copy_function=os.link)
    monkeypatch.chdir(tmp_path / "place")
    result = doctest.testmod(importlib.import_module(name))
    plt.close("all")
    assert result.attempted
    assert not result.failed
