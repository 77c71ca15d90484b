"""Score files of every form: written, read, and refused with the line that is at fault."""

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics.published import SCORES, needs_scores

from probing.metrics.eer import ScoresError, eer
from probing.scores.files import read_scores, write_scores
from probing.scores.names import FORMS, Form

TABLE = pd.DataFrame(
    {
        "utterance_id": ["a", "b/é", "c"],
        "attack": ["-", "A 07", ""],
        "label": ["bonafide", "spoof", "spoof"],
    }
)


def test_all_forms_are_the_official_ones(tmp_path: Path) -> None:
    scores = [1.5, -0.1, 1 / 3]
    write_scores(tmp_path / "2019", TABLE, scores)
    write_scores(tmp_path / "2021", TABLE[["utterance_id"]], scores, form="2021")
    write_scores(tmp_path / "5", TABLE[["utterance_id"]], scores, form="5")
    official = "a - bonafide 1.5\nb/é A_07 spoof -0.1\nc - spoof 0.333333333\n"
    assert (tmp_path / "2019").read_text(encoding="utf-8") == official
    assert (tmp_path / "2021").read_text(encoding="utf-8") == "a 1.5\nb/é -0.1\nc 0.333333333\n"
    official = "filename\tcm-score\na\t1.5\nb/é\t-0.1\nc\t0.333333333\n"
    assert (tmp_path / "5").read_text(encoding="utf-8") == official
    known = read_scores(tmp_path / "2019")
    assert list(known.columns) == ["utterance_id", "attack", "label", "score"]
    assert list(known["attack"]) == ["-", "A_07", "-"]
    assert list(known["label"]) == list(TABLE["label"])
    for form in ("2021", "5"):
        secret = read_scores(tmp_path / form)
        assert list(secret.columns) == ["utterance_id", "score"]
        assert list(secret["utterance_id"]) == list(TABLE["utterance_id"])
        assert list(secret["score"]) == list(known["score"]) == [1.5, -0.1, 0.333333333]


NAMES = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda name: name.split() == [name] and name[0] != "\ufeff"
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            -0.0,
            5e-324,
            -5e-324,
            2.2250738585072014e-308,
            1.7976931348623157e308,
            -1.7976931348623157e308,
        ]
    ),
)
ROWS = st.tuples(NAMES, NAMES, st.sampled_from(["bonafide", "spoof"]), FLOATS)


@pytest.mark.parametrize("form", FORMS)
@given(
    suffix=st.sampled_from([".txt", ".tsv", ".txt.gz"]),
    rows=st.lists(ROWS, min_size=1, max_size=8, unique_by=lambda row: row[0]),
)
@settings(max_examples=40)
def test_what_is_written_is_read(
    form: Form,
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str, float]],
) -> None:
    path = tmp_path_factory.mktemp("scores") / f"s{suffix}"
    table = pd.DataFrame(rows, columns=["utterance_id", "attack", "label", "score"])
    write_scores(path, table, table["score"], form)
    found = read_scores(path)
    assert found["utterance_id"].tolist() == table["utterance_id"].tolist()
    written = [float(f"{score:.9g}") for score in table["score"]]
    assert [score.hex() for score in found["score"]] == [score.hex() for score in written]
    assert all(
        math.isclose(*pair, rel_tol=5e-9, abs_tol=1e-323)
        for pair in zip(written, table["score"], strict=True)
    )
    if form == "2019":
        assert (
            found[["attack", "label"]].to_numpy().tolist()
            == table[["attack", "label"]].to_numpy().tolist()
        )


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20)
)
def test_float32_scores_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float]
) -> None:
    path = tmp_path_factory.mktemp("scores") / "s.txt"
    write_scores(
        path,
        pd.DataFrame({"utterance_id": [f"u{i}" for i in range(len(scores))]}),
        scores,
        form="2021",
    )
    assert np.array_equal(read_scores(path)["score"].astype(np.float32), np.float32(scores))


