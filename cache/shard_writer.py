"""Writing a shard, laid out as `cache.shard` says; it gets its name when it is whole."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from zlib_ng.zlib_ng import crc32

from cache.atomic import PARTIAL, crc32_of_file, crc32_outside, fsync_folder
from cache.layout import data_sets, places_of
from cache.manifest import Manifest, ShardRecord, shard_name
from cache.quantization import encode
from cache.shard import ALIGNMENT, Array, runs_of


def _allocate(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Create a contiguous data set whose bytes exist at once and are not filled."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)  # the same states give the same file
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(dtype, logical=True), space, plist)


class ShardWriter:
    """Writes one shard to a partial file and gives it its name when it is whole.

    Args:
        folder: the cache folder.
        index: number of the shard.
        manifest: layers, width, tiers and measures of the cache.
        utterance_ids, n_samples, n_frames: one entry a row, known before the first hidden state
            arrives.
        measures: name -> one number a row.
        generation: of the file; more than 0 if it is to replace another.
        path: its name when it is whole, where that is not its place in the cache.
    """

    def __init__(
        self,
        folder: Path,
        index: int,
        manifest: Manifest,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, Array],
        generation: int = 0,
        path: Path | None = None,
    ) -> None:
        self.index, self.generation = index, generation
        self.path = path or folder / shard_name(index, generation)
        self.partial = self.path.with_name(self.path.name + PARTIAL)
        self.n_rows = len(utterance_ids)
        self.offsets = np.concatenate([[0], np.cumsum(n_frames)]).astype(np.int64)
        self._layer_index = {layer: i for i, layer in enumerate(manifest.layers)}
        self._checksums = {
            tier: np.zeros((len(manifest.layers), self.n_rows), "<u4") for tier in manifest.tiers
        }
        self._written = {
            tier: np.zeros_like(values, bool) for tier, values in self._checksums.items()
        }
        shapes, self._dtypes = data_sets(manifest, self.n_rows, int(self.offsets[-1]))
        ids = np.array([name.encode() for name in utterance_ids])
        try:
            with h5py.File(
                self.partial, "w", alignment_threshold=1024, alignment_interval=ALIGNMENT
            ) as file:
                file.attrs["fingerprint"] = manifest.id
                file.attrs["index"] = index
                file.create_dataset("utterance_id", data=ids)
                file.create_dataset("n_samples", data=np.asarray(n_samples, "<i8"))
                file.create_dataset("n_frames", data=np.asarray(n_frames, "<i8"))
                file.create_dataset("offsets", data=self.offsets)
                group = file.create_group("measures")
                for name in manifest.measures:
                    group.create_dataset(name, data=np.asarray(measures[name], "<f8"))
                checksums = file.create_group("checksums")
                for tier in sorted(manifest.tiers):
                    group = file.create_group(tier)
                    for layer in manifest.layers:
                        _allocate(group, f"layer_{layer:02d}", shapes[tier], self._dtypes[tier])
                    _allocate(checksums, tier, (len(manifest.layers), self.n_rows), np.dtype("<u4"))
                self._start = {
                    tier: [
                        file[f"{tier}/layer_{layer:02d}"].id.get_offset()
                        for layer in manifest.layers
                    ]
                    for tier in manifest.tiers
                }
                self._blocks = [
                    (start, start + math.prod(shapes[tier]) * self._dtypes[tier].itemsize)
                    for tier, starts in self._start.items()
                    for start in starts
                ]
                self._places = places_of(file, manifest)
                self._checksum_start = {
                    tier: checksums[tier].id.get_offset() for tier in manifest.tiers
                }
        except (RuntimeError, OSError) as error:
            self.partial.unlink(missing_ok=True)
            number = re.search(r"errno = (\d+)", str(error))  # HDF5 says it in words only
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(self.partial)) from error
        self._file = open(self.partial, "r+b", buffering=0)  # noqa: SIM115 - closed by finish or abort

    def write(self, row: int, tier: str, layer: int, block: Array, n_rows: int) -> None:
        """Write the rows `row : row + n_rows` of one layer of one tier.

        `block` is (n_rows, 2, D) for `pooled` and (frames of these rows, D) for `frames`; or it is
        as it is stored.
        """
        block = encode(block, self._dtypes[tier])
        bounds = (
            self.offsets[row : row + n_rows + 1]
            if tier == "frames"
            else np.arange(row, row + n_rows + 1)
        )
        if len(block) != bounds[-1] - bounds[0]:
            raise ValueError(
                f"{self.path.name}: {tier} block of {len(block)}, expected {bounds[-1] - bounds[0]}"
            )
        row_bytes = block[0].nbytes if len(block) else 0
        view = block.reshape(-1).view(np.uint8).data
        for i in range(n_rows):
            start, stop = (int(b - bounds[0]) * row_bytes for b in bounds[i : i + 2])
            self._checksums[tier][self._layer_index[layer], row + i] = crc32(view[start:stop])
        self._write_at(
            self._start[tier][self._layer_index[layer]] + int(bounds[0]) * row_bytes, view
        )
        self._written[tier][self._layer_index[layer], row : row + n_rows] = True

    def _write_at(self, offset: int, view: memoryview) -> None:
        while view:
            written = os.pwrite(self._file.fileno(), view, offset)
            view = view[written:]
            offset = offset + written

    def finish(self, failures: dict[str, str]) -> ShardRecord:
        """Make the shard durable under its own name, or throw it away if that fails.

        It fails too, with a ValueError, if a block was never written.
        """
        try:
            for tier, written in self._written.items():
                if not written.all():
                    raise ValueError(
                        f"{self.path.name}: {(~written).sum()} blocks of {tier} were never written"
                    )
            for tier, checksums in self._checksums.items():
                self._write_at(self._checksum_start[tier], checksums.data.cast("B"))
            os.fsync(self._file.fileno())
        except BaseException:
            self.abort()
            raise
        self._file.close()
        whole = crc32_of_file(self.partial)
        size = self.partial.stat().st_size
        states = runs_of(self._blocks)
        outside = crc32_outside(self.partial, states)
        os.replace(self.partial, self.path)
        fsync_folder(self.path.parent)
        return ShardRecord(
            self.index,
            self.path.name,
            rows=self.n_rows,
            bytes=size,
            crc32=whole,
            outside_crc32=outside,
            states=states,
            failures=dict(failures),
            generation=self.generation,
            places=self._places,
        )

    def abort(self) -> None:
        """Throw the partial file away."""
        self._file.close()
        self.partial.unlink(missing_ok=True)
