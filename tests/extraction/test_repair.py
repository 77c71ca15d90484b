"""Repair runs again what is missing or bad, and no other utterance, to the cache that was never
harmed.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from random_store import flip
from small_extraction import (
    assert_same,
    corpus_in,
    extracted,
    machine,
    quiet,
    run_cli,
    with_frames,
    write_clips,
)

from cache import Cache, CacheMissing, ProbeError, verify
from cache.writer import CacheWriter
from probing.corpora import Corpus
from probing.extraction import Options, extract, repair

SHARD = "shard-00001.h5"


@pytest.fixture
def harmed(undisturbed: Cache, tmp_path: Path) -> Path:
    """A copy of the sound cache, to be harmed."""
    shutil.copytree(undisturbed.folder, tmp_path / "c")
    return tmp_path / "c"


def position_of(cache: Cache, utterance_id: str, tier: str) -> int:
    """Where the bytes of layer 2 of an utterance start in its shard."""
    row = cache.utterances[cache.utterances["utterance_id"] == utterance_id]
    block = cache.pooled([2], row) if tier == "pooled" else cache.frames([utterance_id], [2])[0]
    return (cache.folder / SHARD).read_bytes().index(block.tobytes())


def in_shard(cache: Cache, index: int = 1) -> list[str]:
    return list(cache.utterances.loc[cache.utterances["shard"] == index, "utterance_id"])


@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_a_flipped_bit_costs_one_utterance(tier: str, harmed: Path, undisturbed: Cache) -> None:
    name = in_shard(undisturbed)[2]
    flip(harmed / SHARD, position_of(undisturbed, name, tier) + 5, 6)
    assert [fault.utterance_ids for fault in verify(harmed)] == [(name,)]
    said = list[str]()
    cache = repair(harmed, machine=machine(), say=said.append)
    assert extracted(cache) == 1
    assert_same(cache, undisturbed)
    assert verify(harmed) == []
    assert any(re.search(r"[1-9][\d.]* kB written", text) for text in said), said  # a whole shard


def harm(folder: Path, how: str) -> None:
    shard = folder / SHARD
    if how == "deleted":
        shard.unlink()
    elif how == "truncated":
        os.truncate(shard, shard.stat().st_size // 2)
    elif how == "header":
        flip(shard, 3)
    else:
        (folder / "utterances.parquet").write_bytes(b"PAR1")


@pytest.mark.parametrize(
    ("how", "n"), [("deleted", 4), ("truncated", 4), ("header", 4), ("table", None)]
)
def test_a_lost_file_costs_what_was_in_it(
    how: str, n: int | None, harmed: Path, undisturbed: Cache
) -> None:
    harm(harmed, how)
    assert verify(harmed)
    cache = repair(harmed, machine=machine(), say=quiet)
    assert_same(cache, undisturbed)
    assert verify(harmed) == []
    sessions = 1 if n is None else 2
    assert len(cache.manifest.history) == sessions
    assert n in (None, extracted(cache))


def test_a_lost_table_and_a_lost_shard_together_cost_the_shard(
    harmed: Path, undisturbed: Cache
) -> None:
    harm(harmed, "deleted")
    harm(harmed, "table")
    cache = repair(harmed, machine=machine(), say=quiet)
    assert extracted(cache) == 4
    assert_same(cache, undisturbed, places=False)
    assert verify(harmed) == []


def test_a_sound_cache_costs_nothing(harmed: Path, undisturbed: Cache) -> None:
    said: list[str] = []
    cache = repair(harmed, machine=machine(), say=said.append)
    assert (
        "To extract: 0 damaged, missing or of changed audio, 0 "
        "never started; to try again: 0 that failed." in said
    )
    assert cache.manifest.history == undisturbed.manifest.history


@pytest.mark.parametrize("lost", [None, "table"])
def test_repair_adds_no_split_that_was_never_asked_for(
    lost, backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    before = extract(
        folder, corpus.only(["dev"]), Options(str(backbone)), machine(shard_size=2), say=quiet
    )
    (folder / "shard-00000.h5").unlink()
    if lost:
        harm(folder, "table")
    cache = repair(folder, machine=machine(shard_size=2), say=quiet)
    assert extracted(cache) == 2
    assert sorted(cache.utterances["utterance_id"]) == sorted(before.utterances["utterance_id"])


def test_repair_with_a_whole_corpus_given_adds_no_split_either(
    backbone, corpus: Corpus, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    before = extract(folder, corpus.only(["dev"]), Options(str(backbone)), machine(), say=quiet)
    before.pooled()  # its shards stay open
    (folder / "shard-00000.h5").unlink()
    cache = repair(folder, corpus, machine(), say=quiet)
    assert_same(cache, before)


def test_repair_finishes_a_cache_that_was_stopped(
    backbone, corpus: Corpus, undisturbed: Cache, tmp_path: Path
) -> None:
    from probing.extraction.extracting import new_manifest

    options, folder = with_frames(backbone), tmp_path / "c"
    manifest = new_manifest(options.load_backbone("cpu"), corpus, options)
    CacheWriter(folder, manifest, corpus.utterances, 4).close()
    cache = repair(folder, machine=machine(), say=quiet)
    assert extracted(cache) == 16
    assert_same(cache, undisturbed)


def test_audio_that_was_lost_meanwhile_becomes_a_failure_and_the_rest_is_mended(
    backbone, tmp_path: Path
) -> None:
    write_clips(tmp_path / "audio")
    folder = tmp_path / "c"
    before = extract(
        folder, corpus_in(tmp_path / "audio"), Options(str(backbone)), machine(), say=quiet
    )
    harm(folder, "truncated")
    row = before.utterances[before.utterances["shard"] == 1].iloc[1]
    (tmp_path / row["path"]).unlink()
    cache = repair(folder, machine=machine(), say=quiet)
    assert list(cache.failures["reason"]) == ["missing: no such file"]
    assert len(cache) == 15
    assert extracted(cache) == 3
    assert verify(folder) == []


def test_repair_says_where_to_look_when_the_audio_moved(backbone: Path, tmp_path: Path) -> None:
    write_clips(tmp_path / "audio")
    folder = tmp_path / "elsewhere" / "c"
    before = extract(
        folder, corpus_in(tmp_path / "audio"), Options(str(backbone)), machine(), say=quiet
    )
    before.pooled()  # its shards stay open
    harm(folder, "deleted")
    (tmp_path / "moved").mkdir()
    for name in ("audio", "audio.csv"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    cache = repair(folder, corpus_in(tmp_path / "moved" / "audio"), machine(), say=quiet)
    assert_same(cache, before)


def test_repair_without_a_cache_says_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(CacheMissing, match="no cache here"):
        repair(tmp_path, say=quiet)


def test_verify_and_repair_end_with_the_exit_codes_they_document(
    harmed, undisturbed, monkeypatch, capsys
) -> None:
    name = in_shard(undisturbed)[0]
    assert run_cli(["cache", "verify", str(harmed)], monkeypatch) == 0
    flip(harmed / SHARD, position_of(undisturbed, name, "pooled"))
    capsys.readouterr()
    assert run_cli(["cache", "verify", str(harmed)], monkeypatch) == 1
    message = "".join(capsys.readouterr())
    assert name in message
    assert f"probe cache repair {harmed}" in message
    assert run_cli(["cache", "repair", str(harmed), "--device", "cpu"], monkeypatch) == 0
    assert run_cli(["cache", "verify", str(harmed)], monkeypatch) == 0


def test_a_cache_that_was_moved_with_its_audio_is_repaired_there(
    backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    audio = before / "audio"
    shutil.copytree(corpus.root, audio)
    moved = replace(corpus, root=audio)
    extract(before / "c", moved, Options(str(backbone)), machine(shard_size=2), say=quiet)
    before.rename(tmp_path / "after")
    (tmp_path / "after" / "c" / "shard-00000.h5").unlink()
    cache = repair(tmp_path / "after" / "c", machine=machine(shard_size=2), say=quiet)
    assert extracted(cache) == 2
    (tmp_path / "after" / "audio").rename(tmp_path / "elsewhere")
    with pytest.raises(ProbeError, match="audio_root=DIR"):
        repair(cache.folder, machine=machine(), say=quiet)
    (tmp_path / "other").mkdir()
    with pytest.raises(ProbeError, match=f"{tmp_path}/other: the audio of .* is not there, as "):
        repair(cache.folder, machine=machine(), audio_root=tmp_path / "other", say=quiet)
    repair(cache.folder, machine=machine(), audio_root=tmp_path / "elsewhere", say=quiet)


def test_the_command_says_that_audio_is_not_there_before_a_model_is_loaded(harmed: Path) -> None:
    before = {path: path.read_bytes() for path in harmed.iterdir()}
    code = (
        "import sys\nfrom analysis.commands.app import main\ntry:\n    main()\n"
        "except SystemExit as error:\n    print(error.code, 'torch' in sys.modules)"
    )
    words = ["cache", "repair", str(harmed), "--audio-root", "gone"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout == "2 False\n"
    assert "gone: the audio of " in done.stderr
    assert "Say where: --audio-root DIR" in done.stderr
    assert before == {path: path.read_bytes() for path in harmed.iterdir()}
