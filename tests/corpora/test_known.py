"""The corpora known by name, in the layouts they are published in, and the rows that are wrong in
them.
"""

import os
from collections.abc import Callable
from pathlib import Path

import corpus_trees as trees
import pandas as pd
import pytest

from cache import ProbeError
from probing.corpora import KNOWN, load_corpus

PARTS = [f"ASVspoof2021_DF_eval_part0{i}" for i in range(2)]
TREES: dict[str, Callable[[Path], Path]] = {
    "asvspoof2019-la": trees.asvspoof2019_la,
    "asvspoof2021-la": lambda folder: trees.asvspoof2021(folder, "LA", trees.LA_2021),
    "asvspoof2021-df": lambda folder: trees.asvspoof2021(folder, "DF", trees.DF_2021, PARTS),
    "asvspoof5": trees.asvspoof5,
    "partialspoof": trees.partialspoof,
    "in-the-wild": trees.in_the_wild,
    "spoofceleb": trees.spoofceleb,
    "for-norm": trees.fake_or_real,
    "for": trees.fake_or_real,
    "folder": trees.fake_or_real,
}


def table(spec: str, **options) -> pd.DataFrame:
    return load_corpus(spec, **options).utterances.set_index("utterance_id")


def refusal(spec: str) -> str:
    with pytest.raises(ProbeError) as error:
        load_corpus(spec)
    return str(error.value)


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().replace(old.encode(), new.encode())
    path.write_bytes(text)


def test_every_known_corpus_is_tested() -> None:
    assert list(TREES) == list(KNOWN)


@pytest.mark.parametrize("name", TREES)
def test_a_corpus_is_all_text_and_reads_again_from_its_own_spec(
    name: str, tmp_path: Path, monkeypatch
) -> None:
    root = TREES[name](tmp_path)
    monkeypatch.chdir(root.parent)
    corpus = load_corpus(f"{name}:{root.name}")
    assert corpus.spec == f"{name}:{root}"
    assert set(corpus.utterances["label"]) == {"bonafide", "spoof"}
    assert corpus.utterances.map(lambda value: type(value) is str).all(axis=None)
    pd.testing.assert_frame_equal(load_corpus(corpus.spec).utterances, corpus.utterances)


