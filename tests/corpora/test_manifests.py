"""Manifests as people save them: nothing is lost, nothing is another speaker, attack or split by
how it was written.
"""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import run_cli

from cache import ProbeError
from cache.errors import as_flag
from probing.corpora import load_corpus
from probing.corpora.corpus import RESERVED
from probing.corpora.manifest import read_manifest
from probing.corpora.paths import places_of
from probing.speakers import known_speakers

CLEAN = pd.DataFrame(
    {
        "utterance_id": ["u1", "007", "1e5", "NA"],
        "path": ["a.wav", "b.wav", "c.wav", "d.wav"],
        "split": ["train", "dev", "eval", "eval"],
        "label": ["bonafide", "spoof", "spoof", "spoof"],
        "speaker": ["s1", "007", "1e5", "NA"],
        "attack": ["-", "A07", "A07", "nan"],
        "codec": ["opus, 16k", "", "None", "a b"],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in CLEAN["path"]:
        (tmp_path / path).write_bytes(b"x")
    return tmp_path


def spoiled(table: pd.DataFrame) -> pd.DataFrame:
    blanks = [(" ", ""), ("\u3000", "\xa0"), ("\ufeff", "\u2003"), ("", "\x85 ")]
    dirty = table.apply(
        lambda column: [f"{a}{text}{b}" for text, (a, b) in zip(column, blanks, strict=True)]
    )
    return dirty.set_axis([f" {name}\u00a0" for name in table.columns], axis=1)


@pytest.mark.parametrize(
    "name", ["m.csv", "m.tsv", "m.parquet", "m.csv.gz", "m.tsv.gz", "utf-16.csv", "crlf.csv"]
)
def test_white_space_at_either_end_is_no_part_of_any_text(folder: Path, name: str) -> None:
    dirty, path = spoiled(CLEAN), folder / name
    if name.endswith("parquet"):
        dirty.to_parquet(path)
    else:
        text = dirty.to_csv(index=False, sep="\t" if ".tsv" in name else ",")
        text = text.replace("\n", "\r\n") if name == "crlf.csv" else text
        content = text.encode("utf-16" if name == "utf-16.csv" else "utf-8")
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    read = load_corpus(str(path)).utterances
    pd.testing.assert_frame_equal(read[CLEAN.columns], CLEAN, check_dtype=False)


def test_a_named_index_of_parquet_is_a_column_and_whole_numbers_stay_whole(folder: Path) -> None:
    table = CLEAN.set_index("utterance_id").assign(
        speaker=pd.array([7, 8, None, 9], dtype="Int64"), bytes=[b"x"] * 4
    )
    table.to_parquet(folder / "m.parquet")
    read = load_corpus(str(folder / "m.parquet")).utterances
    assert list(read["utterance_id"]) == list(CLEAN["utterance_id"])
    assert list(read["speaker"]) == ["7", "8", "", "9"]
    assert list(read["bytes"]) == ["x"] * 4
    table.reset_index(drop=True).set_axis([5, 6, 7, 8]).to_parquet(folder / "nameless.parquet")
    assert list(read_manifest(folder / "nameless.parquet").utterances["utterance_id"]) == [
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path;label\na.wav;real\n", "separated by semicolons: save it with commas"),
        ("path\tlabel\na.wav\treal\n", "separated by tabs"),
        ("path,label\na.wav,real,x\n", "line 2: 3 fields; expected 2 as in the header"),
        ("path,label,codec\na.wav,real,x\n\nb.wav,fake\n", "line 4: 2 fields; expected 3"),
        ("path,label, label\na.wav,real,fake\n", "two columns are called 'label'"),
        ("", "is empty"),
        ("path,label\nä.wav,real\n", "Save it as UTF-8"),
        ("audio,wav\na.wav,b.wav\n", "no column 'path'. Expected path; found audio,wav"),
    ],
)
def test_a_table_that_cannot_be_read_whole_is_refused(
    folder: Path, text: str, message: str
) -> None:
    (folder / "m.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(ProbeError, match=message):
        load_corpus(str(folder / "m.csv"))


def test_separators_at_the_end_of_lines_and_a_nameless_first_column_take_nothing_away(
    folder: Path,
) -> None:
    (folder / "m.csv").write_text(",path,label\n0,a.wav,real,\n1,b.wav,fake,\n,,,\n")
    (folder / "m.tsv").write_text("path\tlabel\t\na.wav\treal\t\nb.wav\tfake\t\n")
    for name in ("m.csv", "m.tsv"):
        read = load_corpus(str(folder / name)).utterances
        assert list(read["path"]) == ["a.wav", "b.wav"]
        assert list(read["label"]) == ["bonafide", "spoof"]


@pytest.mark.parametrize("column", RESERVED)
def test_a_column_that_our_tables_add_is_refused(folder: Path, column: str) -> None:
    CLEAN.rename(columns={"codec": column}).to_csv(folder / "m.csv", index=False)
    with pytest.raises(
        ProbeError, match=f"column '{column}' is used by the cache itself.*as own_{column}"
    ):
        load_corpus(str(folder / "m.csv"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["Training", "VALID", "test", "TEST"], ["train", "dev", "eval", "eval"]),
        (["train", "validation", "Evaluation", "evaluation"], ["train", "dev", "eval", "eval"]),
        (["train", "val", "testing", "mine"], ["train", "dev", "eval", "mine"]),
        # two sets are not mixed
        (["train", "Dev", "test", "eval"], ["train", "dev", "test", "eval"]),
        (["train", "val", "validation", "test"], ["train", "val", "validation", "eval"]),
    ],
)
def test_splits_are_called_as_in_folders(
    folder: Path, given: list[str], expected: list[str]
) -> None:
    CLEAN.assign(split=given).to_csv(folder / "m.csv", index=False)
    corpus = load_corpus(str(folder / "m.csv"))
    assert list(corpus.utterances["split"]) == expected
    assert len(corpus.notes) == len({"test", "val"} & set(expected))
    if "eval" in expected and "test" not in expected:
        assert len(corpus.only(["TEST"])) == expected.count("eval")


def test_absolute_paths_are_found_below_the_root_whatever_links_lead_there(tmp_path: Path) -> None:
    disk, home, other = tmp_path / "disk", tmp_path / "home", tmp_path / "other"
    disk.mkdir()
    home.symlink_to(disk)
    other.symlink_to(home)
    for name in ("a.wav", "b.wav"):
        (disk / name).write_bytes(b"x")
    (tmp_path / "outside.wav").write_bytes(b"x")
    for place in (disk, home, other):
        for root in (disk, home, other):
            (tmp_path / "m.csv").write_text(
                f"path,label\n{place}/a.wav,real\n{place}/../disk/b.wav,fake\n"
            )
            assert list(
                load_corpus(str(tmp_path / "m.csv"), audio_root=root).utterances["path"]
            ) == ["a.wav", "b.wav"]
        (tmp_path / "m.csv").write_text(
            f"path,label\n{place}/a.wav,real\n{tmp_path}/outside.wav,fake\n"
        )
        with pytest.raises(ProbeError, match="row 2: path outside the corpus's root folder"):
            load_corpus(str(tmp_path / "m.csv"), audio_root=home)


def test_absolute_paths_lead_anywhere_and_ids_do_not_say_where(tmp_path: Path) -> None:
    text = "path,label\n{0}/clips/a.wav,real\n{0}/clips/b.wav,fake\n"
    for place in ("disk", "mnt/disk2"):
        for name in ("clips/a.wav", "clips/b.wav", "own/c.wav"):
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_bytes(b"x")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/near.wav").write_bytes(b"x")
    path = tmp_path / "lists/m.csv"
    path.write_text(text.format(tmp_path / "disk"))
    corpus = load_corpus(str(path))
    assert (corpus.root, list(corpus.utterances["path"])) == (
        tmp_path / "disk/clips",
        ["a.wav", "b.wav"],
    )
    path.write_text(text.format(tmp_path / "mnt/disk2"))
    pd.testing.assert_frame_equal(load_corpus(str(path)).utterances, corpus.utterances)
    with pytest.raises(
        ProbeError,
        match=f"Name the folder that holds the audio: audio_root={tmp_path}/mnt/disk2/clips",
    ):
        load_corpus(str(path), audio_root=tmp_path / "disk")

    path.write_text(
        f"path\nnear.wav\n{tmp_path}/disk/clips/a.wav\n{tmp_path}/mnt/disk2/own/c.wav\n"
    )
    corpus = load_corpus(str(path))
    assert corpus.root == tmp_path
    assert list(corpus.utterances["path"]) == [
        "lists/near.wav",
        "disk/clips/a.wav",
        "mnt/disk2/own/c.wav",
    ]
    assert list(corpus.utterances["utterance_id"]) == ["near", "disk/clips/a", "mnt/disk2/own/c"]
    path.write_text(f"path\n../near.wav\n{tmp_path}/disk/clips/a.wav\n")
    with pytest.raises(
        ProbeError, match=r"row 1: path outside the corpus's root folder '\.\./near\.wav'"
    ):
        load_corpus(str(path))


def test_absolute_paths_that_only_the_root_has_in_common() -> None:
    places = places_of(
        pd.Series(["/data1/x/a.wav", "/mnt/y/b.wav", "/c.wav"]), Path("/home/me/m.csv")
    )
    assert (places.root, list(places.paths)) == (
        Path("/"),
        ["data1/x/a.wav", "mnt/y/b.wav", "c.wav"],
    )
    assert list(places.ids) == ["data1/x/a", "mnt/y/b", "c"]


@pytest.mark.parametrize(
    ("column", "expected", "note"),
    [
        (None, ["", "", "", ""], "there are no labels; a sweep needs --target COLUMN"),
        (["", "", "", ""], ["", "", "", ""], "there are no labels"),
        (
            ["happy", "Angry ", "", "42"],
            ["happy", "Angry", "", "42"],
            r"\(42, Angry, happy\); a sweep needs --target",
        ),
        (["human", "FAKE", "real", "spoof"], ["bonafide", "spoof", "bonafide", "spoof"], None),
    ],
)
def test_labels_are_of_spoofing_or_any_text_or_none(
    folder: Path, column: list[str] | None, expected: list[str], note: str | None
) -> None:
    table = CLEAN.drop(columns=["label"])
    (table if column is None else table.assign(label=column)).to_csv(folder / "m.csv", index=False)
    corpus = load_corpus(str(folder / "m.csv"))
    assert list(corpus.utterances["label"]) == expected
    attacks = ["-", "A07", "-", "nan"] if note is None else list(CLEAN["attack"])
    assert list(corpus.utterances["attack"]) == attacks
    assert len(corpus.notes) == (note is not None)
    assert note is None or re.search(note, corpus.notes[0])


def test_some_labels_of_spoofing_among_others_are_a_mistake(folder: Path) -> None:
    for column in (["human", "dog", "cat", "dog"], ["bonafide", "spoof", "", "spoof"]):
        CLEAN.assign(label=column).to_csv(folder / "m.csv", index=False)
        with pytest.raises(
            ProbeError, match=r"row [23]: unknown label .*for other labels call the column class"
        ):
            load_corpus(str(folder / "m.csv"))
        CLEAN.drop(columns="label").assign(**{"class": column}).to_csv(
            folder / "m.csv", index=False
        )
        assert list(load_corpus(str(folder / "m.csv")).utterances["class"]) == column


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.json", "m.json.gz"])
def test_json_lines_are_a_manifest(folder: Path, name: str) -> None:
    rows = CLEAN.rename(columns={"path": "audio_filepath"}).to_dict("records")
    lines = [
        json.dumps({f" {key}": f"{value}\u3000" for key, value in row.items()}) for row in rows
    ]
    content = ("\n\n".join(lines) + "\n").encode("utf-8-sig")
    (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    corpus = load_corpus(str(folder / name))
    pd.testing.assert_frame_equal(corpus.utterances[CLEAN.columns], CLEAN, check_dtype=False)
    assert corpus.name == f"{folder.name}/m"


def test_values_of_json_lines_become_text(folder: Path) -> None:
    (folder / "m.jsonl").write_text(
        '{"wav": "a.wav", "duration": 1.50, "split": "Train", "n": 7, "words": ["é", {"a": 1}]}\n'
        '{"wav": "b.wav", "split": "validation", "n": null, "ok": true, "x": NaN, "offset": 0.0}\n'
    )
    read = load_corpus(str(folder / "m.jsonl")).utterances.set_index("path").T.to_dict()
    known = {"label": "", "speaker": "", "attack": ""}
    words = {"words": '["é", {"a": 1}]', "ok": "", "x": "", "offset": ""}
    assert read["a.wav"] == {
        "utterance_id": "a",
        "split": "train",
        "duration": "1.5",
        "n": "7",
        **words,
        **known,
    }
    others = {"duration": "", "n": "", "words": "", "ok": "True", "x": "", "offset": "0.0"}
    assert read["b.wav"] == {"utterance_id": "b", "split": "dev", **others, **known}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": "a.wav"}\n\n{"path": \n', "m.jsonl, line 3: no JSON object"),
        ('[{"path": "a.wav"}]\n', r"line 1: no JSON object \(found .*Expected one object a line"),
        (
            '{"path": "a.wav", " path": "b.wav"}\n',
            "line 1: no JSON object .two keys are called 'path'",
        ),
        ('{"path": "a.wav", "x": "\\ud800"}\n', "line 1: no JSON object .*surrogates not allowed"),
        ("[" * 100_000 + "\n", "line 1: no JSON object"),
        ('{"path": ' + "9" * 5000 + "}\n", "line 1: no JSON object"),
        ('{"file": "a.wav"}\n', "no column 'path'. Expected path; found file"),
        ('{"path": "a.wav"}\n{"speaker": "b"}\n', "row 2: empty path"),
        ("\n \n", "is empty"),
        (
            '{"audio_filepath": "a.wav", "offset": 0}\n{"audio_filepath": "a.wav", "offset": '
            "2.5}\n",
            "row 2: offset '2.5'",
        ),
    ],
)
def test_json_lines_that_cannot_be_read_whole_are_refused(
    folder: Path, text: str, message: str
) -> None:
    (folder / "m.jsonl").write_text(text)
    with pytest.raises(ProbeError, match=message):
        load_corpus(str(folder / "m.jsonl"))


