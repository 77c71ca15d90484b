"""Two writers, strangers, other fingerprints, and a writer that is killed."""

import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from random_store import Recipe, kill, names, slow_writer

from cache import Cache, CacheBusy, CacheCorrupt, FingerprintMismatch, ProbeError, verify
from cache.manifest import load_manifest
from cache.writer import CacheWriter


def same_content(left: Path, right: Path) -> bool:
    """Whether two stores hold the same, byte for byte."""
    one, other = Cache(left), Cache(right)
    pd.testing.assert_frame_equal(one.utterances, other.utterances)
    return all(
        (left / record.file).read_bytes() == (right / record.file).read_bytes()
        for record in one.manifest.shards
    )


def test_a_second_writer_is_told_that_another_process_has_the_cache(tmp_path: Path) -> None:
    process = slow_writer(tmp_path / "c", 4000, 100)
    try:
        with pytest.raises(CacheBusy, match="another process is writing"):
            Recipe().write(tmp_path / "c", names(4000), 100)
        assert not Cache(tmp_path / "c").finished
    finally:
        kill(process)
    with CacheWriter(
        tmp_path / "c", Recipe().manifest(), Recipe().corpus(names(4000)), 100
    ) as writer:
        assert list(writer.pending())


def test_a_writer_killed_at_random_moments_resumes_to_the_same_store(tmp_path: Path) -> None:
    moments = random.Random(0)
    folder, undisturbed = tmp_path / "c", tmp_path / "undisturbed"
    Recipe().write(undisturbed, names(60), 8)
    found = []
    for _ in range(4):
        process = slow_writer(folder, 60, 8)
        time.sleep(moments.uniform(0, 0.15))
        kill(process)
        cache = Cache(folder)
        assert verify(folder) == []
        assert cache.n_planned == 60
        found.append(len(cache))
    assert found == sorted(found)
    assert found[0] < 60
    Recipe().write(folder, names(60), 8)
    assert Cache(folder).finished
    assert same_content(folder, undisturbed)
    assert not list(folder.glob("*.partial"))


def test_a_kill_between_the_first_table_and_the_manifest_leaves_a_folder_that_can_be_used(
    store, tmp_path
) -> None:
    folder = store(6, most_shards=0)
    for name in ("cache.json", "failures.csv"):
        (folder / name).unlink()
    Recipe().write(folder, names(6))
    assert Cache(folder).finished


@pytest.mark.parametrize("killed_after", ["announcement", "table"])
def test_a_kill_while_the_table_is_replaced_is_no_damage(store, killed_after: str) -> None:
    folder = store(6, most_shards=1)
    old_table, old_manifest = (folder / "utterances.parquet").read_bytes(), load_manifest(folder)
    Recipe().write(folder, names(9), most_shards=0)
    new = load_manifest(folder)
    replace(old_manifest, next_table_crc32=new.table_crc32).save(folder)
    if killed_after == "announcement":
        (folder / "utterances.parquet").write_bytes(old_table)
    assert verify(folder) == []
    assert len(Cache(folder)) == 4
    # without those that are there: the table must be known as it stands
    Recipe().write(folder, names(9)[6:])
    assert set(Cache(folder).utterances["utterance_id"]) == set(names(9))


def writer_at_the_end(folder: Path) -> CacheWriter:
    """A writer that finished its two shards and was not closed, so that the table does not know
    them.
    """
    writer = CacheWriter(folder, Recipe().manifest(), Recipe().corpus(names(8)), 4)
    for index, rows in writer.pending():
        Recipe().write_shard(writer, index, list(rows["utterance_id"]), {})
    return writer


@pytest.mark.parametrize("harm", ["deleted", "truncated", "replaced by a longer one"])
def test_damage_to_a_shard_that_the_table_does_not_know_is_mended_by_writing_again(
    harm, tmp_path
) -> None:
    folder = tmp_path / "c"
    writer_at_the_end(folder).lock.release()  # as if killed here
    shard = folder / "shard-00001.h5"
    if harm == "deleted":
        shard.unlink()
    else:
        content = shard.read_bytes()
        shard.write_bytes(content[:-1] if harm == "truncated" else content + b"x")
    with pytest.raises(CacheCorrupt, match="probe cache verify"):
        Cache(folder)
    Recipe().write(folder, names(8))
    Recipe().write(tmp_path / "undisturbed", names(8))
    assert same_content(folder, tmp_path / "undisturbed")
    assert verify(folder) == []


def test_a_writer_whose_shard_was_lost_meanwhile_can_be_closed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    writer = writer_at_the_end(folder)
    (folder / "shard-00001.h5").unlink()
    writer.close()
    assert len(Cache(folder)) == 4
    Recipe().write(folder, names(8))
    assert len(Cache(folder)) == 8


@pytest.mark.parametrize(
    "stranger", ["thesis.docx", "thesis.partial", "shard-00000.h5", "utterances.parquet"]
)
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(
    stranger: str, tmp_path: Path
) -> None:
    (tmp_path / stranger).write_bytes(b"mine")
    with pytest.raises(ProbeError, match=f"holds {stranger} and is no cache"):
        Recipe().write(tmp_path, names(3))
    assert (tmp_path / stranger).read_bytes() == b"mine"