@pytest.mark.parametrize(
    "text",
    [
        "a 1\nb 2\n",
        "filename\tcm-score\na\t1\nb\t2",
        "\ufeffa 1\r\n\r\nb 2\r\n",
        "a - Bonafide 1\nb A01 fake 2\n",
    ],
)
def test_what_others_write_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text, encoding="utf-8", newline="")
    table = read_scores(tmp_path / "s.txt")
    assert list(table["utterance_id"]) == ["a", "b"]
    assert list(table["score"]) == [1.0, 2.0]
    assert (
        table["label"].tolist() == ["bonafide", "spoof"] if " - " in text else "label" not in table
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("2019.txt", "u1 A07 spoof -1.5\nu2 - bonafide 2e-1\n"),
        ("2021.txt", "u1 -1.5\nu2 2e-1\n"),
        ("asvspoof5.tsv", "filename\tcm-score\nu1\t-1.5\nu2\t0.2\n"),
        ("own.csv", "score,extra,utterance_id\n-1.5,x,u1\n0.2,y,u2\n"),
        ("own.tsv", "score\textra\tutterance_id\n-1.5\tx z\tu1\n0.2\t\tu2\n"),
        ("bom.csv", "\ufefffile,score\nu1,-1.5\nu2,0.2\n"),
        ("beside.csv", 'utterance_id,file,cm-score,score\nu1,"a, b",9,-1.5\nu2,c,9,0.2\n'),
        ("none.csv", "u1,-1.5\n\nu2,0.2"),
    ],
)
def test_every_form_of_scores_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    table = read_scores(tmp_path / name)
    assert table["utterance_id"].tolist() == ["u1", "u2"]
    assert table["score"].tolist() == [-1.5, 0.2]
    assert table["score"].dtype == np.float64
    assert table.index.tolist() == [0, 1]
    if name == "2019.txt":
        assert table["label"].tolist() == ["spoof", "bonafide"]
    if name.startswith("own"):
        assert "extra" in table
    pd.testing.assert_frame_equal(read_scores(tmp_path / f"{name}.gz"), table)


@pytest.mark.parametrize(
    "text",
    [
        "u1 -1.5 spoof\nu2 0.2 bonafide\n",
        "u1 spoof -1.5\nu2 bonafide 2e-1\n",
        "spoof\tu1\t-1.5\nbonafide\tu2\t0.2\n",
        "-1.5 u1 spoof\n0.2 u2 bonafide\n",
        "LA_0015 u1 -1.5 spoof\nLA_0007 u2 0.2 bonafide\n",
    ],
)
def test_labels_beside_scores_are_read_in_any_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.txt").write_text(text)
    (tmp_path / "s.csv").write_text(text.replace("\t", ",").replace(" ", ","))
    for name in ("s.txt", "s.csv"):
        table = read_scores(tmp_path / name)
        assert table["utterance_id"].tolist() == ["u1", "u2"]
        assert table["score"].tolist() == [-1.5, 0.2]
        assert table["label"].tolist() == ["spoof", "bonafide"]


def test_utterances_called_by_numbers_are_told_from_scores(tmp_path: Path) -> None:
    (tmp_path / "wild.txt").write_text("0 1.0 bonafide\n1 -2.5 spoof\n2 3 spoof\n")
    table = read_scores(tmp_path / "wild.txt")
    assert table["utterance_id"].tolist() == ["0", "1", "2"]
    assert table["score"].tolist() == [1.0, -2.5, 3.0]