@pytest.mark.parametrize("name", TREES)
def test_the_order_of_folders_on_disk_changes_nothing(
    name: str, tmp_path: Path, monkeypatch
) -> None:
    root = TREES[name](tmp_path)
    before = load_corpus(f"{name}:{root}").utterances
    walk, listdir, glob = os.walk, os.listdir, Path.glob
    monkeypatch.setattr(os, "listdir", lambda folder: listdir(folder)[::-1])
    monkeypatch.setattr(Path, "glob", lambda self, pattern: reversed(list(glob(self, pattern))))

    def backwards(*arguments, **options):
        for folder, folders, files in walk(*arguments, **options):
            folders.reverse()
            yield folder, folders, files[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    pd.testing.assert_frame_equal(load_corpus(f"{name}:{root}").utterances, before)


def test_asvspoof_2021_la_has_its_conditions(tmp_path: Path) -> None:
    read = table(f"asvspoof2021-la:{trees.asvspoof2021(tmp_path, 'LA', trees.LA_2021)}")
    assert read.loc["LA_E_9332881"].to_dict() == {
        "path": "ASVspoof2021_LA_eval/flac/LA_E_9332881.flac",
        "split": "eval",
        "label": "spoof",
        "speaker": "LA_0009",
        "attack": "A07",
        "codec": "alaw",
        "transmission": "ita_tx",
        "trim": "notrim",
        "condition": "C2",
    }
    assert list(read["condition"]) == ["C2", "C1", "C7"]
    assert list(read["split"]) == ["eval", "progress", "hidden"]
    assert read.loc["LA_E_6866159", "attack"] == "-"
    assert list(table(f"asvspoof2021-la:{tmp_path}", splits=["eval"]).index) == ["LA_E_9332881"]


@pytest.mark.parametrize("parts", [[""], PARTS, ["", PARTS[1]]])
def test_asvspoof_2021_df_is_found_in_one_folder_or_in_its_parts(
    parts: list[str], tmp_path: Path
) -> None:
    read = table(f"asvspoof2021-df:{trees.asvspoof2021(tmp_path, 'DF', trees.DF_2021, parts)}")
    row = read.loc["DF_E_2000013"].to_dict()
    folder = parts[1 % len(parts)]
    assert row.pop("path") == f"{folder}/ASVspoof2021_DF_eval/flac/DF_E_2000013.flac".lstrip("/")
    assert row == {
        "split": "eval",
        "label": "spoof",
        "speaker": "TEF2",
        "attack": "Task1-team20",
        "codec": "low_m4a",
        "source": "vcc2020",
        "trim": "notrim",
        "vocoder": "neural_vocoder",
        "task": "Task1",
        "team": "team20",
        "gender_pair": "FF",
        "language": "E",
    }
    assert read.loc["DF_E_2000024", ["attack", "language"]].to_list() == ["-", "-"]


def test_asvspoof_2021_without_keys_says_which_archive(tmp_path: Path) -> None:
    assert "unpack LA-keys-full.tar.gz there" in refusal(f"asvspoof2021-la:{tmp_path}")
    trees.asvspoof2021(tmp_path / "DF-keys-full", "DF", trees.DF_2021)
    assert len(load_corpus(f"asvspoof2021-df:{tmp_path}")) == 3


def test_asvspoof_5_has_ten_columns_or_six(tmp_path: Path) -> None:
    read = table(f"asvspoof5:{trees.asvspoof5(tmp_path / 'new')}")
    assert read.loc["E_0009538969"].to_dict() == {
        "path": "flac_E_eval/E_0009538969.flac",
        "split": "eval",
        "label": "spoof",
        "speaker": "E_1607",
        "attack": "A26",
        "gender": "M",
        "codec": "C05",
        "codec_q": "2",
        "codec_seed": "E_0009486171",
        "attack_tag": "AC1",
    }
    older = table(f"asvspoof5:{trees.asvspoof5_older(tmp_path / 'old')}")
    assert list(older.columns) == ["path", "split", "label", "speaker", "attack", "gender"]
    assert list(older["attack"]) == ["A05", "-", "A05", "-"]
    assert set(older["split"]) == {"train", "dev"}


def test_asvspoof_5_with_folders_of_their_own_for_protocols_and_audio(tmp_path: Path) -> None:
    root = trees.asvspoof5(tmp_path)
    for folder, names in {"ASVspoof5_protocols": "*.tsv", "ASVspoof5_dev": "flac_D"}.items():
        (root / folder).mkdir()
        for path in list(root.glob(names)):
            path.rename(root / folder / path.name)
    assert (
        table(f"asvspoof5:{root}").loc["D_0000000001", "path"]
        == "ASVspoof5_dev/flac_D/D_0000000001.flac"
    )


def test_in_the_wild_is_read_whole_as_eval(tmp_path: Path) -> None:
    trees.in_the_wild(tmp_path)
    read = table(f"in-the-wild:{tmp_path}")
    assert list(read["label"]) == ["spoof", "bonafide"]
    assert list(read["speaker"]) == ["Alec Guinness", "Märtha, é"]
    assert set(read["split"]) == {"eval"}


def test_spoofceleb_tells_real_speech_by_a00(tmp_path: Path) -> None:
    trees.spoofceleb(tmp_path)
    read = table(f"spoofceleb:{tmp_path}")
    row = read.loc["flac/development/a02/id11171/x1-00007-001"]
    assert row.to_list() == [
        *("flac/development/a02/id11171/x1-00007-001.flac", "dev", "spoof", "id11171", "a02")
    ]
    assert list(read["attack"]) == ["-", "a01", "-", "a02", "-", "a03"]


def test_fake_or_real_names_its_splits_as_the_others_do(tmp_path: Path) -> None:
    read = table(f"for-norm:{trees.fake_or_real(tmp_path)}")
    assert dict(read.groupby("split").size()) == {"train": 3, "dev": 3, "eval": 3}
    assert read.loc["testing/real/file1"].to_list() == [
        "testing/real/file1.wav",
        "eval",
        "bonafide",
        "",
        "-",
    ]
    (tmp_path / "for-norm/testing/real/file1.wav").unlink()
    (tmp_path / "for-norm/testing/real").rmdir()
    assert "testing/real: no such folder" in refusal(f"for:{tmp_path / 'for-norm'}")


def test_a_folder_tree_says_split_label_and_attack(tmp_path: Path) -> None:
    names = [
        "real/ä b.wav",
        "Fake/hifigan/x.wav",
        "Fake/x.flac",
        "Fake/x.wav",
        "notes/y.wav",
        "real/.z.wav",
        ".t/real/q.wav",
    ]
    trees.write_audio(*(tmp_path / name for name in names))
    trees.write(tmp_path / "real/readme.txt", ["no audio"])
    (tmp_path / "real/again").symlink_to(tmp_path, target_is_directory=True)
    read = table(f"folder:{tmp_path}")
    assert read[["label", "split", "attack"]].T.to_dict("list") == {
        "Fake/hifigan/x": ["spoof", "all", "hifigan"],
        "Fake/x.flac": ["spoof", "all", "unknown"],
        "Fake/x.wav": ["spoof", "all", "unknown"],
        "real/ä_b": ["bonafide", "all", "-"],
    }
    assert list(table(f"folder:{tmp_path / 'notes'}")["label"]) == [""]
    (tmp_path / "bare").mkdir()
    assert "no audio below real/ or fake/" in refusal(f"folder:{tmp_path / 'bare'}")
    assert "nowhere: no such folder" in refusal(f"folder:{tmp_path / 'nowhere'}")


def test_a_file_name_that_is_not_text_is_named(tmp_path: Path) -> None:
    trees.write_audio(tmp_path / "real/a.wav")
    try:
        os.rename(tmp_path / "real/a.wav", os.fsencode(tmp_path) + b"/real/\xff.wav")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    assert r"the name b'real/\xff.wav' is not UTF-8" in refusal(f"folder:{tmp_path}")


KEY = "keys/LA/CM/trial_metadata.txt"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            " notrim eval",
            " notrim",
            "trial_metadata.txt, row 1: 7 columns, expected 'speaker utterance_id codec",
        ),
        (" spoof ", " perhaps ", "row 1: unknown label .* 'perhaps'"),
        ("LA_E_6866159", "LA_E_9332881", "row 2: duplicate utterance_id 'LA_E_9332881'"),
        ("LA_E_6866159", "../../../x", "row 2: path outside the corpus's root folder"),
        ("LA_E_6866159", "LA_E_\x1b[2J", "row 2: white space or control character in utterance_id"),
        ("LA_E_6866159", "LA_E\x85", "row 2: white space or control"),
        ("LA_E_6866159", "LA_E_ä", "LA_E_ä.flac"),
    ],
)
def test_a_bad_row_of_a_protocol_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    root = trees.asvspoof2021(tmp_path, "LA", trees.LA_2021)
    replace_in(root / KEY, old, new)
    with pytest.raises(ProbeError, match=message):
        load_corpus(f"asvspoof2021-la:{root}")


