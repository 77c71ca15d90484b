"""Corpora: manifests and ASVspoof 2019 LA, with the rows that are wrong named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from cache import ProbeError
from probing.corpora import load_corpus


def refusal(spec: str | Path, **options) -> str:
    with pytest.raises(ProbeError) as error:
        load_corpus(str(spec), **options)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "ä b.wav", "deep/c.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.full(800, 0.1), 16000)
    return tmp_path


def manifest(folder: Path, text: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


ROWS = "path,label\na.wav,bonafide\nä b.wav,spoof\ndeep/c.flac,fake\n"


def test_the_demo_corpus_needs_nothing() -> None:
    corpus = load_corpus("demo")
    counts = corpus.utterances.groupby(["split", "label"]).size()
    assert len(corpus) == 1175
    assert set(counts.index) == {
        (split, label) for split in ("train", "dev", "eval") for label in ("bonafide", "spoof")
    }
    assert corpus.spec == "demo"


def test_a_manifest_with_path_and_label_is_enough(folder: Path) -> None:
    table = load_corpus(str(manifest(folder, ROWS.replace("ä b", "deep/../ä b")))).utterances
    assert list(table.columns) == ["utterance_id", "path", "split", "label", "speaker", "attack"]
    assert list(table["label"]) == ["bonafide", "spoof", "spoof"]
    assert list(table["attack"]) == ["-", "unknown", "unknown"]
    assert list(table["path"]) == ["a.wav", "ä b.wav", "deep/c.flac"]
    assert list(table["utterance_id"]) == ["a", "ä_b", "deep/c"]
    assert set(table["split"]) == {"all"}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_all_forms_of_a_manifest_read_alike(folder: Path, suffix: str) -> None:
    table = pd.DataFrame(
        {
            "path": ["a.wav", "deep/c.flac"],
            "label": ["Human", "FAKE"],
            "codec": ["opus", ""],
            "speaker": ["1", "NA"],
        }
    )
    path = folder / f"m.{suffix}"
    if suffix == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    read = load_corpus(str(path)).utterances
    assert list(read["label"]) == ["bonafide", "spoof"]
    assert list(read["speaker"]) == ["1", "NA"]
    assert list(read["codec"]) == ["opus", ""]


def test_a_relative_manifest_and_audio_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lists").mkdir()
    path = manifest(folder / "lists", "path,label\na.wav,real\ndeep/c.flac,fake\n")
    assert "2 of 2 audio files are not below" in refusal(path)
    monkeypatch.chdir(folder)
    corpus = load_corpus("lists/mine.csv", audio_root=Path("."))
    assert corpus.root == folder.resolve()
    assert Path(corpus.spec).is_absolute()


def test_absolute_paths_below_the_root_are_taken(folder: Path) -> None:
    path = manifest(folder, f"path,label\n{folder / 'a.wav'},real\ndeep/c.flac,fake\n")
    assert list(load_corpus(str(path)).utterances["path"]) == ["a.wav", "deep/c.flac"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.wav,bonafide\ndeep/c.flac,maybe\n", "row 2: unknown label .* 'maybe'"),
        ("path,label\na.wav,bonafide\na.wav,spoof\n", "row 2: duplicate utterance_id 'a'"),
        (
            "path,label\na.wav,bonafide\n../x.wav,spoof\n",
            r"row 2: path outside the corpus's root folder '../x.wav' \(1 such rows\). Write it",
        ),
        ("path,label\n/no/where.wav,spoof\n", r"not below /no:\n  row 1 \(where\): where.wav"),
        ("path,label\ndeep/../../x.wav,spoof\n", "row 1: path outside"),
        ("path,label\n,spoof\n", "row 1: empty path '' .*Name a file, or drop the row"),
        ("path,label\n.,spoof\n", "row 1: path outside"),
        ("path,label,utterance_id\na.wav,real,\n", "row 1: empty utterance_id"),
        (
            "path,label,utterance_id\na.wav,real,u 1\n",
            "row 1: white space or control character in utterance_id 'u 1'",
        ),
        ("path,label\nno.wav,spoof\n", r"row 1 \(no\): no.wav"),
        ("file,label\na.wav,spoof\n", "no column 'path'. Expected path; found file,label"),
        ("path,label\n", "no rows"),
        ("path,label,row\na.wav,real,1\n", "column 'row' is used by the cache itself"),
        ('path,label\n"a.wav,real\n', "cannot be read as .csv"),
    ],
)
def test_a_bad_row_is_named(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        load_corpus(str(manifest(folder, text)))


def test_an_unknown_corpus_and_a_missing_manifest_say_what_was_expected(tmp_path: Path) -> None:
    assert "Expected demo, asvspoof2019-la:ROOT" in refusal("asvspoof2019")
    assert "no such manifest" in refusal(tmp_path / "none.csv")


@pytest.fixture
def la(tmp_path: Path) -> Path:
    """ASVspoof 2019 LA as it is unpacked, with five utterances."""
    root = tmp_path / "LA"
    lines = {
        "train.trn": ["LA_0079 LA_T_1138215 - - bonafide", "LA_0079 LA_T_1271820 - A01 spoof"],
        "dev.trl": ["LA_0069 LA_D_1047731 - - bonafide"],
        "eval.trl": ["LA_0039 LA_E_2834763 - A11 spoof", "LA_0014 LA_E_8877452 - - bonafide"],
    }
    (root / "ASVspoof2019_LA_cm_protocols").mkdir(parents=True)
    for ending, rows in lines.items():
        text = "\n".join(rows) + "\n"
        (root / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{ending}.txt").write_text(text)
        flac = root / f"ASVspoof2019_LA_{ending.split('.')[0]}" / "flac"
        flac.mkdir(parents=True)
        for row in rows:
            soundfile.write(flac / f"{row.split()[1]}.flac", np.full(800, 0.1), 16000)
    return root


@pytest.mark.parametrize("above", [False, True])
def test_asvspoof_2019_la_is_read_from_its_protocols(la: Path, above: bool) -> None:
    corpus = load_corpus(f"asvspoof2019-la:{la.parent if above else la}")
    table = corpus.utterances.set_index("utterance_id")
    assert dict(table.groupby("split").size()) == {"dev": 1, "eval": 2, "train": 2}
    assert table.loc["LA_E_2834763"].to_dict() == {
        "path": "ASVspoof2019_LA_eval/flac/LA_E_2834763.flac",
        "split": "eval",
        "label": "spoof",
        "speaker": "LA_0039",
        "attack": "A11",
    }
    assert table.loc["LA_T_1138215", "attack"] == "-"


def test_asvspoof_2019_la_without_some_audio_can_be_read_by_split(la: Path) -> None:
    (la / "ASVspoof2019_LA_eval/flac/LA_E_2834763.flac").unlink()
    message = refusal(f"asvspoof2019-la:{la}")
    assert "1 of 5 audio files" in message
    assert "LA_E_2834763" in message
    assert len(load_corpus(f"asvspoof2019-la:{la}", splits=["train", "dev"])) == 3
    assert "no such split, only dev, eval, train" in refusal(
        f"asvspoof2019-la:{la}", splits=["progress"]
    )


def test_asvspoof_2019_la_with_a_bad_line_or_no_protocol_says_so(la: Path) -> None:
    path = la / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt"
    path.write_text("LA_0069 LA_D_1047731 - bonafide\n")
    assert "dev.trl.txt, row 1: 4 columns" in refusal(f"asvspoof2019-la:{la}")
    path.unlink()
    assert "unpack LA.zip there" in refusal(f"asvspoof2019-la:{la}")


def test_a_null_character_in_a_path_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["a\0b.wav"], "label": ["real"]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(ProbeError, match="row 1: null character in path"):
        load_corpus(str(tmp_path / "m.parquet"))


def test_the_usual_names_of_splits_are_taken_for_one_another(la: Path) -> None:
    assert set(load_corpus(f"asvspoof2019-la:{la}", splits=["Test"]).utterances["split"]) == {
        "eval"
    }
