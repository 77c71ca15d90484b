"""Threads, forked workers and ones that inherit nothing read a cache that another process extends,
right and whole.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import CONTEXT
from random_store import Recipe, kill, names, slow_writer
from torch.utils.data import DataLoader

from cache import Cache
from cache.dataset import CacheDataset, collate

MANY, SHARD_SIZE = 20_000, 8


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Path]:
    """A cache that another process extends, a shard every few hundredths of a second, with three
    shards in it.
    """
    Recipe().write(tmp_path / "c", names(MANY), SHARD_SIZE, most_shards=3)
    process = slow_writer(tmp_path / "c", MANY, SHARD_SIZE)
    yield tmp_path / "c"
    assert process.poll() is None, "the writer was not at work all the time"
    kill(process)
    Cache(tmp_path / "c").pooled()


def check(cache: Cache, tier: str = "pooled", layer: int = 1) -> int:
    """Compare all that is in a cache with what was written."""
    x, table = cache.layer(layer, tier)
    for i, name in enumerate(table["utterance_id"]):
        rows = (
            slice(table["first_frame"][i], table["first_frame"][i] + table["n_frames"][i])
            if tier == "frames"
            else i
        )
        np.testing.assert_array_equal(x[rows], Recipe().states(name, tier)[layer])
    return len(cache)


def test_threads_that_share_a_cache_and_open_new_ones_read_what_was_finished(growing: Path) -> None:
    shared, seen, failures = Cache(growing), list[list[int]](), list[BaseException]()

    def read(tier: str) -> None:
        counts = list[int]()
        try:
            for layer in (0, 1, 2, 1):
                assert check(shared, tier, layer) == len(shared)
                counts.append(check(Cache(growing), tier, layer))
        except BaseException as error:
            failures.append(error)
        seen.append(counts)

    threads = [threading.Thread(target=read, args=(tier,)) for tier in ("pooled", "frames") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(counts == sorted(counts) for counts in seen)
    assert max(map(max, seen)) > len(shared)


@pytest.mark.parametrize(
    "context", ["fork", pytest.param(CONTEXT, id="forkserver", marks=pytest.mark.long)]
)
def test_worker_processes_read_what_was_finished_when_the_cache_was_opened(
    context, growing: Path
) -> None:
    opened, first = Cache(growing), None
    for cache in (opened, Cache(growing)):  # the second one opened while workers of the first ended
        data = CacheDataset(cache)
        data[0]  # maps a shard before the workers are made
        seen = []
        for batch in DataLoader(
            data, 16, num_workers=2, collate_fn=collate, multiprocessing_context=context
        ):
            for i, name in enumerate(batch["utterance_id"]):
                found = batch["x"][i, :, : batch["n_frames"][i]]
                np.testing.assert_array_equal(found, Recipe().states(name, "frames"))
                seen.append(name)
        assert seen == list(cache.utterances["utterance_id"])
        first = first or seen
    assert len(Cache(growing)) > len(first or [])
