"""Any change of any byte is found, and laid at the door of the utterances it concerns."""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_store import Recipe, flip, names

from cache import Cache, CacheCorrupt, ProbeError, verify

SHARD = "shard-00001.h5"
PLANNED = names(10)
ANY_BYTE = st.floats(0, 1, exclude_max=True)
BIT = st.integers(0, 7)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "c"
    Recipe().write(folder, PLANNED, 4)
    return folder


@pytest.fixture
def sound(written: Path) -> Iterator[Path]:
    """A cache that a test may damage; it is put back afterwards."""
    before = {path: path.read_bytes() for path in written.iterdir()}
    yield written
    for path in {*written.iterdir(), *before}:
        if path in before:
            path.write_bytes(before[path])
        else:
            path.unlink()


def in_shard(folder: Path) -> list[str]:
    table = Cache(folder).utterances
    return list(table.loc[table["shard"] == 1, "utterance_id"])


def found_after_flip(folder: Path, file: str, position: int, bit: int) -> list:
    """What verify finds with one bit changed; the file is put back."""
    flip(folder / file, position, bit)
    try:
        return verify(folder)
    finally:
        flip(folder / file, position, bit)


def test_a_sound_cache_has_no_faults_and_every_byte_is_counted(sound: Path) -> None:
    seen: list[int] = []
    assert verify(sound, seen.append) == []
    assert (
        sum(seen) == sum(path.stat().st_size for path in sound.glob("*.h5")) == Cache(sound).n_bytes
    )


@given(st.data(), st.integers(0, 3), st.sampled_from(["pooled", "frames"]), BIT, ANY_BYTE)
@settings(max_examples=30, deadline=None)
def test_a_flipped_bit_of_a_hidden_state_names_its_utterance_and_no_other(
    written, data, row, tier, bit, at
) -> None:
    name = in_shard(written)[row]
    layer = data.draw(st.sampled_from(Recipe().layers))
    block = Recipe().states(name, tier)[layer].tobytes()
    start = (written / SHARD).read_bytes().index(block)
    faults = found_after_flip(written, SHARD, start + int(at * len(block)), bit)
    assert [(fault.file, fault.utterance_ids, fault.shard) for fault in faults] == [
        (SHARD, (name,), 1)
    ]
    assert f"{tier} layer {layer}" in faults[0].what


@given(
    st.integers(0, 3),
    st.sampled_from(["pooled", "frames"]),
    st.integers(0, 2),
    BIT,
    st.integers(0, 3),
)
@settings(max_examples=10, deadline=None)
def test_a_flipped_bit_of_a_checksum_names_its_utterance_or_the_shard(
    written, row, tier, layer, bit, byte
) -> None:
    with h5py.File(written / SHARD, "r") as file:
        start = file[f"checksums/{tier}"].id.get_offset()
    faults = found_after_flip(written, SHARD, start + 4 * (layer * 4 + row) + byte, bit)
    # all of it, but for one that stands in the padding between two layers
    planned = in_shard(written)
    assert [fault.utterance_ids for fault in faults] in ([tuple(planned)], [(planned[row],)])


