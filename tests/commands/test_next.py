"""What is typed after an extraction follows from the splits, labels, speakers and tiers that there
are.
"""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

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
