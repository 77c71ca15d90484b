"""The torch data set: workers, pickling, batching; and a reader that reads what it returns, no
more.
"""

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from random_store import Recipe, names
from torch.utils.data import DataLoader

from cache import Cache, ProbeError
from cache.dataset import CacheDataset, collate

WIDE = Recipe(
    layers=tuple(range(8)),
    dim=192,
    tiers={"pooled": "float32", "frames": "float32"},
    most_frames=24,
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide") / "c"
    WIDE.write(folder, names(120), 40)
    return folder


# of what inherits nothing test_readers.py has a shorter one
@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
def test_workers_give_every_utterance_once_and_rightly(store, context: str) -> None:
    data = CacheDataset(Cache(store(10)), layers=[0, 2])
    data[0]  # maps a shard before the workers are made
    loader = DataLoader(data, 3, num_workers=2, collate_fn=collate, multiprocessing_context=context)
    seen = []
    for batch in loader:
        for i, name in enumerate(batch["utterance_id"]):
            n = int(batch["n_frames"][i])
            assert n == Recipe().n_frames(name)
            np.testing.assert_array_equal(
                batch["x"][i, :, :n], Recipe().states(name, "frames")[[0, 2]]
            )
            assert not batch["x"][i, :, n:].any()
            seen.append(name)
    assert seen == sorted(names(10))


def test_a_pickled_data_set_reads_the_same(store) -> None:
    data = CacheDataset(Cache(store(6)), "pooled", where={"label": "spoof"})
    before = [data[i] for i in range(len(data))]
    copy = pickle.loads(pickle.dumps(data))
    assert len(pickle.dumps(data)) < 20_000
    for i, item in enumerate(before):
        assert torch.equal(copy[i]["x"], item["x"])
        assert copy[i]["utterance_id"] == item["utterance_id"]


def test_an_item_of_the_pooled_tier_is_layers_by_statistics_by_width(store) -> None:
    item = CacheDataset(Cache(store(6)), "pooled", layers=[1])[0]
    assert item["x"].shape == (1, 2, 3)
    np.testing.assert_array_equal(item["x"], Recipe().states(item["utterance_id"], "pooled")[1:2])


def test_the_target_is_one_for_bona_fide_speech(store) -> None:
    data = CacheDataset(Cache(store(9)))
    targets = collate([data[i] for i in range(9)])["target"]
    assert targets.tolist() == [float(label == "bonafide") for label in data.table["label"]]
    assert 0 < targets.sum() < 9


def test_a_tier_or_layer_that_is_not_there_is_refused_at_once(store) -> None:
    cache = Cache(store(2, recipe=Recipe(tiers={"pooled": "float32"})))
    with pytest.raises(ProbeError, match="no tier 'frames'"):
        CacheDataset(cache)
    with pytest.raises(ProbeError, match="no layer 9"):
        CacheDataset(cache, "pooled", layers=[9])


READS = {
    "pooled layer": lambda cache: cache.layer(3)[0],
    "frames of a layer": lambda cache: cache.layer(3, "frames")[0],
    "frames of one utterance": lambda cache: cache.frames([names(1)[0]])[0],
    "frames of a split": lambda cache: cache.layer(3, "frames", {"split": "dev"})[0],
}


def peak_of(read, cache: Cache) -> tuple[int, int]:
    read(cache)  # maps the shards and reads their columns
    tracemalloc.start()
    try:
        n_bytes = read(cache).nbytes
        return tracemalloc.get_traced_memory()[1], n_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", READS)
def test_reading_allocates_little_more_than_it_returns(what: str, wide: Path) -> None:
    peak, n_bytes = peak_of(READS[what], Cache(wide))
    assert peak < 2 * n_bytes + 200_000  # the table's own columns
    assert peak < Cache(wide).n_bytes / 4


def mapped_bytes(folder: Path) -> int:
    """Bytes of the shards that this process has mapped and touched."""
    resident, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            resident += 1024 * int(line.split()[1])
    return resident


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_reading_one_layer_leaves_the_others_on_disk(wide: Path) -> None:
    cache = Cache(wide)
    before = mapped_bytes(wide)
    x, _ = cache.layer(3, "frames")
    assert before == 0
    # around both ends of a block in each of three shards, the system maps 64 KiB
    margin = 3 * 2 * (64 << 10)
    assert x.nbytes <= mapped_bytes(wide) <= x.nbytes + margin < cache.n_bytes / 3


@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_a_batch_read_together_is_its_items_in_any_order(tier: str, store) -> None:
    data = CacheDataset(Cache(store(13)), tier)
    order = [12, 0, 7, 7, 3, 11]
    for i, item in zip(order, data.__getitems__(order), strict=True):
        assert item["utterance_id"] == data.table["utterance_id"][i]
        np.testing.assert_array_equal(item["x"], Recipe().states(item["utterance_id"], tier))
        assert item["n_frames"] == data[i]["n_frames"]


@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_items_read_together_or_one_by_one_make_the_same_batch(tier: str, store) -> None:
    data = CacheDataset(Cache(store(13)), tier)
    order = [12, 0, 7, 7, 3, 11]
    together, one_by_one = collate(data.__getitems__(order)), collate([data[i] for i in order])
    assert together["x"].is_contiguous()
    for name, value in one_by_one.items():
        assert (
            value == together[name]
            if name == "utterance_id"
            else torch.equal(value, together[name])
        )


@pytest.mark.parametrize("stored", ["float16", "float32", "int8"])
@pytest.mark.parametrize("length", [1, 4, 99])
def test_a_padded_batch_holds_the_frames_from_the_first_on_and_zeros(
    stored: str, length: int, store
) -> None:
    recipe = Recipe(tiers={"pooled": "float32", "frames": stored})
    cache, ids, first = Cache(store(10, recipe=recipe)), names(10)[::-1], [i % 3 for i in range(10)]
    out = np.full((2, 10, length, cache.dim), np.nan, np.float32).swapaxes(0, 1)
    cache.frames_into(out, ids, [2, 0], first)
    for i, (name, start) in enumerate(zip(ids, first, strict=True)):
        expected = recipe.states(name, "frames")[[2, 0], start : start + length]
        np.testing.assert_array_equal(out[i, :, : expected.shape[1]], expected)
        assert not out[i, :, expected.shape[1] :].any()


def test_an_array_that_does_not_fit_the_batch_is_refused(store) -> None:
    with pytest.raises(ValueError, match=r"out is \(2, 3, 5, 9\), expected \(2, 3, T, 3\)"):
        Cache(store(10)).frames_into(np.empty((2, 3, 5, 9)), names(2))


@pytest.mark.parametrize("order", [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [0, 5, 1, 6, 2], [4], []])
def test_pooled_statistics_come_in_the_order_of_the_table(order: list[int], store) -> None:
    cache = Cache(store(10))
    table = cache.utterances.iloc[order]
    found = cache.pooled([1, 2], table)
    assert found.shape == (2, len(order), 2, 3)
    for i, name in enumerate(table["utterance_id"]):
        np.testing.assert_array_equal(found[:, i], Recipe().states(name, "pooled")[1:])
