"""When frames are, and frames read in one pass of bounded memory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from random_store import Recipe, names

from cache import Cache, CacheCorrupt, ProbeError
from cache.manifest import load_manifest
from cache.shard import Shard
from cache.streaming import frame_blocks
from cache.timing import ENTRY, FrameTiming, timing_in


def noted(folder: Path, **changes: object) -> Cache:
    """A cache whose manifest says other things."""
    replace(load_manifest(folder), **changes).save(folder)  # type: ignore[arg-type]
    return Cache(folder)


def test_frames_have_the_times_that_extraction_noted(store: Callable[..., Path]) -> None:
    cache = noted(store(), about={ENTRY: FrameTiming(320, 447.5).as_dict()})
    for name, n in zip(cache.utterances["utterance_id"], cache.utterances["n_frames"], strict=True):
        np.testing.assert_allclose(
            cache.frame_times(name), (447.5 + 320 * np.arange(n)) / 16000, rtol=0, atol=1e-12
        )
    with pytest.raises(ProbeError, match="no utterance 'other'"):
        cache.frame_times("other")


def test_a_cache_of_before_has_the_times_that_its_fingerprint_implies(
    store: Callable[..., Path],
) -> None:
    folder = store()
    made = {"backbone_family": "whisper", "backbone_frames": "floor((n_samples - 1) / 320) + 1"}
    manifest = load_manifest(folder)
    assert timing_in(made) == FrameTiming(320, 0)
    assert timing_in({**made, "backbone_family": "wavlm"}) is None
    with pytest.raises(ProbeError, match="nothing in it says when its frames are"):
        Cache(folder).frame_times(names(1)[0])
    assert "frame_timing" not in manifest.about


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"hop": 0, "centre": 0, "sampling_rate": 16000},
        {"hop": 320, "centre": float("nan"), "sampling_rate": 16000},
    ],
)
def test_a_timing_that_is_none_is_refused(entry: object, store: Callable[..., Path]) -> None:
    with pytest.raises(CacheCorrupt, match="frame_timing"):
        noted(store(), about={ENTRY: entry}).frame_times(names(1)[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("most", [1, 7, 1 << 16])
def test_blocks_hold_every_frame_once_and_no_more_than_asked_for(
    dtype: str, most: int, store: Callable[..., Path]
) -> None:
    recipe = Recipe(tiers={"pooled": "float32", "frames": dtype})
    cache = Cache(store(recipe=recipe))
    table = cache.utterances.sample(frac=0.8, random_state=1)
    seen = []
    for block in frame_blocks(cache, 2, table, most):
        assert block.frames.dtype == np.float32
        assert len(block.frames) <= most or len(block.rows) == 1
        for i, row in enumerate(block.rows):
            name = table["utterance_id"].iloc[row]
            found = block.frames[block.first[i] : block.first[i + 1]]
            np.testing.assert_array_equal(
                found, recipe.states(name, "frames")[2].astype(np.float32)
            )
            seen.append(name)
    assert sorted(seen) == sorted(table["utterance_id"])


def test_each_shard_is_read_once_and_in_order(
    store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(store())
    read = list[tuple[int, int]]()
    check = Shard.check

    def noting(shard: Shard, tier: str, layers: list[int], rows: np.ndarray) -> None:
        read.extend((int(shard.path.stem[-5:]), int(row)) for row in rows)
        check(shard, tier, layers, rows)

    monkeypatch.setattr(Shard, "check", noting)
    shuffled = cache.utterances.sample(frac=1, random_state=0)
    list(frame_blocks(cache, 1, shuffled, 3))
    assert read == sorted(read)
    assert len(read) == len(cache)


def test_a_table_with_other_lengths_is_refused(store: Callable[..., Path]) -> None:
    cache = Cache(store())
    table = cache.utterances.assign(n_frames=lambda rows: rows["n_frames"] + 1)
    with pytest.raises(CacheCorrupt, match="has not"):
        list(frame_blocks(cache, 1, table))
    assert not list(frame_blocks(cache, 1, pd.DataFrame(cache.utterances.head(0))))
