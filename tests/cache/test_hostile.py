"""A cache from somebody else can be refused, but it cannot read other files, fill the memory or
crash.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from random_store import Recipe, names

from cache import Cache, CacheCorrupt, verify
from cache.atomic import crc32_of_file
from cache.manifest import canonical_json, load_manifest

SHARD = "shard-00000.h5"
POOLED = "pooled/layer_01"


def replaced(file: h5py.File, name: str, **data_set: object) -> None:
    del file[name]
    file.create_dataset(name, **data_set)


def linked(link: object) -> Callable[[h5py.File, Path], None]:
    def change(file: h5py.File, home: Path) -> None:
        del file[POOLED]
        file[POOLED] = link

    return change


def external_storage(file: h5py.File, home: Path) -> None:
    replaced(
        file,
        POOLED,
        shape=(4, 2, 3),
        dtype="<f4",
        external=[(str(home / "secret.bin"), 0, h5py.h5f.UNLIMITED)],
    )


def virtual(file: h5py.File, home: Path) -> None:
    layout = h5py.VirtualLayout((4, 2, 3), "<f4")
    layout[...] = h5py.VirtualSource(str(home / "secret.h5"), "x", (4, 2, 3))
    del file[POOLED]
    file.create_virtual_dataset(POOLED, layout)


def as_group(file: h5py.File, home: Path) -> None:
    del file[POOLED]
    file.create_group(POOLED)


def made(name: str, **data_set: object) -> Callable[[h5py.File, Path], None]:
    return lambda file, home: replaced(file, name, **data_set)


HUGE = 1 << 40
HOSTILE: dict[str, Callable[[h5py.File, Path], None]] = {
    "external link": linked(h5py.ExternalLink("secret.h5", "/x")),
    "soft link": linked(h5py.SoftLink("/pooled/layer_00")),
    "dangling soft link": linked(h5py.SoftLink("/nowhere")),
    "external storage": external_storage,
    "virtual data set": virtual,
    "group for a data set": as_group,
    "wrong shape": made(POOLED, data=np.zeros((4, 2, 4), "<f4")),
    "wrong order of bytes": made(POOLED, data=np.zeros((4, 2, 3), ">f4")),
    "chunked": made(POOLED, data=np.zeros((4, 2, 3), "<f4"), chunks=(1, 2, 3)),
    "huge shape": made(POOLED, shape=(HUGE, 2, 3), dtype="<f4", chunks=(1024, 2, 3)),
    "never allocated": made(POOLED, shape=(4, 2, 3), dtype="<f4"),
    "object type": made(POOLED, shape=(4, 2, 3), dtype=h5py.string_dtype()),
    "references": made(POOLED, shape=(4, 2, 3), dtype=h5py.ref_dtype),
    "ids that are objects": made(
        "utterance_id", data=["a", "b", "c", "d"], dtype=h5py.string_dtype()
    ),
    "ids that are huge": made("utterance_id", shape=(4,), dtype="S2000000000", chunks=(1,)),
    "ids that are numbers": made("utterance_id", data=np.arange(4)),
    "ids that are not text": made("utterance_id", data=np.array([b"\xff\xfe"] * 4)),
    "chunked frame counts": made("n_frames", data=np.ones(4, "<i8"), chunks=(2,)),
    "negative frame counts": made("n_frames", data=np.array([-1, 4, 1, 1], "<i8")),
    "huge frame counts": made("n_frames", data=np.array([HUGE, HUGE, 1, 1], "<i8")),
    "frame counts that are not whole": made("n_frames", data=np.ones(4, "<f8")),
    "checksums of the wrong shape": made("checksums/pooled", data=np.zeros((3, 3), "<u4")),
    "measures that are text": made("measures/loudness", data=np.array([b"x"] * 4)),
    "no measures": lambda file, home: file.__delitem__("measures"),
    "no frames": lambda file, home: file.__delitem__("frames/layer_02"),
}


def recorded_again(folder: Path) -> None:
    """Let the manifest vouch for the shard as it is now, as whoever made it hostile would."""
    manifest = load_manifest(folder)
    path = folder / SHARD
    known = {
        "bytes": path.stat().st_size,
        "crc32": crc32_of_file(path),
        "outside_crc32": None,
        "states": None,
    }
    record = replace(manifest.shards[0], **known)
    manifest.with_shard(record).save(folder)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_shard_is_refused_and_not_read(
    kind: str, store, tmp_path: Path, monkeypatch
) -> None:
    folder = store(4)
    monkeypatch.chdir(folder)
    (tmp_path / "secret.bin").write_bytes(b"secret" * 99)
    for home in (tmp_path, folder):
        with h5py.File(home / "secret.h5", "w") as secret:
            secret["x"] = np.ones((4, 2, 3), "<f4")
    with h5py.File(folder / SHARD, "r+") as file:
        HOSTILE[kind](file, tmp_path)
    recorded_again(folder)
    for read in (lambda cache: cache.layer(1), lambda cache: cache.frames(names(1))):
        with pytest.raises(CacheCorrupt, match=SHARD):
            read(Cache(folder))
    assert [fault.file for fault in verify(folder)] == [SHARD]


def test_a_shard_that_is_not_hdf5_is_refused(store) -> None:
    folder = store(4)
    (folder / SHARD).write_bytes(b"\x80\x04pickle" * 999)
    recorded_again(folder)
    with pytest.raises(CacheCorrupt, match="HDF5 cannot read it"):
        Cache(folder).layer(0)


def test_a_shard_of_another_cache_is_refused_whoever_vouches_for_it(store) -> None:
    folder, other = store(4), store(4, "other", recipe=Recipe(salt=1))
    (folder / SHARD).write_bytes((other / SHARD).read_bytes())
    recorded_again(folder)
    with pytest.raises(CacheCorrupt, match="another cache or place"):
        Cache(folder).layer(0)


def rewritten(folder: Path, change: Callable[[dict], object]) -> None:
    """Change `cache.json` and give it the checksum of its new content."""
    path = folder / "cache.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    change(content)
    content["checksum"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


MANIFESTS: dict[str, tuple[Callable[[dict], object], str]] = {
    "newer schema": (lambda m: m.update(schema=2), "schema 2, this version reads 1"),
    "shard outside": (lambda m: m["shards"][0].update(file="../../x"), r"called '\.\./\.\./x'"),
    "absolute shard": (lambda m: m["shards"][0].update(file="/etc/passwd"), "called '/etc/passwd'"),
    "index outside": (lambda m: m["shards"][0].update(index="../x"), "damaged"),
    "pooled of int8": (lambda m: m["tiers"].update(pooled="int8"), "tiers that no cache has"),
    "pickled tier": (lambda m: m["tiers"].update(pooled="object"), "tiers that no cache has"),
    "unknown tier": (lambda m: m["tiers"].update(secret="float32"), "tiers that no cache has"),
    "tiers a list": (lambda m: m.update(tiers=["pooled"]), "does not describe a cache"),
    "layers a number": (lambda m: m.update(layers=3), "does not describe a cache"),
    "layers of text": (lambda m: m.update(layers=["../x"]), "layers, width or tiers"),
    "negative width": (lambda m: m.update(dim=-1), "layers, width or tiers"),
    "shards of numbers": (lambda m: m.update(shards=[1]), "does not describe a cache"),
    "a field more": (lambda m: m.update(extra=1), "does not describe a cache"),
    "a field less": (lambda m: m.pop("layers"), "does not describe a cache"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_that_no_version_wrote_is_refused(kind: str, store) -> None:
    folder = store(4)
    change, message = MANIFESTS[kind]
    rewritten(folder, change)
    with pytest.raises(CacheCorrupt, match=message):
        Cache(folder)
    with pytest.raises(CacheCorrupt, match=message):
        Recipe().write(folder, names(4))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000]
)
def test_a_damaged_manifest_is_refused_and_says_what_to_do(content: bytes, store) -> None:
    folder = store(4)
    (folder / "cache.json").write_bytes(content)
    with pytest.raises(CacheCorrupt, match=r"cache\.json: damaged"):
        Cache(folder)


def test_a_manifest_changed_by_hand_is_refused(store) -> None:
    folder = store(4)
    path = folder / "cache.json"
    path.write_text(path.read_text().replace('"dim": 3', '"dim": 4'))
    with pytest.raises(CacheCorrupt, match="does not match its checksum"):
        Cache(folder)


@pytest.mark.parametrize("name", ["cache.json", "utterances.parquet", SHARD])
def test_a_link_out_of_the_folder_is_refused_and_not_followed(
    name: str, store, tmp_path: Path
) -> None:
    folder = store(4)
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheCorrupt, match=f"{name}: a link"):
        Cache(folder).layer(0)
    if name != "cache.json":
        assert [fault.file for fault in verify(folder)] == [name]


def test_partial_files_that_are_links_are_removed_and_not_written_through(
    store, tmp_path: Path
) -> None:
    folder = store(8, most_shards=1)
    (tmp_path / "mine").write_text("mine")
    for name in ("cache.json", "utterances.parquet", "failures.csv", "shard-00001.h5"):
        (folder / f"{name}.partial").symlink_to(tmp_path / "mine")
    Recipe().write(folder, names(8))
    assert Cache(folder).finished
    assert (tmp_path / "mine").read_text() == "mine"


PLACES: dict[str, Callable[[dict], object]] = {
    "no object": lambda places: [places],
    "a column less": lambda places: places.pop("n_frames"),
    "a tier less": lambda places: places.pop("pooled"),
    "a layer less": lambda places: places["pooled"].pop(),
    "a layer more": lambda places: places["pooled"].append(places["pooled"][0]),
    "before the file": lambda places: places.update(n_samples=-8),
    "behind the file": lambda places: places["pooled"].__setitem__(1, 1 << 40),
    "half behind the file": lambda places: places["pooled"].__setitem__(1, places["size"] - 1),
    "checksums behind the file": lambda places: places.update(
        {"checksums/frames": places["size"] - 4}
    ),
    "no whole number": lambda places: places["frames"].__setitem__(2, 1.5),
    "a name": lambda places: places.update(n_frames="../secret"),
    "ids without a width": lambda places: places.update(utterance_id=places["utterance_id"][0]),
    "ids too wide": lambda places: places["utterance_id"].__setitem__(1, 1 << 62),
    "ids of no width": lambda places: places["utterance_id"].__setitem__(1, 0),
    "frame counts of something else": lambda places: places.update(n_frames=places["frames"][0]),
}


@pytest.mark.parametrize("kind", PLACES)
def test_places_in_a_file_that_no_version_recorded_are_refused(kind: str, store) -> None:
    folder = store(4)
    size = (folder / SHARD).stat().st_size

    def change(content: dict) -> None:
        places = {**json.loads(content["shards"][0]["places"]), "size": size}
        found = PLACES[kind](places)
        content["shards"][0]["places"] = json.dumps(found if kind == "no object" else places)

    rewritten(folder, change)
    for read in (lambda cache: cache.layer(1), lambda cache: cache.frames(names(1))):
        with pytest.raises(CacheCorrupt, match=SHARD):
            read(Cache(folder))
    assert [fault.file for fault in verify(folder)] == [SHARD]


@pytest.mark.parametrize("places", ["{", "[" * 100_000, "null", "", "\x00"])
def test_places_that_are_no_json_are_refused(places: str, store) -> None:
    folder = store(4)
    rewritten(folder, lambda content: content["shards"][0].update(places=places))
    with pytest.raises(CacheCorrupt, match=SHARD):
        Cache(folder).layer(1)