def test_infinite_scores_are_the_lowest_and_the_highest(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("a -inf spoof\nb 0 bonafide\nc Infinity bonafide\n")
    table = read_scores(tmp_path / "s.txt")
    assert table["score"].tolist() == [-np.inf, 0.0, np.inf]
    assert eer(table["label"] == "bonafide", table["score"]) == 0.0


@pytest.mark.parametrize(
    "text", ["u1\t1\t\nu2\t2\t\n", "u1 1\t\nu2 2\t\n", "filename\tcm-score\t\nu1\t1\t\nu2\t2\n"]
)
def test_a_tab_at_the_end_of_a_line_is_no_column(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.tsv").write_text(text)
    (tmp_path / "16.tsv").write_text(text, encoding="utf-16")
    for name in ("s.tsv", "16.tsv"):
        table = read_scores(tmp_path / name)
        assert list(table.columns) == ["utterance_id", "score"]
        assert table["utterance_id"].tolist() == ["u1", "u2"]


@needs_scores
def test_published_scores_are_read() -> None:
    table = read_scores(SCORES / "rawgat_mul.eval.txt.gz")
    assert table["label"].value_counts().to_dict() == {"spoof": 63882, "bonafide": 7355}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "no scores. Expected `utterance_id score` or `utterance_id "
            "attack label score` or `utterance_id score l",
        ),
        ("filename cm-score\n", "no scores"),
        ("a 1\n\nb\n", "line 3: 1 fields; expected 2 as in the first"),
        ("a 1\nb - spoof 2\n", "line 2: 4 fields; expected 2 as in the first"),
        ("filename\tcm-score\na\t1\nb 2\n", "line 3: 1 fields; expected 2 as in the first"),
        (
            "a x y z 1\n",
            "line 1: 5 fields; expected `utterance_id score` or `utterance_id attack label score`",
        ),
        ("u1 A1 - spoof -1.5\n", "line 1: 5 fields; expected"),
        ("a 1\nb x\n", "line 2: score 'x'; expected a finite number"),
        ("a 1\nb x\nc y\n", r"line 2: score 'x'; expected a finite number \(2 such lines\)"),
        ("a nan\n", "line 1: score 'nan'; expected a finite number"),
        ("filename\tcm-score\n\na\t1\nb\t-nan\n", "line 4: score '-nan'; expected a finite number"),
        ("1 2 bonafide\n3 4 spoof\n", "the order of its 3 columns cannot be told"),
        ("a 1 bonafide\nb x spoof\n", "line 2: score 'x'; expected a finite number"),
        ("a bonafide 1\nb genuin 2\n", "line 2: label 'genuin'; expected bonafide or spoof"),
        ("a 1e999\n", "line 1: score '1e999'; expected a finite number"),
        ("a 1_0\n", "line 1: score '1_0'; expected a finite number"),
        ("filename\tcm-score\na\t\n", "line 2: score ''; expected a finite number"),
        ("filename\tcm-score\n\t1\n", "line 2: utterance_id ''; expected a name"),
        ("u1 A07 genuin 1\n", "line 1: label 'genuin'; expected bonafide or spoof"),
        ("a - bonafide 1\nb - inf spoof\n", "line 2: label 'inf'; expected bonafide or spoof"),
        ("a 1\nb 2\na 3\n", "line 3: utterance_id 'a'; it was on line 1 already"),
        ("filename score score\na 1 2\n", "line 1: column 'score' is there twice"),
    ],
)
def test_a_line_at_fault_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(ScoresError, match=message):
        read_scores(tmp_path / "s.txt")


def test_no_file_and_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "plain.gz").write_text("a 1\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"a 1\n" * 99)[:-9])
    (tmp_path / "quote.csv").write_text('a,"1\n')
    with pytest.raises(ScoresError, match="No such file"):
        read_scores(tmp_path / "gone")
    for name in ("gone", ".", "binary", "plain.gz", "cut.gz", "quote.csv"):
        path = tmp_path / name
        with pytest.raises(ScoresError, match="cannot be read as scores"):
            read_scores(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    for scores in ([1.0, 2.0], [1.0, 2.0, np.nan], [[1.0], [2.0], [3.0]]):
        with pytest.raises(ScoresError, match="expected one finite number each"):
            write_scores(path, TABLE, scores)
    with pytest.raises(ScoresError, match="label 'unknown'; expected bonafide or spoof"):
        write_scores(path, TABLE.assign(label="unknown"), [1.0, 2.0, 3.0])
    with pytest.raises(ScoresError, match="no Unicode text"):
        write_scores(
            path, TABLE.assign(attack=pd.Series(["\ud800"] * 3, dtype=object)), [1.0, 2.0, 3.0]
        )
    for form in FORMS:
        with pytest.raises(ScoresError, match=r"no csv\. Name it \.txt"):
            write_scores(tmp_path / "s.csv", TABLE, [1.0, 2.0, 3.0], form)
    for name in ("a b", "", "\u2003", "\ufeffa"):
        with pytest.raises(ScoresError, match="without white space"):
            write_scores(path, pd.DataFrame({"utterance_id": [name]}), [1.0], form="2021")
    assert not list(tmp_path.iterdir())