def test_what_check_accepts_extract_accepts(folder: Path, monkeypatch, capsys) -> None:
    for label, name in (("real", "a.wav"), ("fake", "b.wav")):
        (folder / "tree" / label).mkdir(parents=True)
        (folder / "tree" / label / name).write_bytes(b"x")
    CLEAN.to_csv(folder / "m.csv", index=False)
    (folder / "z.tsv.gz").write_bytes(gzip.compress(CLEAN.to_csv(index=False, sep="\t").encode()))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    for spec in (
        "m.csv",
        "~/m.csv",
        "./z.tsv.gz",
        "tree",
        "~/tree",
        "folder:~/tree",
        str(folder / "tree"),
        "demo",
    ):
        assert run_cli(["corpus", "check", spec], monkeypatch) == 0, capsys.readouterr()
        assert len(load_corpus(spec)) > 1
    for spec in ("none.csv", "nothing", "asvspoof2019-la", "~/none"):
        assert run_cli(["corpus", "check", spec], monkeypatch) == 2
        with pytest.raises(ProbeError) as refused:
            load_corpus(spec)
        refused.value.spell = as_flag
        assert str(refused.value) in capsys.readouterr().err


def test_nobody_is_called_unknown() -> None:
    nobody = [
        "",
        "-",
        "?",
        "NA",
        "n/a",
        "nan",
        "None",
        "NULL",
        "Unknown",
        " unknown ",
        None,
        np.nan,
        pd.NA,
    ]
    assert not known_speakers(nobody).any()
    assert known_speakers(["007", "1e5", "LA_0069", 7, "Nan Li"]).all()
    assert known_speakers(pd.Series([], dtype=object)).shape == (0,)
