"""Every form of alignments gives the same table, and what cannot be is refused or counted."""

import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import ProbeError
from cache.errors import OptionError
from probing.alignments import AlignmentError, Alignments, read_alignments

UTTERANCES = pd.DataFrame(
    {
        "utterance_id": ["one", "two", "s1-SA1", "s2-SA1"],
        "path": ["a/1.wav", "a/2.flac", "s1/SA1.WAV", "s2/SA1.WAV"],
    }
)
ROWS = [("one", 0.0, 0.25, "sh"), ("one", 0.25, 0.5, "iy"), ("two", 0.125, 0.5, "a b")]
CTM = ";; made by hand\none 1 0.00 0.25 sh 0.9\none 1 0.25 0.25 iy\ntwo 1 0.125 0.375 a_b\n"
RTTM = """SPKR-INFO one 1 <NA> <NA> <NA> unknown sh <NA> <NA>
SPEAKER one 1 0.00 0.25 <NA> <NA> sh <NA> <NA>
SPEAKER one 1 0.25 0.25 <NA> <NA> iy <NA> <NA>
SPEAKER two 1 0.125 0.375 <NA> <NA> a_b <NA> <NA>
"""
CSV = (
    'label,utterance_id,start,end,more\niy,one,0.25,0.5,x\nsh,one,0,0.25,\n"a b",two,0.125,0.5,y\n'
)


def rows_of(path: Path, **which: object) -> list[tuple[str, float, float, str]]:
    table = read_alignments(path, **which).table  # type: ignore[arg-type]
    assert list(table.columns) == ["utterance_id", "start", "end", "label"]
    return list(table.itertuples(index=False, name=None))


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ctm", CTM),
        ("a.rttm", RTTM),
        ("a.csv", CSV),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.csv", CSV.encode("utf-16")),
        ("a.csv", b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode()),
        ("a.ctm.gz", gzip.compress(CTM.encode(), mtime=0)),
    ],
)
def test_a_list_of_any_form_gives_the_same_intervals(
    name: str, text: str | bytes, tmp_path: Path
) -> None:
    found = [
        (*row[:3], row[3].replace("_", " ")) for row in rows_of(written(tmp_path / name, text))
    ]
    assert found == ROWS


def test_a_parquet_table_gives_the_same_intervals_and_names_the_row_at_fault(
    tmp_path: Path,
) -> None:
    table = pd.read_csv(io.StringIO(CSV), dtype={"more": str})
    path = tmp_path / "a.parquet"
    table.set_index("utterance_id").to_parquet(path)  # an index that has a name is a column
    assert rows_of(path) == ROWS
    assert read_alignments(path, control_type="more").table["unit_type"].tolist() == ["", "x", "y"]
    table.assign(start=[0.25, None, 0.125]).to_parquet(path)
    with pytest.raises(AlignmentError, match="row 2: nothing is no time"):
        read_alignments(path)
    table.drop(columns="end").to_parquet(path)
    with pytest.raises(AlignmentError, match="no column 'end'"):
        read_alignments(path)


def test_numbers_of_timit_are_samples_and_files_are_matched_by_the_ends_of_their_paths(
    tmp_path: Path,
) -> None:
    for speaker in ("s1", "s2", "s3"):
        written(tmp_path / "TEST" / speaker / "SA1.PHN", f"0 1600 h#\n1600 4000 {speaker}\n")
    written(tmp_path / "TEST/s1/SA1.WRD", "1600 4000 she had\n")
    found = read_alignments(tmp_path, UTTERANCES, form="phn")
    assert list(found.table.itertuples(index=False, name=None)) == [
        ("s1-SA1", 0.0, 0.1, "h#"),
        ("s1-SA1", 0.1, 0.25, "s1"),
        ("s2-SA1", 0.0, 0.1, "h#"),
        ("s2-SA1", 0.1, 0.25, "s2"),
    ]
    assert found.excluded == {"whose names match several utterances, or share one": 2}
    assert any("'TEST/s3/SA1'" in note for note in found.notes)
    assert any("2 of 4 utterances have no alignment" in note for note in found.notes)
    assert rows_of(tmp_path, form="wrd") == [("TEST/s1/SA1", 0.1, 0.25, "she had")]
    with pytest.raises(AlignmentError, match="several forms: phn, wrd"):
        read_alignments(tmp_path)


