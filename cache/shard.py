"""A shard: one immutable HDF5 file with the hidden states of a few hundred utterances.

Layout (N utterances, F frames in all, D the width; one contiguous data set per tier and layer):

    /pooled/layer_00 ...    (N, 2, D)   mean and standard deviation over the valid frames
    /frames/layer_00 ...    (F, D)      optional; rows offsets[i]:offsets[i+1] are of utterance i;
                                        int8 is (F,) records of a scale and D values, see
                                        cache.quantization
    /offsets                (N + 1,)    int64
    /utterance_id           (N,)        UTF-8, fixed length
    /n_samples, /n_frames   (N,)        int64
    /measures/<name>        (N,)        float64, per-utterance numbers taken from the audio
    /checksums/<tier>       (layers, N) CRC-32 of the block of each layer and utterance

Data sets are allocated before the first write, so the bytes go to their place without HDF5's global
lock and can be mapped when read.
"""

import errno
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zlib_ng.zlib_ng import crc32

from cache.atomic import crc32_outside
from cache.bounds import check_regular
from cache.errors import CacheCorrupt, quoted
from cache.layout import Layout, data_sets, layout_of
from cache.manifest import A_LINK, Manifest, ShardRecord
from cache.mapping import Mapped
from cache.quantization import decode

Array = NDArray[Any]
ALIGNMENT = 64