def test_the_partial_files_of_others_in_a_cache_are_left_alone(store) -> None:
    folder = store(3)
    (folder / "download.partial").write_bytes(b"mine")
    (folder / "shard-00009.h5.partial").write_bytes(b"ours")
    Recipe().write(folder, names(3))
    assert (folder / "download.partial").exists()
    assert not (folder / "shard-00009.h5.partial").exists()


def test_another_fingerprint_is_refused_with_both_values(store) -> None:
    folder = store(3)
    with pytest.raises(FingerprintMismatch, match=r"salt: cache 0, this command 5") as caught:
        Recipe(salt=5).write(folder, names(3))
    assert "weights" not in str(caught.value)
    assert "probe cache info" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_an_utterance_whose_label_changed_is_named(store) -> None:
    folder = store(6)
    corpus = Recipe().corpus(names(6))
    corpus.loc[2, "label"] = "bonafide" if corpus["label"][2] == "spoof" else "spoof"
    with pytest.raises(ProbeError, match=f"utterance {names(6)[2]}: label is") as caught:
        CacheWriter(folder, Recipe().manifest(), corpus)
    assert "1 such rows" in str(caught.value)


def test_an_unfinished_cache_can_be_read_and_says_that_it_is_unfinished(store) -> None:
    cache = Cache(store(10, most_shards=1))
    assert (len(cache), cache.n_planned, cache.finished) == (4, 10, False)
    np.testing.assert_array_equal(
        cache.layer(2)[0][0], Recipe().states(cache.utterances["utterance_id"][0], "pooled")[2]
    )


def test_a_reader_sees_what_was_finished_when_it_opened_a_growing_cache(tmp_path: Path) -> None:
    recipe, folder = Recipe(), tmp_path / "c"
    with CacheWriter(folder, recipe.manifest(), recipe.corpus(names(10)), 4) as writer:
        shards = list(writer.pending())
        opened = []
        for index, rows in shards:
            recipe.write_shard(writer, index, list(rows["utterance_id"]), {})
            opened.append(Cache(folder))
    assert [len(cache) for cache in opened] == [4, 8, 10]
    assert [len(cache.layer(0)[0]) for cache in opened] == [4, 8, 10]


def test_a_damaged_table_is_rebuilt_from_the_shards_and_the_corpus(store) -> None:
    folder = store(10, failures={names(10)[3]: "silent"})
    before = Cache(folder)
    (folder / "utterances.parquet").write_bytes(b"PAR1 no longer")
    Recipe().write(folder, reversed(names(10)))
    after = Cache(folder)
    pd.testing.assert_frame_equal(after.utterances, before.utterances)
    pd.testing.assert_frame_equal(after.failures, before.failures)
    assert after.manifest.shards == before.manifest.shards
    assert verify(folder) == []


def test_a_damaged_table_is_not_rebuilt_from_a_corpus_that_lacks_utterances(store) -> None:
    folder = store(10)
    (folder / "utterances.parquet").unlink()
    with pytest.raises(CacheCorrupt, match="lacks 4 utterances"):
        Recipe().write(folder, sorted(names(10))[4:])
    Recipe().write(folder, names(10))
    assert verify(folder) == []


def test_a_failure_is_listed_with_path_and_reason(store) -> None:
    folder = store(5, failures={names(5)[1]: 'not decodable: "x", y', names(5)[4]: "silent"})
    listed = pd.read_csv(folder / "failures.csv", keep_default_na=False)
    expected = sorted([names(5)[1], names(5)[4]])
    assert list(listed.columns) == ["utterance_id", "path", "reason"]
    assert list(listed["utterance_id"]) == expected
    assert list(listed["path"]) == [f"{name}.wav" for name in expected]
    assert set(listed["reason"]) == {'not decodable: "x", y', "silent"}


def test_a_shard_without_a_usable_utterance_has_no_file(store) -> None:
    folder = store(8, failures=dict.fromkeys(sorted(names(8))[:4], "silent"))
    assert [path.name for path in sorted(folder.glob("*.h5"))] == ["shard-00001.h5"]
    assert Cache(folder).finished
    assert verify(folder) == []


def test_a_block_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    recipe = Recipe()
    with CacheWriter(tmp_path / "c", recipe.manifest(), recipe.corpus(["a"]), 4) as writer:
        shard = writer.start_shard(0, ["a"], [640], [2], {"loudness": np.zeros(1)})
        with pytest.raises(ValueError, match="frames block of 3, expected 2"):
            shard.write(0, "frames", 0, np.zeros((3, 3)), 1)
        shard.abort()
    assert not list((tmp_path / "c").glob("shard*"))


def test_a_shard_with_a_block_that_was_never_written_is_not_finished(tmp_path: Path) -> None:
    recipe = Recipe()
    with CacheWriter(tmp_path / "c", recipe.manifest(), recipe.corpus(["a"]), 4) as writer:
        shard = writer.start_shard(0, ["a"], [640], [2], {"loudness": np.zeros(1)})
        shard.write(0, "frames", 0, np.zeros((2, 3)), 1)
        with pytest.raises(ValueError, match="were never written"):
            writer.finish_shard(0, shard, {})
    assert not list((tmp_path / "c").glob("shard*"))
    assert not Cache(tmp_path / "c").finished


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ProbeError, match="cannot be written to"):
        Recipe().write(tmp_path / "file" / "c", names(3))
