"""Frames of one byte a value: how far they may be off, and that they are stored and checked as any
other.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_store import Recipe, flip, names

from cache import Cache, CacheCorrupt, ProbeError, verify
from cache.dataset import CacheDataset
from cache.quantization import SMALLEST, bytes_of, decode, encode, read_as, stored
from probing.extraction.quantization import packed

INT8 = Recipe(tiers={"pooled": "float32", "frames": "int8"}, dim=5)
FRAMES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, 1e-44, 1e30, -6e4]),
)


def records_of(frames: np.ndarray) -> np.ndarray:
    return encode(frames, stored("int8", frames.shape)[1])


@given(FRAMES)
@settings(max_examples=150, deadline=None)
def test_no_value_is_off_by_more_than_half_a_step_of_its_frame(frames: np.ndarray) -> None:
    found = decode(records_of(frames)).astype(np.float64)
    step = np.abs(frames.astype(np.float64)).max(axis=-1, keepdims=True) / 127
    assert (np.abs(found - frames) <= 0.5 * step * (1 + 1e-5) + 127 * float(SMALLEST)).all()


@given(FRAMES)
@settings(max_examples=100, deadline=None)
def test_the_device_packs_the_bytes_that_the_store_would_write(frames: np.ndarray) -> None:
    _, dtype = stored("int8", frames.shape)
    on_device = packed(torch.from_numpy(frames)).numpy().view(dtype)[..., 0]
    assert on_device.tobytes() == records_of(frames).tobytes()


@given(FRAMES)
@settings(max_examples=50, deadline=None)
def test_what_was_read_is_stored_again_without_further_loss(frames: np.ndarray) -> None:
    once = decode(records_of(frames))
    np.testing.assert_allclose(decode(records_of(once)), once, rtol=1e-6, atol=0)


def test_a_frame_of_zeros_stays_zero_beside_others() -> None:
    frames = np.zeros((3, 4), np.float32)
    frames[1] = [0.5, -1, 0.25, 127]
    found = decode(records_of(frames))
    assert not found[0].any()
    assert not found[2].any()
    # 0.5 is half a step, and goes to the even side
    np.testing.assert_array_equal(found[1], [0, -1, 0, 127])


def test_a_huge_channel_costs_its_own_frame_and_no_other() -> None:
    frames = np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)
    frames[2, 7] = 3e4
    found = decode(records_of(frames))
    others = np.arange(6) != 2
    assert np.abs(found[others] - frames[others]).max() < 0.02
    assert found[2, 7] == pytest.approx(3e4)
    # a step is 236: the rest of that frame is lost, and the README says so
    assert not np.delete(found[2], 7).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    frames = np.ones((2, 3), np.float32)
    frames[1, 2] = bad
    with pytest.raises(ProbeError, match=r"cannot be kept as int8.*float32"):
        records_of(frames)


@pytest.mark.parametrize(
    ("dtype", "expected"), [("int8", 1028), ("float16", 2048), ("float32", 4096)]
)
def test_a_frame_takes_as_many_bytes_as_the_estimate_says(dtype: str, expected: int) -> None:
    assert bytes_of(dtype, 1024) == expected
    assert read_as(dtype) == (np.float32 if dtype == "int8" else dtype)


def test_every_way_of_reading_gives_the_same_float32_frames(store) -> None:
    cache = Cache(store(10, recipe=INT8))
    assert cache.tiers["frames"] == "int8"
    x, table = cache.layer(1, "frames")
    data = CacheDataset(cache, layers=[1])
    assert x.dtype == np.float32
    for i, row in enumerate(table.itertuples()):
        expected = INT8.states(row.utterance_id, "frames")
        np.testing.assert_array_equal(
            x[row.first_frame : row.first_frame + row.n_frames], expected[1]
        )
        np.testing.assert_array_equal(cache.frames([row.utterance_id])[0], expected)
        np.testing.assert_array_equal(data[i]["x"], expected[1:2])
    assert verify(cache.folder) == []


def test_any_hdf5_tool_sees_scales_and_values(store) -> None:
    folder = store(4, recipe=INT8)
    with h5py.File(folder / "shard-00000.h5") as file:
        records = file["frames/layer_01"][...]
        first = file["utterance_id"][0].decode()
    frames = records["values"] * records["scale"][:, None]
    np.testing.assert_array_equal(frames[: INT8.n_frames(first)], INT8.states(first, "frames")[1])


@pytest.mark.parametrize("part", ["scale", "values"])
def test_a_flipped_bit_of_a_frame_names_its_utterance(part: str, store) -> None:
    folder = store(4, recipe=INT8)
    shard = folder / "shard-00000.h5"
    with h5py.File(shard) as file:
        start = file["frames/layer_02"].id.get_offset()
        name = file["utterance_id"][0].decode()
    flip(shard, start + (0 if part == "scale" else 4), 3)
    faults = verify(folder)
    assert [fault.utterance_ids for fault in faults] == [(name,)]
    assert "frames layer 2" in faults[0].what


FORMS: dict[str, Callable[[int], object]] = {
    "another width": lambda dim: [("scale", "<f4"), ("values", "i1", (dim + 1,))],
    "another order of bytes": lambda dim: [("scale", ">f4"), ("values", "i1", (dim,))],
    "unsigned values": lambda dim: [("scale", "<f4"), ("values", "u1", (dim,))],
    "a gap": lambda dim: {
        "names": ["scale", "values"],
        "formats": ["<f4", ("i1", (dim,))],
        "offsets": [0, 8],
    },
    "another name": lambda dim: [("scales", "<f4"), ("values", "i1", (dim,))],
    "no scale": lambda dim: [("values", "i1", (dim,))],
    "plain bytes": lambda dim: "i1",
    "text in it": lambda dim: [("scale", "<f4"), ("values", h5py.string_dtype())],
}


@pytest.mark.parametrize("form", FORMS)
def test_records_of_another_form_are_refused(form: str, store) -> None:
    folder = store(4, recipe=INT8)
    with h5py.File(folder / "shard-00000.h5", "r+") as file:
        shape = file["frames/layer_01"].shape
        del file["frames/layer_01"]
        file.create_dataset("frames/layer_01", shape, np.dtype(FORMS[form](INT8.dim)))
    with pytest.raises(CacheCorrupt, match=r"shard-00000\.h5"):
        Cache(folder).layer(1, "frames")


def test_a_store_that_was_begun_is_gone_on_with(store, tmp_path: Path) -> None:
    folder = store(6, recipe=INT8, most_shards=1)
    INT8.write(folder, names(6))
    INT8.write(tmp_path / "at once", names(6))
    for path in sorted((tmp_path / "at once").glob("*.h5")):
        assert (folder / path.name).read_bytes() == path.read_bytes()