def runs_of(blocks: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Blocks (start, stop) as ascending runs; blocks with only padding between are one."""
    runs: list[list[int]] = []
    for start, stop in sorted(blocks):
        if runs and start - runs[-1][1] < ALIGNMENT:
            runs[-1][1] = stop
        else:
            runs.append([start, stop])
    return runs


def shard_fault(path: Path, what: str) -> CacheCorrupt:
    """The error of a shard: what is wrong with its file, and how to find and mend all faults."""
    folder = path.parent
    advice = (
        f"Find all faults: probe cache verify {quoted(folder)}; "
        f"mend them: probe cache repair {quoted(folder)}"
    )
    return CacheCorrupt(f"{path}: {what}. {advice}", what)


def check_size(folder: Path, record: ShardRecord) -> None:
    """Raise CacheCorrupt if the file of a shard is missing, a link, or of another size.

    Nothing of it is read, so this costs no more than a look into the folder.
    """
    path = folder / str(record.file)
    if path.is_symlink():
        raise shard_fault(path, A_LINK.rstrip("."))
    try:
        check_regular(path)
        size = path.stat().st_size
    except FileNotFoundError:
        raise shard_fault(path, "the file is missing") from None
    except OSError as error:
        raise shard_fault(path, str(error.strerror)) from None
    if size != record.bytes:
        raise shard_fault(path, f"{size} bytes, expected {record.bytes}")


class Shard:
    """A finished shard, mapped into memory: no hidden state is read until it is indexed.

    What is outside the hidden states is compared with its checksum now; with `check`, every block
    is when it is first read. Without `states` only the columns are read, and the places of the
    hidden states are looked up only if the record has no checksum of what that would read.

    The size is compared before the file is mapped; if another program cuts it after that, the
    system ends this process with SIGBUS at the first read beyond the end. Writers of a cache never
    change a shard under its name.

    `mapped` is what the shards of a cache are mapped by together.

    Raises CacheCorrupt if a checksum does not match or the file is not laid out as written (also
    where it would make HDF5 follow a link to another file, which a cache from somebody else could
    use to read files of this machine), and OSError if the process has too many files open.
    """

    def __init__(
        self,
        folder: Path,
        record: ShardRecord,
        manifest: Manifest,
        *,
        check: bool = True,
        states: bool = True,
        mapped: Mapped | None = None,
    ) -> None:
        if record.file is None:
            raise ValueError(f"shard {record.index} has no file")
        self.path = folder / record.file
        self.n_rows = record.rows
        self._layer_index = {layer: i for i, layer in enumerate(manifest.layers)}
        self._checksums: dict[str, Array] = {}
        self._views: dict[tuple[str, int], Array] = {}
        check_size(folder, record)
        if record.states is not None:
            self._check_outside(record, record.states)
        states = states or record.states is None or record.outside_crc32 is None
        self._unchecked = {
            tier: np.full((len(manifest.layers), self.n_rows), check) for tier in manifest.tiers
        }
        try:
            with (
                open(self.path, "rb", buffering=0) as handle,
                layout_of(self.path, record, manifest, self._fault) as layout,
            ):
                self._read_columns(layout, handle, manifest.measures)
                if not states:
                    return
                self._find_states(layout, manifest)
        except CacheCorrupt:
            raise
        except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
            if getattr(error, "errno", None) == errno.EMFILE:
                raise
            by = (
                "the places in its record do not fit"
                if record.says_where
                else "HDF5 cannot read it"
            )
            raise self._fault(f"{by} ({error})") from error
        self._mapped = mapped or Mapped()
        self._bytes: Array = self._mapped.map(self.path)
        if check and record.states is None:
            blocks = [
                (offset, offset + math.prod(shape) * dtype.itemsize)
                for places in self._places.values()
                for offset, shape, dtype in places
            ]
            self._check_outside(record, runs_of(blocks))

    def _read_columns(self, layout: Layout, handle: FileIO, measures: Sequence[str]) -> None:
        """Read what there is once an utterance: its id, lengths and measures."""

        def column(name: str, kind: str) -> Array:
            offset, shape, dtype = layout.column(name, kind)
            n_bytes = math.prod(shape) * dtype.itemsize
            return np.frombuffer(bytearray(os.pread(handle.fileno(), n_bytes, offset)), dtype)

        self.utterance_ids = [name.decode() for name in column("utterance_id", "S").tolist()]
        self.n_samples = column("n_samples", "i")
        self.n_frames = column("n_frames", "i")
        if (self.n_frames < 0).any():
            raise self._fault("/n_frames holds negative numbers")
        self.offsets = np.concatenate([[0], np.cumsum(self.n_frames)])
        self.measures = {name: column(f"measures/{name}", "f") for name in measures}

    def _find_states(self, layout: Layout, manifest: Manifest) -> None:
        """Find the hidden states of each tier, and read their checksums."""
        shapes, dtypes = data_sets(manifest, self.n_rows, sum(self.n_frames.tolist()))
        self._places = {
            tier: layout.states(tier, shapes[tier], dtypes[tier]) for tier in manifest.tiers
        }
        for tier in manifest.tiers:
            offset, shape, dtype = layout.checksums(tier, self._unchecked[tier].shape)
            sums = np.fromfile(self.path, dtype, math.prod(shape), offset=offset)
            self._checksums[tier] = sums.reshape(shape)

    def _check_outside(self, record: ShardRecord, states: list[list[int]]) -> None:
        if record.outside_crc32 not in (None, crc32_outside(self.path, states)):
            raise self._fault("bytes outside the hidden states do not match their checksum")

    def _fault(self, what: str) -> CacheCorrupt:
        return shard_fault(self.path, what)

    def _view(self, tier: str, layer: int) -> Array:
        if (tier, layer) not in self._views:
            offset, shape, dtype = self._places[tier][self._layer_index[layer]]
            found = (
                self._bytes[offset : offset + math.prod(shape) * dtype.itemsize]
                .view(dtype)
                .reshape(shape)
            )
            self._views[tier, layer] = found
        return self._views[tier, layer]

    def pooled(self, layer: int) -> Array:
        """Mapped view (N, 2, D) of the pooled statistics of `layer`, not checked (see `check`)."""
        return self._view("pooled", layer)

    def frames(self, layer: int) -> Array:
        """Mapped view of all frames of `layer`, not checked: (F, D), or (F,) records of int8."""
        return self._view("frames", layer)

    def block(self, tier: str, layer: int, row: int) -> Array:
        """Mapped view of an utterance in one layer of one tier, as it is stored, checked."""
        self.check(tier, [layer], [row])
        return self._block(tier, layer, row)

    def read(self, layers: Sequence[int], row: int, out: Array) -> None:
        """Read all frames of an utterance in some layers into `out` (layers, n_frames, D), checked.

        What was not checked before is read, not mapped, and checked in `out` while the processor
        has it in its own memory. What must be decoded or cast is checked where it is mapped.
        """
        left = list(zip(layers, out, strict=True))
        if self._unchecked["frames"][[self._layer_index[layer] for layer in layers], row].any():
            # a file that was removed since is still mapped
            with suppress(OSError), FileIO(self.path) as handle:
                left = [
                    (layer, target)
                    for layer, target in left
                    if not self._read_first(handle, layer, row, target)
                ]
        if left:
            self.check("frames", [layer for layer, _ in left], [row])
        for layer, target in left:
            decode(self._block("frames", layer, row), target)

    def _read_first(self, handle: FileIO, layer: int, row: int, out: Array) -> bool:
        """Whether frames, read for the first time, could be read as stored and were right."""
        i = self._layer_index[layer]
        stored = self._block("frames", layer, row)
        if (
            not self._unchecked["frames"][i, row]
            or stored.dtype != out.dtype
            or not out.flags.c_contiguous
        ):
            return False
        data = out.reshape(-1).view(np.uint8).data
        handle.seek(self._places["frames"][i][0] + int(self.offsets[row]) * stored.strides[0])
        if handle.readinto(data) != len(data) or crc32(data) != self._checksums["frames"][i, row]:
            return False
        self._unchecked["frames"][i, row] = False
        return True

    def check(self, tier: str, layers: Sequence[int], rows: Sequence[int] | Array) -> None:
        """Compare blocks of utterances with their checksums, unless that was done before.

        Everything that is read of a map goes through here first, and is counted.

        Raises CacheCorrupt naming the first utterance whose bytes are not those that were written.
        """
        unchecked = self._unchecked[tier]
        rows = np.asarray(rows)
        _, shape, dtype = self._places[tier][0]
        n = int(self.n_frames[rows].sum()) if tier == "frames" else len(rows)
        self._mapped.count(len(layers) * n * math.prod(shape[1:]) * dtype.itemsize)
        for layer in layers:
            i = self._layer_index[layer]
            left = rows[unchecked[i, rows]]
            for row, matches in zip(left.tolist(), self._match(tier, layer, left), strict=True):
                if not matches:
                    name = self.utterance_ids[row]
                    raise self._fault(f"{name}: {tier} layer {layer} does not match its checksum")
                unchecked[i, row] = False

    def bad_blocks(self) -> list[tuple[str, int, int]]:
        """Every (tier, layer, row) whose bytes do not match their checksum."""
        return [
            (tier, layer, row)
            for tier in self._places
            for layer in self._layer_index
            for row, matches in enumerate(self._match(tier, layer, np.arange(self.n_rows)))
            if not matches
        ]

    def _match(self, tier: str, layer: int, rows: Array) -> Iterator[bool]:
        """Whether the bytes of utterances in a layer have their checksums, one by one."""
        if not len(rows):
            return
        stored = np.ascontiguousarray(
            self.frames(layer) if tier == "frames" else self.pooled(layer)
        )
        # slices of it cost less than rows of the array
        data = stored.reshape(-1).view(np.uint8).data
        size = len(data) // max(len(stored), 1)
        first, last = (
            (self.offsets[rows], self.offsets[rows + 1]) if tier == "frames" else (rows, rows + 1)
        )
        wanted = self._checksums[tier][self._layer_index[layer], rows]
        for start, end, checksum in zip(
            (size * first).tolist(), (size * last).tolist(), wanted.tolist(), strict=True
        ):
            yield crc32(data[start:end]) == checksum

    def _block(self, tier: str, layer: int, row: int) -> Array:
        if tier == "frames":
            return self.frames(layer)[self.offsets[row] : self.offsets[row + 1]]
        return self.pooled(layer)[row : row + 1]