def test_a_protocol_that_is_empty_or_no_text_is_named(tmp_path: Path) -> None:
    root = trees.asvspoof2021(tmp_path, "LA", trees.LA_2021)
    (root / KEY).write_bytes(b" \n\n")
    assert "trial_metadata.txt: no rows" in refusal(f"asvspoof2021-la:{root}")
    (root / KEY).write_bytes(b"\xff\xfe\x00")
    assert "trial_metadata.txt: cannot be read" in refusal(f"asvspoof2021-la:{root}")


def test_windows_lines_tabs_and_a_mark_of_byte_order_are_read(tmp_path: Path) -> None:
    root = trees.asvspoof2021(tmp_path, "LA", trees.LA_2021)
    before = load_corpus(f"asvspoof2021-la:{root}").utterances
    text = (root / KEY).read_text().replace(" ", "\t").replace("\n", "\r\n")
    (root / KEY).write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    pd.testing.assert_frame_equal(load_corpus(f"asvspoof2021-la:{root}").utterances, before)


def test_an_utterance_in_two_splits_is_named(tmp_path: Path) -> None:
    root = trees.asvspoof5(tmp_path)
    replace_in(root / "ASVspoof5.dev.track_1.tsv", "D_0000000001", "T_0000000000")
    assert "utterance T_0000000000 is in two splits" in refusal(f"asvspoof5:{root}")


def test_a_list_without_a_column_or_a_field_is_named(tmp_path: Path) -> None:
    root = trees.spoofceleb(tmp_path)
    replace_in(root / "metadata/train.csv", ",a01", ",")
    assert "train.csv, row 2: empty attack" in refusal(f"spoofceleb:{root}")
    replace_in(root / "metadata/train.csv", ",attack", ",system")
    assert "train.csv: no column 'attack'" in refusal(f"spoofceleb:{root}")
    (root / "metadata/train.csv").unlink()
    assert "train.csv: no such file" in refusal(f"spoofceleb:{root}")
