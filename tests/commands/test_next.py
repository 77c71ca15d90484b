"""What is typed after an extraction follows from the splits, labels, speakers and tiers that there are."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.commands.extract import next_command
from probing.corpora import Corpus


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
        (corpus(["all"], speaker="-"), True, "probe sweep my.cache --split-by utterance_id --tier frames"),
    ],
)
def test_a_cache_is_swept_as_it_can_be(there: Corpus, frames: bool, command: str) -> None:
    assert next_command(Path("my.cache"), there, frames) == command


def test_a_cache_of_eval_alone_is_reported_on_or_scored() -> None:
    sweep, score = next_command(Path("e.cache"), corpus(["eval"]), False).splitlines()
    assert sweep == "probe sweep TRAINED.cache --eval eval --eval e.cache:eval"
    assert score.strip() == "probe score RUN e.cache --split eval --out scores.txt"
