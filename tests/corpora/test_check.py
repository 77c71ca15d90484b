"""probe corpus check and list: what is missing or different, and where to get it."""

from dataclasses import replace
from pathlib import Path

import corpus_trees as trees
import pytest
from small_extraction import run_cli

from probing.corpora import KNOWN
from probing.corpora.check import check_corpus, unusable
from probing.corpora.published import Counts

FEW: Counts = {
    **{("train", "bonafide", ""): 1, ("train", "spoof", ""): 1, ("dev", "bonafide", ""): 1},
    **{
        ("eval", "bonafide", ""): 1,
        ("eval", "spoof", ""): 1,
        ("eval", "spoof", "A11"): 1,
        ("", "", ""): 5,
    },
}


@pytest.fixture
def la(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A whole ASVspoof 2019 LA, as if it had been published with five utterances."""
    monkeypatch.setitem(KNOWN, "asvspoof2019-la", replace(KNOWN["asvspoof2019-la"], published=FEW))
    return f"asvspoof2019-la:{trees.asvspoof2019_la(tmp_path)}"


def flac(la: str, name: str) -> Path:
    return next(Path(la.partition(":")[2]).rglob(f"{name}.flac"))


def test_published_counts_add_up() -> None:
    for name, known in KNOWN.items():
        for (split, label, attack), n in known.published.items():
            assert n > 0
            parts = [
                m for (s, c, a), m in known.published.items() if (s, c) == (split, label) and a
            ]
            assert attack or not parts or sum(parts) == n, (name, split, label)
    totals = {
        name: sum(n for (s, _, a), n in known.published.items() if s and not a)
        for name, known in KNOWN.items()
    }
    assert totals["asvspoof2019-la"] == 25380 + 24844 + 71237
    assert (totals["asvspoof2021-la"], totals["asvspoof2021-df"]) == (148176, 533928)
    assert totals["asvspoof5"] == 182357 + 140950 + 680774
    assert totals["in-the-wild"] == 31779


def test_a_whole_corpus_is_said_to_be_there(la: str, monkeypatch, capsys) -> None:
    assert run_cli(["corpus", "check", la, "--audio"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "train bonafide: 1, published 1\n" in shown
    assert f"{la}: all is there" in shown


def test_missing_audio_is_counted_and_named(la: str, monkeypatch, capsys) -> None:
    path = flac(la, "LA_E_2834763")
    path.unlink()
    assert run_cli(["corpus", "check", la], monkeypatch) == 1
    shown = capsys.readouterr().out
    assert "eval spoof: 1, published 1, audio missing 1" in shown
    assert f"eval: 1 of 2 audio files are missing, as {path} (LA_E_2834763)" in shown
    assert "1 fault. To get: LA.zip from https://datashare.ed.ac.uk/handle/10283/3336" in shown


def test_audio_that_cannot_be_used_is_named_only_where_asked_for(
    la: str, monkeypatch, capsys
) -> None:
    broken, empty = flac(la, "LA_T_1138215"), flac(la, "LA_D_1047731")
    broken.write_bytes(broken.read_bytes()[:60])
    empty.write_bytes(b"")
    assert run_cli(["corpus", "check", la], monkeypatch) == 0
    assert run_cli(["corpus", "check", la, "--audio", "--workers", "3"], monkeypatch) == 1
    shown = capsys.readouterr().out
    assert f"{broken}: " in shown
    assert f"{empty}: empty: the file has no bytes" in shown
    there = check_corpus(la).there
    assert there is not None
    counted: list[int] = []
    assert len(unusable(there, 1, counted.append)) == 2
    assert sum(counted) == 5


def test_other_counts_and_attacks_than_published_are_told(la: str) -> None:
    root = Path(la.partition(":")[2])
    path = root / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"
    trees.write(path, ["LA_0039 LA_E_2834763 - A20 spoof"])
    assert check_corpus(la).faults == [
        "eval bonafide: 0 utterances, published are 1",
        "eval spoof A11: 0 utterances, published are 1",
        "in all: 4 utterances, published are 5",
        "eval spoof A20: no such attack was published",
    ]
    assert (
        check_corpus(la)
        .counts.set_index(["split", "label"])["utterances"]
        .to_dict()["eval", "bonafide"]
        == 0
    )


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in ("folder",)])
def test_an_empty_root_says_what_to_get_where(
    name: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    assert run_cli(["corpus", "check", f"{name}:{tmp_path}"], monkeypatch) == 1
    shown = capsys.readouterr().out
    assert "1 fault. To get: " in shown
    assert "https://" in shown


def test_a_manifest_is_checked_too_and_bad_input_is_no_difference(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    trees.write(tmp_path / "m.csv", ["path,label", "a.wav,real"])
    assert run_cli(["corpus", "check", str(tmp_path / "m.csv")], monkeypatch) == 1
    assert "Mend the manifest, or say --audio-root." in capsys.readouterr().out
    trees.write_audio(tmp_path / "elsewhere/a.wav")
    arguments = [
        "corpus",
        "check",
        str(tmp_path / "m.csv"),
        "--audio-root",
        str(tmp_path / "elsewhere"),
    ]
    assert run_cli(arguments, monkeypatch) == 0
    assert run_cli(["corpus", "check", "nothing"], monkeypatch) == 2
    assert run_cli(["corpus", "check", f"folder:{tmp_path / 'none'}"], monkeypatch) == 2


def test_the_known_names_are_listed(monkeypatch, capsys) -> None:
    assert run_cli(["corpus", "list"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}:ROOT " in shown for name in KNOWN)
    assert max(map(len, shown.splitlines())) <= 100