@pytest.mark.parametrize(
    "column", ["utterance_id", "n_frames", "n_samples", "offsets", "measures/loudness"]
)
def test_a_flipped_bit_of_a_column_names_the_utterances_of_the_shard(
    sound: Path, column: str
) -> None:
    planned = tuple(in_shard(sound))
    with h5py.File(sound / SHARD, "r") as file:
        start, n_bytes = file[column].id.get_offset(), file[column].nbytes
    for position in (0, n_bytes // 2, n_bytes - 1):
        faults = found_after_flip(sound, SHARD, start + position, 0)
        assert [(fault.file, fault.utterance_ids) for fault in faults] == [(SHARD, planned)]


@given(ANY_BYTE, BIT)
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_anywhere_in_a_shard_is_found(written: Path, at: float, bit: int) -> None:
    position = int(at * (written / SHARD).stat().st_size)
    faults = found_after_flip(written, SHARD, position, bit)
    assert faults
    assert {fault.file for fault in faults} == {SHARD}
    assert {name for fault in faults for name in fault.utterance_ids} <= set(in_shard(written))


@pytest.mark.parametrize("position", range(0, 96, 5))
def test_a_flipped_bit_of_the_hdf5_superblock_is_found(sound: Path, position: int) -> None:
    assert [fault.file for fault in found_after_flip(sound, SHARD, position, 3)] == [SHARD]


@given(ANY_BYTE, BIT)
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_anywhere_in_the_table_is_found_and_names_it(
    written: Path, at: float, bit: int
) -> None:
    position = int(at * (written / "utterances.parquet").stat().st_size)
    assert (
        found_after_flip(written, "utterances.parquet", position, bit)[0].file
        == "utterances.parquet"
    )


@given(ANY_BYTE, BIT)
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(
    written: Path, at: float, bit: int
) -> None:
    path = written / "cache.json"
    position = int(at * path.stat().st_size)
    flip(path, position, bit)
    try:
        for read in (Cache, verify):
            with pytest.raises(CacheCorrupt, match=r"cache\.json"):
                read(written)
    finally:
        flip(path, position, bit)


@pytest.mark.parametrize("size", [0, 1, 100, 2048, -1])
def test_a_truncated_shard_names_its_utterances(sound: Path, size: int) -> None:
    planned = tuple(in_shard(sound))
    os.truncate(sound / SHARD, size if size >= 0 else (sound / SHARD).stat().st_size - 1)
    faults = verify(sound)
    assert [(fault.file, fault.utterance_ids) for fault in faults] == [(SHARD, planned)]
    with pytest.raises(CacheCorrupt, match="expected"):
        Cache(sound).layer(0)


def test_a_missing_shard_names_its_utterances_and_the_others_stay_readable(sound: Path) -> None:
    planned = tuple(in_shard(sound))
    (sound / SHARD).unlink()
    assert [(fault.file, fault.utterance_ids) for fault in verify(sound)] == [(SHARD, planned)]
    cache = Cache(sound)
    x, table = cache.layer(0, where=cache.utterances["shard"] != 1)
    assert len(x) == 6
    np.testing.assert_array_equal(x[0], Recipe().states(table["utterance_id"][0], "pooled")[0])
    with pytest.raises(CacheCorrupt, match="missing"):
        cache.layer(0)


def test_a_shard_of_another_cache_is_refused(sound: Path, store) -> None:
    other = store(recipe=Recipe(salt=1))
    (sound / SHARD).write_bytes((other / SHARD).read_bytes())
    assert "bytes outside the hidden states do not match their checksum" in verify(sound)[0].what
    with pytest.raises(
        CacheCorrupt, match="bytes outside the hidden states do not match their checksum"
    ):
        Cache(sound).layer(0)


def test_a_shard_in_the_place_of_another_is_refused(sound: Path) -> None:
    (sound / SHARD).write_bytes((sound / "shard-00000.h5").read_bytes())
    with pytest.raises(
        CacheCorrupt, match="bytes outside the hidden states do not match their checksum"
    ):
        Cache(sound).layer(0)


def test_a_missing_table_is_found_and_says_how_to_rebuild_it(sound: Path) -> None:
    (sound / "utterances.parquet").unlink()
    assert [fault.file for fault in verify(sound)] == ["utterances.parquet"]
    with pytest.raises(CacheCorrupt, match="probe cache repair"):
        Cache(sound)


def test_two_damaged_utterances_are_two_faults(sound: Path) -> None:
    content = (sound / SHARD).read_bytes()
    first, _, third, _ = in_shard(sound)
    for name in (first, third):
        flip(sound / SHARD, content.index(Recipe().states(name, "pooled")[2].tobytes()))
    assert [fault.utterance_ids for fault in verify(sound)] == [(first,), (third,)]


def test_a_damaged_utterance_does_not_stand_in_the_way_of_the_others(sound: Path) -> None:
    name = in_shard(sound)[0]
    flip(
        sound / SHARD,
        (sound / SHARD).read_bytes().index(Recipe().states(name, "frames")[0].tobytes()),
    )
    other = in_shard(sound)[1]
    np.testing.assert_array_equal(Cache(sound).frames([other])[0], Recipe().states(other, "frames"))


def test_the_faults_are_those_of_every_table_and_shard_damaged_together(sound: Path) -> None:
    (sound / "utterances.parquet").write_bytes(b"PAR1")
    flip(sound / SHARD, 4)
    assert sorted({fault.file for fault in verify(sound)}) == [SHARD, "utterances.parquet"]
    with pytest.raises(ProbeError):
        Cache(sound)


def test_the_first_read_of_an_utterance_checks_its_own_bytes_and_is_the_same_as_the_second(
    sound: Path,
) -> None:
    cache = Cache(sound)
    shard = cache._shard(1)
    damaged, whole = shard.utterance_ids[:2]
    first = cache.frames([whole], [2, 0, 2])[0]
    assert np.array_equal(first, Recipe().states(whole, "frames")[[2, 0, 2]].astype(np.float16))
    assert np.array_equal(cache.frames([whole], [2, 0, 2])[0], first)
    # cast, and so checked where it is mapped
    padded = np.empty((1, 3, first.shape[1], 3), np.float32)
    Cache(sound).frames_into(padded, [whole], [2, 0, 2])
    assert np.array_equal(padded[0], first)
    start = shard._places["frames"][1][0]
    flip(sound / SHARD, start, 3)
    for layers in ([1], [0, 1, 2]):
        with pytest.raises(
            CacheCorrupt, match=f"{damaged}: frames layer 1 does not match its checksum"
        ):
            Cache(sound).frames([damaged], layers)
    unchecked = Cache(sound, check=False).frames([damaged], [1])[0]
    assert not np.array_equal(
        unchecked[0], Recipe().states(damaged, "frames")[1].astype(np.float16)
    )


def test_a_shard_that_was_removed_since_it_was_opened_is_still_read_and_checked(
    sound: Path,
) -> None:
    cache = Cache(sound)
    name = in_shard(sound)[0]
    cache.frames([name], [0])
    (sound / SHARD).unlink()
    assert np.array_equal(
        cache.frames([name])[0], Recipe().states(name, "frames").astype(np.float16)
    )
