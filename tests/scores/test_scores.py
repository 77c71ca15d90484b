"""Score files of both forms: written, read, and refused with the line that is at fault."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probing.metrics.eer import ScoresError
from probing.scores import read_scores, write_scores

TABLE = pd.DataFrame(
    {"utterance_id": ["a", "b/é", "c"], "attack": ["-", "A 07", ""], "label": ["bonafide", "spoof", "spoof"]}
)


def test_both_forms_are_the_official_ones(tmp_path: Path) -> None:
    scores = [1.5, -0.1, 1 / 3]
    write_scores(tmp_path / "2019", TABLE, scores)
    write_scores(tmp_path / "2021", TABLE[["utterance_id"]], scores, form="2021")
    official = "a - bonafide 1.5\nb/é A_07 spoof -0.1\nc - spoof 0.333333333\n"
    assert (tmp_path / "2019").read_text(encoding="utf-8") == official
    assert (tmp_path / "2021").read_text(encoding="utf-8") == "a 1.5\nb/é -0.1\nc 0.333333333\n"
    known = read_scores(tmp_path / "2019")
    assert list(known.columns) == ["utterance_id", "attack", "label", "score"]
    assert list(known["attack"]) == ["-", "A_07", "-"]
    assert list(known["label"]) == list(TABLE["label"])
    secret = read_scores(tmp_path / "2021")
    assert list(secret["label"]) == list(secret["attack"]) == [""] * 3
    assert list(secret["utterance_id"]) == list(TABLE["utterance_id"])
    assert list(secret["score"]) == list(known["score"]) == [1.5, -0.1, 0.333333333]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_float32_scores_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, scores: list[float]) -> None:
    path = tmp_path_factory.mktemp("scores") / "s.txt"
    write_scores(path, pd.DataFrame({"utterance_id": [f"u{i}" for i in range(len(scores))]}), scores, form="2021")
    assert np.array_equal(read_scores(path)["score"].astype(np.float32), np.float32(scores))


@pytest.mark.parametrize(
    "text",
    ["a 1\nb 2\n", "filename\tcm-score\na\t1\nb\t2", "\ufeffa 1\r\n\r\nb 2\r\n", "a - Bonafide 1\nb A01 fake 2\n"],
)
def test_what_others_write_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text, encoding="utf-8", newline="")
    table = read_scores(tmp_path / "s.txt")
    assert list(table["utterance_id"]) == ["a", "b"]
    assert list(table["score"]) == [1.0, 2.0]
    assert set(table["label"]) in ({""}, {"bonafide", "spoof"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scores. Expected lines of"),
        ("filename cm-score\n", "no scores"),
        ("a 1\n\nb\n", "line 3: 1 fields; expected 2 as in the first"),
        ("a 1\nb - spoof 2\n", "line 2: 4 fields; expected 2 as in the first"),
        ("a bonafide 1\n", "line 1: 3 fields; expected `utterance attack key score`"),
        ("a 1\nb x\n", "line 2: score 'x'; expected a finite number"),
        ("a nan\n", "line 1: score 'nan'"),
        ("a - bonafide 1\nb - inf spoof\n", "line 2: key 'inf'; expected bonafide or spoof"),
        ("a 1\nb 2\na 3\n", "line 3: utterance a was on line 1 already"),
    ],
)
def test_a_line_at_fault_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(ScoresError, match=message):
        read_scores(tmp_path / "s.txt")


def test_no_file_and_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "gone", tmp_path, tmp_path / "binary"):
        with pytest.raises(ScoresError, match="cannot be read as scores"):
            read_scores(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    for scores in ([1.0, 2.0], [1.0, 2.0, np.nan], [[1.0], [2.0], [3.0]]):
        with pytest.raises(ScoresError, match="expected one finite number each"):
            write_scores(path, TABLE, scores)
    for name in ("a b", "", "\u2003"):
        with pytest.raises(ScoresError, match="without white space"):
            write_scores(path, pd.DataFrame({"utterance_id": [name]}), [1.0], form="2021")
    assert not list(tmp_path.iterdir())
