"""What is typed after an extraction follows from the splits, labels, speakers and tiers that there
are.
"""

import ast
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from small_extraction import run_cli

from analysis.commands.app import COMMANDS
from analysis.commands.extract import next_command
from analysis.runs.kinds import RUN, refuse_other
from cache import ProbeError
from cache.errors import as_flag
from probing.corpora import Corpus

QUOTING = ("quoted(", "as_flag(", "argument(", "shlex.quote(")


def corpus(splits: list[str], labels: str = "spoof", speaker: str = "ann") -> Corpus:
    table = pd.DataFrame({"split": splits, "label": labels, "speaker": speaker})
    return Corpus("mine", "mine.csv", Path(), table)


@pytest.mark.parametrize(
    ("there", "frames", "command"),
    [
        (corpus(["train", "dev", "eval"]), False, "probe sweep my.cache"),
        (corpus(["train", "eval"]), True, "probe sweep my.cache --tier frames"),
        (corpus(["train", "dev"], labels="happy"), False, "probe sweep my.cache --target COLUMN"),
        (corpus(["all"]), False, "probe sweep my.cache --split-by speaker"),
        (
            corpus(["all"], speaker="-"),
            True,
            "probe sweep my.cache --split-by utterance_id --tier frames",
        ),
    ],
)
def test_a_cache_is_swept_as_it_can_be(there: Corpus, frames: bool, command: str) -> None:
    assert next_command(Path("my.cache"), there, frames) == command


def test_a_cache_of_eval_alone_is_reported_on_or_scored() -> None:
    sweep, score = next_command(Path("e.cache"), corpus(["eval"]), False).splitlines()
    assert sweep == "probe sweep TRAINED.cache --eval eval --eval e.cache:eval"
    assert score.strip() == "probe score RUN e.cache --split eval --out scores.txt"


def test_a_split_that_is_added_to_a_cache_is_swept_with_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["path,label,split"]
    for i, split in enumerate(("train", "dev", "eval") * 2):
        soundfile.write(f"{i}.wav", np.sin(np.arange(1600) * (0.1 + 0.01 * i)), 16000)
        rows.append(f"{i}.wav,{'real' if i < 3 else 'fake'},{split}")
    Path("m.csv").write_text("\n".join(rows))
    command = ["extract", "m.cache", "--corpus", "m.csv", "--backbone", "log-mel"]
    assert run_cli([*command, "--split", "train", "--split", "dev"], monkeypatch) == 0
    capsys.readouterr()
    assert run_cli([*command, "--split", "eval"], monkeypatch) == 0
    assert "Next: probe sweep m.cache\n" in capsys.readouterr().err


def test_a_folder_in_a_command_to_type_is_quoted(tmp_path: Path) -> None:
    folder = tmp_path / "my cache"
    folder.mkdir()
    (folder / "cache.json").touch()
    with pytest.raises(ProbeError, match=f"probe cache info '{folder}'"):
        refuse_other(folder, RUN)
    assert as_flag("out", "my run").endswith("-out 'my run'")
    commands = "|".join([*COMMANDS, "verify", "repair", "info", "merge"])
    to_type = re.compile(rf"probe (cache |corpus )?({commands})( [\w./-]+)* $")
    root = Path(__file__).parents[2]
    files = [
        path for name in ("cache", "probing", "analysis") for path in (root / name).rglob("*.py")
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    found = []
    for path, text in texts.items():
        if re.search(r"probe [^\n]*\{", text):
            strings = [
                node.values for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)
            ]
            for before, value in (pair for values in strings for pair in pairwise(values)):
                ends = isinstance(before, ast.Constant) and to_type.search(str(before.value))
                if ends and not ast.unparse(value.value).startswith(QUOTING):
                    found.append(f"{path.relative_to(root)}:{value.lineno}")
    assert found == []
