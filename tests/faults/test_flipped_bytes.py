"""A byte that is flipped or missing anywhere in a cache is found by verify, and no reader returns
what it changed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faults.damage import (
    FAILED,
    FILES,
    PLANNED,
    Content,
    changed,
    cut,
    everything,
    what_went_wrong,
    write_small,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_store import Recipe, flip

from cache import Cache, CacheCorrupt

EXAMPLES = 120
Sound = tuple[Path, Content]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("flips") / "c"
    write_small(folder)
    return folder, everything(folder)


@pytest.fixture
def sound(written: Sound) -> Iterator[Path]:
    """A cache that a test may damage; it is put back afterwards."""
    before = {path: path.read_bytes() for path in written[0].iterdir()}
    yield written[0]
    for path, content in before.items():
        path.write_bytes(content)


PLACE = st.floats(0, 1, exclude_max=True)


@example("shard-00000.h5", 857.5 / 15208, 2)  # at this one HDF5 2.0.0 ends the process
@given(st.sampled_from(FILES), PLACE, st.integers(1, 255))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_a_changed_byte_is_found_by_verify_and_never_read(
    written: Sound, file: str, at: float, mask: int
) -> None:
    folder, right = written
    position = int(at * (folder / file).stat().st_size)
    with changed(folder / file, position, mask):
        assert what_went_wrong(folder, file, right) is None


@given(st.sampled_from(FILES), PLACE, st.integers(1, 3))
@settings(max_examples=EXAMPLES // 3, deadline=None, derandomize=True)
def test_missing_bytes_are_found_by_verify_and_never_read_over(
    written: Sound, file: str, at: float, n: int
) -> None:
    folder, right = written
    with cut(folder / file, int(at * (folder / file).stat().st_size), n):
        assert what_went_wrong(folder, file, right) is None


@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_a_flipped_bit_of_a_hidden_state_is_not_read_and_the_message_names_it(
    sound: Path, tier: str
) -> None:
    name = Cache(sound).utterances["utterance_id"][5]
    shard = sound / "shard-00001.h5"
    flip(shard, shard.read_bytes().index(Recipe().states(name, tier)[2].tobytes()))
    cache = Cache(sound)
    with pytest.raises(
        CacheCorrupt,
        match=f"{name}: {tier} layer 2 does not match its checksum.*probe cache verify",
    ):
        cache.layer(2, tier)
    cache.layer(1, tier)
    others, _ = cache.layer(2, tier, where=cache.utterances["utterance_id"] != name)
    assert np.isfinite(others).all()
    assert len(Cache(sound, check=False).layer(2)[0]) == len(cache)


@pytest.mark.parametrize(
    "column", ["utterance_id", "n_frames", "measures/loudness", "checksums/pooled", "offsets"]
)
def test_a_flipped_bit_beside_the_hidden_states_is_not_read_over(sound: Path, column: str) -> None:
    import h5py

    shard = sound / "shard-00001.h5"
    with h5py.File(shard, "r") as file:
        start = file[column].id.get_offset()
    flip(shard, start)
    with pytest.raises(CacheCorrupt, match="shard-00001"):
        Cache(sound).layer(0)


def test_a_shard_that_was_replaced_behind_an_open_reader_is_not_read_by_its_rows(
    sound: Path, tmp_path: Path
) -> None:
    cache = Cache(sound)
    other = tmp_path / "other"
    Recipe().write(other, PLANNED, 4, failures={PLANNED[2]: FAILED})
    for path in other.iterdir():
        os.replace(path, sound / path.name)
    with pytest.raises(CacheCorrupt, match=r"replaced since this cache was opened\. Open it again"):
        cache.layer(0)
    assert len(Cache(sound).layer(0)[0]) == 9
