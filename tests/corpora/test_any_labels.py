"""A corpus without labels, or with labels that are not of spoofing, goes all the way a corpus of
spoofing goes.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
from small_extraction import corpus_in, machine, manifest_of, quiet, run_cli, write_clips

from cache import Cache
from cache.dataset import CacheDataset
from probing.extraction import Options, extract, repair

OPTIONS = Options(layers=":2")


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `none.cache`, whose manifest has absolute paths and no labels, and
    `mood.cache`, with 16 labels.
    """
    folder = tmp_path_factory.mktemp("any")
    write_clips(folder / "clips")
    table = pd.read_csv(manifest_of(folder / "clips"))
    (folder / "lists").mkdir()
    own = table.drop(columns=["label", "utterance_id"]).assign(
        path=str(folder) + "/" + table["path"]
    )
    own.to_csv(folder / "lists/none.csv", index=False)
    moods = [f"mood {i % 30}" for i in range(len(table))]
    table.assign(label=moods).to_csv(folder / "mood.csv", index=False)
    for name, manifest in (("none", "lists/none.csv"), ("mood", "mood.csv")):
        extract(folder / f"{name}.cache", str(folder / manifest), OPTIONS, machine(), say=quiet)
    return folder


def test_the_table_of_the_cache_has_the_labels_as_they_are(caches: Path) -> None:
    assert set(Cache(caches / "none.cache").utterances["label"]) == {""}
    assert list(Cache(caches / "mood.cache").utterances["label"])[:2] == ["mood 0", "mood 1"]
    for name in ("none", "mood"):
        targets = [
            item["target"] for item in CacheDataset(Cache(caches / f"{name}.cache"), "pooled")
        ]
        assert all(target != target for target in targets)  # NaN


def test_commands_that_count_utterances_count_these(caches: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(caches)
    assert run_cli(["cache", "info", "none.cache"], monkeypatch) == 0
    assert re.search(r"\ndev: 5\ntrain: 11\n", capsys.readouterr().out)
    assert run_cli(["cache", "verify", "none.cache"], monkeypatch) == 0
    assert run_cli(["corpus", "check", "lists/none.csv"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "train: 11\n" in shown
    assert "there are no labels" in shown
    assert run_cli(["cache", "info", "mood.cache"], monkeypatch) == 0
    assert "\ndev mood 11: 1\n" in capsys.readouterr().out


def test_a_split_of_very_many_labels_has_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    write_clips(tmp_path / "clips")
    table = pd.read_csv(manifest_of(tmp_path / "clips"))
    table = pd.concat(
        [table.assign(utterance_id=table["utterance_id"] + str(i), split="x") for i in range(2)]
    )
    table.assign(label=[f"word {i}" for i in range(len(table))]).to_csv(
        tmp_path / "m.csv", index=False
    )
    assert run_cli(["corpus", "check", str(tmp_path / "m.csv")], monkeypatch) == 0
    assert capsys.readouterr().out.startswith("x (32 labels): 32\n")


def test_repair_finds_a_corpus_of_absolute_paths_again(caches: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again.cache"
    before = extract(
        folder, str(caches / "lists/none.csv"), OPTIONS, machine(), say=quiet
    ).utterances
    (folder / "utterances.parquet").write_bytes(b"x")
    for shard in sorted(folder.glob("shard-*.h5"))[:1]:
        shard.write_bytes(b"x")
    after = repair(folder, machine=machine(), say=quiet)
    pd.testing.assert_frame_equal(
        after.utterances.drop(columns="shard"), before.drop(columns="shard")
    )
    assert after.finished


def test_what_needs_labels_of_spoofing_says_so(caches: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(caches)
    for name in ("none", "mood"):
        assert run_cli(["describe", f"{name}.cache"], monkeypatch) == 2
        assert "other labels than bonafide and spoof, or none" in capsys.readouterr().err


def test_a_corpus_of_spoofing_is_what_it_was(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips")
    corpus = corpus_in(tmp_path / "clips")
    assert set(corpus.utterances["label"]) == {"bonafide", "spoof"}
    assert set(corpus.utterances["attack"]) == {"-", "unknown"}
    assert corpus.notes == ()