def test_names_that_match_nothing_are_counted_and_all_of_them_refused(tmp_path: Path) -> None:
    found = read_alignments(written(tmp_path / "a.ctm", CTM), UTTERANCES.iloc[:1])
    assert set(found.table["utterance_id"]) == {"one"}
    assert found.excluded == {"whose names match no utterance": 1}
    with pytest.raises(AlignmentError, match=r"no name of its 2 is an utterance.*'one'.*'s2-SA1'"):
        read_alignments(tmp_path / "a.ctm", UTTERANCES.iloc[3:])


def test_two_names_of_one_utterance_are_not_mixed(tmp_path: Path) -> None:
    text = "a/1 1 0 0.5 x\nb/1 1 0.5 0.5 y\ntwo 1 0 1 z\n"
    found = read_alignments(written(tmp_path / "a.ctm", text), UTTERANCES)
    assert list(found.table["label"]) == ["x", "z"]
    table = pd.DataFrame({"utterance_id": ["one"], "path": ["a/1.wav"]})
    by_id = read_alignments(written(tmp_path / "a.ctm", "a/1 1 0 0.5 x\none 1 0 1 z\n"), table)
    assert list(by_id.table["label"]) == ["z"]


def test_intervals_without_a_label_or_a_length_are_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv", "utterance_id,start,end,label\none,0,1,\none,1,1,x\none,1,2,y\n"
    )
    found = read_alignments(path)
    assert list(found.table["label"]) == ["y"]
    assert found.excluded == {"without a label": 1, "of no length": 1}
    assert "1 intervals of no length were left out" in found.notes


def test_speakers_that_talk_at_once_are_refused_or_their_time_belongs_to_none(
    tmp_path: Path,
) -> None:
    lines = [("one", 0, 4, "A"), ("one", 1, 1, "B"), ("one", 3, 3, "C"), ("two", 0, 9, "A")]
    text = "".join(
        f"SPEAKER {name} 1 {start} {n} <NA> <NA> {label} <NA> <NA>\n"
        for name, start, n, label in lines
    )
    path = written(tmp_path / "a.rttm", text)
    with pytest.raises(
        AlignmentError, match=r"of one overlap: 'A' from 0 to 4 s and 'B' from 1 to 2 s \(2 such\)"
    ):
        read_alignments(path)
    found = read_alignments(path, overlaps="leave-out")
    assert list(found.table.itertuples(index=False, name=None)) == [
        ("one", 0.0, 1.0, "A"),
        ("one", 2.0, 3.0, "A"),
        ("one", 4.0, 6.0, "C"),
        ("two", 0.0, 9.0, "A"),
    ]
    assert found.excluded == {"with time that several share, which belongs to none": 3}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("uvw"), st.integers(0, 30), st.integers(1, 12), st.sampled_from("ab")
        ),
        min_size=1,
    )
)
@settings(max_examples=40, deadline=None)
def test_every_moment_belongs_to_the_interval_that_is_alone_in_it(
    rows: list[tuple[str, int, int, str]],
) -> None:
    columns = ["utterance_id", "start", "end", "label"]
    table = pd.DataFrame(
        [(name, start, start + n, label) for name, start, n, label in rows], columns=columns
    )
    held: dict[tuple[str, int], list[str]] = {}
    for name, start, n, label in rows:
        for second in range(start, start + n):
            held.setdefault((name, second), []).append(label)
    alone = {moment: labels[0] for moment, labels in held.items() if len(labels) == 1}
    found: dict[tuple[str, int], str] = {}
    for row in Alignments.of(table, "leave-out").table.itertuples():
        assert row.start < row.end
        for second in range(round(row.start), round(row.end)):
            assert found.setdefault((row.utterance_id, second), row.label) == row.label
    assert found == alone
    if len(alone) < len(held):
        with pytest.raises(AlignmentError, match="overlap"):
            Alignments.of(table)
    else:
        assert len(Alignments.of(table).table) == len(rows)


def test_sums_of_decimals_do_not_overlap(tmp_path: Path) -> None:
    text = "".join(f"one 1 {i / 100:.2f} 0.01 x\n" for i in range(500))
    assert len(rows_of(written(tmp_path / "a.ctm", text))) == 500


