"""Where the data sets of a shard are: what its record says is what HDF5 finds, and caches without
it are read too.
"""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from random_store import Recipe, names

from cache import Cache, verify
from cache.layout import data_sets, layout_of
from cache.manifest import load_manifest
from cache.shard import Shard

RECIPES = {
    "pooled": Recipe(tiers={"pooled": "float16"}, measures=()),
    "frames": Recipe(layers=(1, 4), dim=5),
    "int8": Recipe(
        tiers={"pooled": "float32", "frames": "int8"},
        measures=("loudness", "length of the clip"),
        dim=300,
    ),
}


@pytest.mark.parametrize("kind", RECIPES)
def test_the_record_of_a_shard_says_what_hdf5_finds(kind: str, store) -> None:
    folder = store(9, recipe=RECIPES[kind])
    manifest = load_manifest(folder)
    for record in manifest.shards:
        n_frames = int(Shard(folder, record, manifest).offsets[-1])
        shapes, dtypes = data_sets(manifest, record.rows, n_frames)
        found = []
        for known in (record, replace(record, places=None)):
            with layout_of(folder / str(record.file), known, manifest, str) as layout:
                columns = [("utterance_id", "S"), ("n_samples", "i"), ("n_frames", "i")]
                columns += [(f"measures/{name}", "f") for name in manifest.measures]
                found.append([layout.column(*column) for column in columns])
                for tier in manifest.tiers:
                    found[-1] += layout.states(tier, shapes[tier], dtypes[tier])
                    found[-1].append(layout.checksums(tier, (len(manifest.layers), record.rows)))
        assert found[0] == found[1]


def test_a_finished_cache_is_read_without_hdf5(store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store()
    wanted = Cache(folder).pooled()
    monkeypatch.delattr(h5py, "File")
    np.testing.assert_array_equal(Cache(folder).pooled(), wanted)


def test_a_cache_whose_records_say_no_places_is_read_extended_and_repaired_as_before(store) -> None:
    folder, wanted = store(8), store(10, "wanted")
    manifest = load_manifest(folder)
    manifest.with_only([replace(record, places=None) for record in manifest.shards]).save(folder)
    np.testing.assert_array_equal(
        Cache(folder).pooled(),
        Cache(wanted).pooled()[:, Cache(wanted).utterances["utterance_id"].isin(names(8))],
    )
    Recipe().write(folder, names(10))
    assert verify(folder) == []
    np.testing.assert_array_equal(Cache(folder).pooled(), Cache(wanted).pooled())
    assert [record.places is None for record in load_manifest(folder).shards] == [True, True, False]


def test_the_places_of_another_shard_do_not_let_it_stand_for_this_one(store) -> None:
    folder = store(8)
    first, second = (folder / f"shard-0000{i}.h5" for i in range(2))
    content = first.read_bytes()
    Path(first).write_bytes(second.read_bytes().ljust(len(content), b"\0")[: len(content)])
    assert {fault.file for fault in verify(folder)} == {first.name}
