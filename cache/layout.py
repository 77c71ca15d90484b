"""Where the data sets of a shard are in its file: as its record says, or as HDF5 finds them.

To open the fifty data sets of a shard by HDF5 takes 10 ms or more, which is most of the time of a
first look at a cache of many shards. What says where they are is in the record of the shard, and is
used only if the record also has the checksum of everything outside the hidden states: then those
bytes are the ones that HDF5 wrote there.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from cache.errors import CacheCorrupt
from cache.manifest import Manifest, ShardRecord
from cache.quantization import stored

Place = tuple[int, tuple[int, ...], np.dtype[Any]]
Shape = tuple[int, ...]
NUMBERS = {"i": "<i8", "f": "<f8"}


def data_sets(
    manifest: Manifest, n_rows: int, n_frames: int
) -> tuple[dict[str, Shape], dict[str, np.dtype[Any]]]:
    """Shape and type of the data sets of each tier."""
    shapes = {"pooled": (n_rows, 2, manifest.dim), "frames": (n_frames, manifest.dim)}
    both = {tier: stored(dtype, shapes[tier]) for tier, dtype in manifest.tiers.items()}
    return {tier: shape for tier, (shape, _) in both.items()}, {
        tier: dtype for tier, (_, dtype) in both.items()
    }


def places_of(file: h5py.File, manifest: Manifest) -> str:
    """Where each data set of a shard is, as its record keeps it; of ids with their width.

    A place is an offset in the file.
    """
    found: dict[str, Any] = {
        name: file[name].id.get_offset()
        for name in ("n_samples", "n_frames", *map("measures/{}".format, manifest.measures))
    }
    ids = file["utterance_id"]
    found["utterance_id"] = [ids.id.get_offset(), ids.dtype.itemsize]
    for tier in manifest.tiers:
        found[f"checksums/{tier}"] = file[f"checksums/{tier}"].id.get_offset()
        found[tier] = [
            file[f"{tier}/layer_{layer:02d}"].id.get_offset() or 0 for layer in manifest.layers
        ]
    return json.dumps(found, separators=(",", ":"))


class Layout(Protocol):
    """Where the data sets of a shard are; every place that it gives lies in the file.

    Both methods raise CacheCorrupt, or what else HDF5 or a strange record leads to.
    """

    def column(self, name: str, kind: str) -> Place:
        """Where N numbers or texts are."""

    def states(self, tier: str, shape: Shape, dtype: np.dtype[Any]) -> list[Place]:
        """Where the hidden states of a tier are, by layer."""

    def checksums(self, tier: str, shape: Shape) -> Place:
        """Where the checksums of a tier are."""


@contextmanager
def layout_of(
    path: Path, record: ShardRecord, manifest: Manifest, fault: Callable[[str], CacheCorrupt]
) -> Iterator[Layout]:
    """Where the data sets of a shard are.

    The checksum of what is outside the hidden states was compared before.

    `fault` makes the error of what is wrong.
    """
    if record.says_where:
        yield Recorded(json.loads(str(record.places)), record, manifest, fault)
        return
    with h5py.File(path, "r", locking=False) as file:
        if file.attrs.get("fingerprint") != manifest.id or file.attrs.get("index") != record.index:
            raise fault("it belongs to another cache or place")
        yield Found(file, record, manifest, fault)


class Recorded:
    """As the record of a shard says."""

    def __init__(
        self,
        places: Mapping[str, Any],
        record: ShardRecord,
        manifest: Manifest,
        fault: Callable[[str], CacheCorrupt],
    ) -> None:
        self._places = places
        self._record = record
        self._manifest = manifest
        self._fault = fault

    def column(self, name: str, kind: str) -> Place:
        """See `Layout`."""
        place = self._places[name]
        offset, width = place if kind == "S" else (place, 8)
        if not 0 < width <= self._record.bytes:
            raise ValueError(f"texts of {width} bytes")
        return self._place(
            offset, (self._record.rows,), np.dtype(f"S{width}" if kind == "S" else NUMBERS[kind])
        )

    def states(self, tier: str, shape: Shape, dtype: np.dtype[Any]) -> list[Place]:
        """See `Layout`."""
        offsets = self._places[tier]
        if len(offsets) != len(self._manifest.layers):
            raise ValueError(f"{len(offsets)} layers")
        return [self._place(offset, shape, dtype) for offset in offsets]

    def checksums(self, tier: str, shape: Shape) -> Place:
        """See `Layout`."""
        return self._place(self._places[f"checksums/{tier}"], shape, np.dtype("<u4"))

    def _place(self, offset: Any, shape: Shape, dtype: np.dtype[Any]) -> Place:
        if (
            type(offset) is not int
            or not 0 <= offset <= self._record.bytes - math.prod(shape) * dtype.itemsize
        ):
            raise self._fault(f"its record names a place that it does not have, {offset!r}")
        return offset, shape, dtype


class Found:
    """As HDF5 finds them, each of which must be laid out as written: no link, and stored whole."""

    def __init__(
        self,
        file: h5py.File,
        record: ShardRecord,
        manifest: Manifest,
        fault: Callable[[str], CacheCorrupt],
    ) -> None:
        self._file = file
        self._record = record
        self._manifest = manifest
        self._fault = fault

    def column(self, name: str, kind: str) -> Place:
        """See `Layout`. Its bytes must be in the file, or a small one could fill the memory."""
        data_set = self._data_set(name)
        shape = (self._record.rows,)
        if data_set.shape != shape or data_set.dtype.kind != kind:
            raise self._fault(
                f"/{name} is {data_set.dtype} {data_set.shape}, expected {kind} {shape}"
            )
        offset = data_set.get_offset()
        if (
            offset is None
            or offset + self._record.rows * data_set.dtype.itemsize > self._record.bytes
        ):
            raise self._fault(f"/{name} is not stored whole and contiguous")
        return offset, shape, data_set.dtype

    def states(self, tier: str, shape: Shape, dtype: np.dtype[Any]) -> list[Place]:
        """See `Layout`."""
        return [
            self._place(f"{tier}/layer_{layer:02d}", shape, dtype)
            for layer in self._manifest.layers
        ]

    def checksums(self, tier: str, shape: Shape) -> Place:
        """See `Layout`."""
        return self._place(f"checksums/{tier}", shape, np.dtype("<u4"))

    def _data_set(self, name: str) -> Any:
        """Open a data set, by h5py's low level: a shard has many, and they are opened with it."""
        place: Any = self._file.id
        for part in name.encode().split(b"/"):
            if not isinstance(place, h5py.h5g.GroupID) or not place.links.exists(part):
                raise self._fault(f"/{name} is missing")
            if place.links.get_info(part).type != h5py.h5l.TYPE_HARD:
                raise self._fault(f"/{name} is a link")
            place = h5py.h5o.open(place, part)
        if not isinstance(place, h5py.h5d.DatasetID):
            raise self._fault(f"/{name} is not a data set")
        plist = place.get_create_plist()
        if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
            raise self._fault(f"/{name} is not a plain data set")
        return place

    def _place(self, name: str, shape: Shape, wanted: np.dtype[Any]) -> Place:
        data_set = self._data_set(name)
        offset = data_set.get_offset()
        found = data_set.shape
        dtype = data_set.dtype
        if (found, dtype) != (shape, wanted) or (offset is None and math.prod(shape) > 0):
            raise self._fault(f"/{name} is {dtype} {found}, expected {wanted} {shape}, contiguous")
        if (offset or 0) + math.prod(shape) * wanted.itemsize > self._record.bytes:
            raise self._fault(f"/{name} reaches past the end of the file")
        return offset or 0, shape, wanted