def test_other_types_and_channels_are_counted_and_a_second_channel_must_be_chosen(
    tmp_path: Path,
) -> None:
    assert read_alignments(written(tmp_path / "a.rttm", RTTM)).excluded == {
        "of the type SPKR-INFO": 1
    }
    path = written(tmp_path / "b.ctm", "one A 0 1 x\none B 0 1 y\ntwo A 0 1 z\n")
    with pytest.raises(AlignmentError, match=r"one has the channels A, B.*channel=A"):
        read_alignments(path)
    found = read_alignments(path, channel="B")
    assert list(found.table["label"]) == ["y"]
    assert found.excluded == {"of other channels": 2}
    with pytest.raises(AlignmentError, match="no channel 'C', only A, B"):
        read_alignments(path, channel="C")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.ctm", "one 1 0 0.5\n", r"line 1: found 'one 1 0 0\.5', expected name channel"),
        ("a.ctm", "one 1 0 half x\n", "line 1: 'half' is no time"),
        ("a.ctm", "one 1 0 -1 x\n", "before its start"),
        ("a.ctm", "one 1 nan 1 x\n", "Expected finite seconds"),
        ("a.ctm", "one 1 -3 1 x\n", "before the clip"),
        ("a.ctm", ";; nothing\n", "no labelled interval"),
        ("a.rttm", "SPEAKER one 1 0 1 x\n", "line 1"),
        ("a.phn", "0 0.5 x\n", "whole samples"),
        ("a.csv", "utterance_id,start,end\none,0,1\n", r"label is not"),
        ("a.csv", "utterance_id,start,end,label\none,0,1\n", "line 2"),
        ("a.csv", "utterance_id,start,end,label\none,0,0;5,x\n", "line 2: '0;5' is no time"),
        ("a.csv", "", "empty"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8|UTF-16|text"),
        ("a.ctm", b"one 1 0 1 \xff\n", "not UTF-8"),
        ("a.ctm.gz", b"\x1f\x8b\x08 no gzip", "a.ctm.gz"),
        ("a.lab", "0 1 x\n", r"does not say what it is\. Use form"),
        ("a.TextGrid", "0 1 x\n", "no TextGrid"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_name(
    name: str, text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProbeError, match=message) as found:
        read_alignments(written(tmp_path / name, text))
    assert name in str(found.value)


def test_options_and_paths_that_are_none_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ctm", CTM)
    with pytest.raises(OptionError, match="form=xml"):
        read_alignments(path, form="xml")
    with pytest.raises(OptionError, match="overlaps=keep"):
        read_alignments(path, overlaps="keep")
    with pytest.raises(AlignmentError, match="no such file or folder"):
        read_alignments(tmp_path / "b.ctm")
    with pytest.raises(AlignmentError, match="no alignments"):
        read_alignments(written(tmp_path / "empty/readme.md", "").parent)
    assert rows_of(written(tmp_path / "list.txt", CTM), form="ctm")[0] == ROWS[0]


def test_files_that_are_of_one_utterance_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.phn", "0 1600 x\n")
    written(tmp_path / "a.PHN", "0 1600 x\n")
    with pytest.raises(AlignmentError, match=r"a\.PHN and a\.phn are of one utterance"):
        read_alignments(tmp_path)


def test_a_named_column_of_a_table_is_carried_along(tmp_path: Path) -> None:
    header = "utterance_id,start,end,label,word,more"
    rows = [header, "a,0.0,0.3,p,pa,1", "a,0.2,0.5,ah,pa,2", "b,0,1,s,,3", "b,1,1,s,us,4"]
    path = written(tmp_path / "t.csv", "\n".join(rows) + "\n")
    found = read_alignments(path, overlaps="leave-out", control_type="word")
    assert found.table.round(9).to_numpy().tolist() == [
        ["a", 0.0, 0.2, "p", "pa"],
        ["a", 0.3, 0.5, "ah", "pa"],
        ["b", 0.0, 1.0, "s", ""],
    ]
    assert found.table.columns[-1] == "unit_type"
    plain = read_alignments(path, overlaps="leave-out").table
    pd.testing.assert_frame_equal(plain, found.table.drop(columns="unit_type"))
    with pytest.raises(AlignmentError, match="label, phone, each once"):
        read_alignments(path, control_type="phone")
    with pytest.raises(ProbeError, match=r"control_type=word: .* is CTM, without further columns"):
        read_alignments(written(tmp_path / "a.ctm", CTM), control_type="word")
