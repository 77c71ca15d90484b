"""Parts made by the jobs of an array become the cache of a single job, or are refused with what is
wrong.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_store import Recipe, flip, names

from cache import Cache, CacheCorrupt, FingerprintMismatch, ProbeError, verify
from cache.manifest import load_manifest
from cache.merging import merge
from cache.parts import Part

# all of shard 2
FAILURES = {names(10)[2]: "silent", **dict.fromkeys(sorted(names(10))[4:6], "too short")}


def write_parts(
    folder: Path,
    of: int = 3,
    n: int = 10,
    shard_size: int = 2,
    recipe: Recipe | None = None,
    **how: object,
) -> list[Path]:
    parts = [Part(number, of) for number in range(1, of + 1)]
    for part in parts:
        (recipe or Recipe()).write(folder, names(n), shard_size, part=part, **how)  # type: ignore[arg-type]
    return [part.folder(folder) for part in parts]


def assert_identical(left: Path, right: Path) -> None:
    """Two caches are the same, byte for byte of every shard, record by record, cell by cell."""
    one, other = Cache(left), Cache(right)
    pd.testing.assert_frame_equal(one.utterances, other.utterances)
    pd.testing.assert_frame_equal(one.failures, other.failures)
    assert one.fingerprint == other.fingerprint
    assert one.about == other.about
    assert one.manifest.shards == other.manifest.shards
    assert (left / "failures.csv").read_bytes() == (right / "failures.csv").read_bytes()
    for path in right.glob("*.h5"):
        assert (left / path.name).read_bytes() == path.read_bytes()
    assert verify(left) == []
    assert one.finished


def test_the_parts_together_are_the_cache_of_a_single_job(tmp_path: Path) -> None:
    write_parts(tmp_path / "Größe 語", failures=FAILURES)
    Recipe().write(tmp_path / "single", names(10), 2, failures=FAILURES)
    seen: list[int] = []
    merge(tmp_path / "Größe 語", progress=seen.append)
    assert_identical(tmp_path / "Größe 語", tmp_path / "single")
    assert sum(seen) == Cache(tmp_path / "single").n_bytes


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.randoms())
@settings(max_examples=5, deadline=None)
def test_any_number_of_parts_in_any_order_makes_the_same_cache(
    n: int, shard_size: int, of: int, order
) -> None:
    with tempfile.TemporaryDirectory() as home:
        parts = write_parts(Path(home) / "c", of, n, shard_size)
        Recipe().write(Path(home) / "single", names(n), shard_size)
        order.shuffle(parts)
        merge(Path(home) / "merged", parts)
        assert_identical(Path(home) / "merged", Path(home) / "single")


def test_shards_are_linked_and_the_parts_stay_readable(tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "c")
    merge(tmp_path / "c")
    for part in parts:
        assert verify(part) == []
        for shard in part.glob("*.h5"):
            assert shard.samefile(tmp_path / "c" / shard.name)
    for part in parts:
        shutil.rmtree(part)
    assert verify(tmp_path / "c") == []
    Recipe().write(tmp_path / "c", names(12), 2)  # and it can be extended
    assert len(Cache(tmp_path / "c")) == 12


def no_links(source: object, target: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_without_links_shards_are_copied(tmp_path: Path, monkeypatch) -> None:
    parts = write_parts(tmp_path / "c")
    Recipe().write(tmp_path / "single", names(10), 2)
    monkeypatch.setattr(os, "link", no_links)
    merge(tmp_path / "c")
    assert_identical(tmp_path / "c", tmp_path / "single")
    assert not any(
        shard.samefile(tmp_path / "c" / shard.name) for part in parts for shard in part.glob("*.h5")
    )


def test_a_damaged_shard_is_not_copied(tmp_path: Path, monkeypatch) -> None:
    parts = write_parts(tmp_path / "c")
    shard = parts[1] / "shard-00001.h5"
    flip(
        shard,
        shard.read_bytes().index(Recipe().states(sorted(names(10))[2], "pooled")[1].tobytes()),
    )
    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(
        CacheCorrupt, match=r"shard-00001\.h5: damaged. Mend it: probe cache repair .*part-2-of-3"
    ):
        merge(tmp_path / "c")


def test_a_truncated_shard_is_refused_and_a_mended_part_lets_the_merge_go_on(
    tmp_path: Path,
) -> None:
    parts = write_parts(tmp_path / "c")
    shard = parts[1] / "shard-00004.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(CacheCorrupt, match="expected"):
        merge(tmp_path / "c")
    shard.write_bytes(whole)
    Recipe().write(tmp_path / "single", names(10), 2)
    merge(tmp_path / "c")
    assert_identical(tmp_path / "c", tmp_path / "single")
    merge(tmp_path / "c")  # once more does nothing
    assert_identical(tmp_path / "c", tmp_path / "single")
    sessions = Cache(tmp_path / "c").manifest.history
    assert len(sessions) == len({str(session) for session in sessions})


def test_a_part_that_was_killed_before_it_closed_can_be_merged(tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "c")
    begun = tmp_path / "begun"
    Recipe().write(begun, names(10), 2, part=Part(2, 3), most_shards=0)
    shutil.copy(Part(2, 3).folder(begun) / "utterances.parquet", parts[1] / "utterances.parquet")
    replace(
        load_manifest(parts[1]), table_crc32=load_manifest(Part(2, 3).folder(begun)).table_crc32
    ).save(parts[1])
    Recipe().write(tmp_path / "single", names(10), 2)
    merge(tmp_path / "c")
    assert_identical(tmp_path / "c", tmp_path / "single")


def missing(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 4)
    return [parts[0], parts[2]]


def twice(home: Path) -> list[Path]:
    parts = write_parts(home / "c")
    shutil.copytree(parts[1], home / "again")
    return [*parts, home / "again"]


def unfinished(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 2)
    shutil.rmtree(parts[1])
    Recipe().write(home / "c", names(10), 2, part=Part(2, 2), most_shards=1)
    return parts


def other_model(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 2)
    Recipe(salt=7).write(home / "d", names(10), 2, part=Part(2, 2))
    return [parts[0], Part(2, 2).folder(home / "d")]


def other_corpus(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 2)
    Recipe().write(home / "d", names(11), 2, part=Part(2, 2))
    return [parts[0], Part(2, 2).folder(home / "d")]


def other_shards(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 2)
    Recipe().write(home / "d", names(10), 3, part=Part(2, 2))
    return [parts[0], Part(2, 2).folder(home / "d")]


def other_number_of_parts(home: Path) -> list[Path]:
    parts = write_parts(home / "c", 2)
    Recipe().write(home / "d", names(10), 2, part=Part(2, 3))
    return [parts[0], Part(2, 3).folder(home / "d")]


def no_part(home: Path) -> list[Path]:
    Recipe().write(home / "whole", names(10), 2)
    return [*write_parts(home / "c"), home / "whole"]


def nothing(home: Path) -> list[Path]:
    return []


def into_another_cache(home: Path) -> list[Path]:
    Recipe().write(home / "merged", names(4), 2)
    return write_parts(home / "c")


REFUSED: dict[str, tuple[Callable[[Path], list[Path]], str]] = {
    "a part is missing": (
        missing,
        r"2 of 4 parts are missing: 2/4, 4/4\. Extract them: probe extract .*--part 2/4",
    ),
    "a part is there twice": (twice, r"part-2-of-3 and .*again: both are part 2/3"),
    "a part is unfinished": (
        unfinished,
        r"part 2/2 is unfinished, 2 of 4 utterances to go\. Run its command again",
    ),
    "another model": (other_model, r"(?s)made in different ways.*salt: 0 and 7"),
    "another corpus": (
        other_corpus,
        r"not parts of one cache: 1/2 of .*10 utterances.*2/2 of .*11 utterances",
    ),
    "other shards": (other_shards, "same corpus, split and shard_size"),
    "another number of parts": (other_number_of_parts, "not parts of one cache"),
    "a whole cache": (no_part, "whole: is a cache, but no part of one"),
    "no parts": (nothing, "no parts beside it.*--part 1/8"),
    "another cache in the place": (
        into_another_cache,
        "merged: holds other utterances than these parts",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_merged_is_refused_before_anything_is_written(
    kind: str, tmp_path: Path
) -> None:
    make, message = REFUSED[kind]
    parts = make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ProbeError, match=message) as caught:
        merge(tmp_path / "merged", parts)
    assert isinstance(caught.value, FingerprintMismatch) == (kind == "another model")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_part_with_a_damaged_table_is_rebuilt_by_the_command_that_made_it(tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "c")
    (parts[0] / "utterances.parquet").write_bytes(b"nothing")
    Recipe().write(tmp_path / "c", names(10), 2, part=Part(1, 3))
    Recipe().write(tmp_path / "single", names(10), 2)
    merge(tmp_path / "c")
    assert_identical(tmp_path / "c", tmp_path / "single")


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1", "1/0", "/", "a/b", "-1/3", "1/3/3", "1 / 3", "", "٣/٨"]
)
def test_a_part_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ProbeError, match=r"part=.*expected"):
        Part.parse(text)
