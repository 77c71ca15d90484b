"""The reader of a cache: hidden states and the table that says whose they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import CacheCorrupt, ProbeError, argument
from cache.manifest import Manifest, describe_layers, load_manifest
from cache.mapping import Mapped, with_more_files
from cache.picture import html_of
from cache.places import fill_places
from cache.quantization import decode, read_as
from cache.selection import Where as Where
from cache.selection import selected
from cache.shard import Array, Shard
from cache.table import failures_of, load_table
from cache.timing import FrameTiming, timing_of


class Cache:
    """A cache folder, open for reading; only what is asked for is loaded.

    The folder may be read-only and may still be growing: what was finished when it was opened is
    there. An object may be pickled and used in worker processes.

    Args:
        folder: the cache.
        check: compare what is read with its checksums, each block the first time it is read.

    Attributes:
        layers: layer numbers stored; 0 is what enters the first block, k the raw output of block k.
        dim: width D of a hidden state.
        tiers: tier name -> dtype on disk; frames that are int8 on disk are read as float32.
        fingerprint, id: everything that changes a number, and its short name.
        about: backbone, corpus and options as a person reads them.
        utterances: DataFrame, one row per utterance that has hidden states, in the order of the
            ids.
        n_planned: utterances that it is to hold; more than `len(cache)` while it is unfinished.

    Raises:
        CacheMissing, CacheCorrupt.

    >>> cache = Cache("results/demo.cache")
    >>> cache.layers, cache.dim
    ([0, 1, 2, 3, 4], 192)
    >>> states, table = cache.layer(3, where={"split": "dev"})
    >>> states.shape == (len(table), 2, 192)
    True
    """

    def __init__(self, folder: str | Path, *, check: bool = True) -> None:
        self.folder, self.check = Path(folder), check
        self.manifest, table = _open(self.folder)
        self.layers = list(self.manifest.layers)
        self.dim = self.manifest.dim
        self.tiers = dict(self.manifest.tiers)
        self.fingerprint = self.manifest.fingerprint
        self.id = self.manifest.id
        self.about = self.manifest.about
        self.failures = failures_of(self.manifest, table)
        self.n_planned = len(table)
        self.utterances = table[table["row"] >= 0].reset_index(drop=True)
        self._records = {record.index: record for record in self.manifest.shards}
        self._shards: dict[int, Shard] = {}
        self._mapped = Mapped()
        self._place_of: dict[str, tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self.utterances)

    def __repr__(self) -> str:
        return (
            f"Cache({str(self.folder)!r}: {self.about.get('backbone')}, {len(self)} utterances, "
            f"layers {describe_layers(self.layers)} x {self.dim}, {' + '.join(self.tiers)})"
        )

    def _repr_html_(self) -> str:
        return html_of(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}, "_mapped": Mapped(), "_place_of": None}

    @property
    def finished(self) -> bool:
        """Whether every planned utterance was extracted or recorded as unusable."""
        return len(self) + len(self.failures) == self.n_planned

    @property
    def n_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(record.bytes for record in self.manifest.shards)

    @property
    def failure_counts(self) -> dict[str, int]:
        """How many utterances could not be used, by the kind of the reason, most first."""
        kinds = (
            self.failures["reason"]
            .str.split(":")
            .str[0]
            .str.replace(r"^\d+ ", "", regex=True)
            .value_counts()
        )
        return {str(kind): int(n) for kind, n in kinds.items()}

    def select(self, where: Where = None) -> pd.DataFrame:
        """The utterances that `where` names, in the order of the table.

        `where` is a pandas query (`"split == 'dev' and attack != 'A05'"`), a mapping of columns to
        a value or a list of values (`{"split": "dev"}`), a function of the table, or a boolean per
        row; None is all.
        """
        return selected(self.utterances, where)

    def layer(
        self, k: int, tier: str = "pooled", where: Where = None
    ) -> tuple[Array, pd.DataFrame]:
        """One layer of the selected utterances, and their table.

        Returns:
            `pooled`: (N, 2, D), mean and standard deviation over the valid frames. `frames`: (sum
            of frames, D), the rows of utterance i being `table.first_frame[i] :
            table.first_frame[i] + table.n_frames[i]`.
        """
        self.require(tier, [k])
        table = self.select(where).reset_index(drop=True)
        if tier == "pooled":
            return self.pooled([k], table)[0], table
        counts = table["n_frames"].to_numpy()
        first = np.cumsum(counts) - counts
        out = np.empty((int(counts.sum()), self.dim), read_as(self.tiers[tier]))
        for shard, positions, rows in self.by_shard(table):
            stored = shard.frames(k)
            lengths = shard.n_frames[rows]
            for i in positions[lengths != counts[positions]].tolist():
                raise CacheCorrupt(
                    f"{self.folder}: {table['utterance_id'][i]} has "
                    f"not {counts[i]} frames in its shard"
                )
            shard.check(tier, [k], rows)
            starts = shard.offsets[rows]
            for start, n, at in zip(
                starts.tolist(), lengths.tolist(), first[positions].tolist(), strict=True
            ):
                decode(stored[start : start + n], out[at : at + n])
        return out, table.assign(first_frame=first)

    def pooled(
        self, layers: Sequence[int] | None = None, table: pd.DataFrame | None = None
    ) -> Array:
        """Pooled statistics (layers, N, 2, D) of the rows of a table, as `select` gives it."""
        layers = self.layers if layers is None else list(layers)
        self.require("pooled", layers)
        table = self.utterances if table is None else table
        out = np.empty((len(layers), len(table), 2, self.dim), self.tiers["pooled"])
        for shard, positions, rows in self.by_shard(table):
            first = int(positions[0])
            # as where a cache was made in one go
            together = int(positions[-1]) - first + 1 == len(positions)
            shard.check("pooled", layers, rows)  # also refuses rows that are not there
            for i, layer in enumerate(layers):
                if together:
                    target = out[i, first : first + len(positions)]
                    np.take(shard.pooled(layer), rows, axis=0, out=target, mode="clip")
                else:
                    out[i, positions] = shard.pooled(layer)[rows]
        return out

    def by_shard(
        self, table: pd.DataFrame
    ) -> Iterator[tuple[Shard, NDArray[np.intp], NDArray[np.int64]]]:
        """The shards that a table needs, with its positions in each, and their rows there."""
        rows = table["row"].to_numpy()
        shards = table["shard"].to_numpy()
        order = np.argsort(shards, kind="stable")
        for positions in (
            np.split(order, np.flatnonzero(np.diff(shards[order])) + 1) if len(table) else []
        ):
            yield self._shard(int(shards[positions[0]])), positions, rows[positions]

    def frames(
        self, utterance_ids: Sequence[str], layers: Sequence[int] | None = None
    ) -> list[Array]:
        """All frames of a few utterances over `layers`, by default all.

        `range(k + 1)` are the layers 0..k.

        Returns:
            One array (layers, n_frames, D) an utterance, in the order of the ids.
        """
        layers = self.layers if layers is None else list(layers)
        self.require("frames", layers)
        clips = []
        for index, row in self._places(utterance_ids):
            shard = self._shard(index)
            out = np.empty(
                (len(layers), int(shard.n_frames[row]), self.dim), read_as(self.tiers["frames"])
            )
            _read(shard, row, layers=layers, first=0, out=out)
            clips.append(out)
        return clips

    def frames_into(
        self,
        out: Array,
        utterance_ids: Sequence[str],
        layers: Sequence[int] | None = None,
        first: Sequence[int] | None = None,
    ) -> None:
        """Read a padded batch in one copy, where `frames` and padding would be two.

        Args:
            out: (B, layers, T, D) in any memory order, float32 or of the type that `frames` gives.
                Of each utterance it takes as many frames as T holds, and zeros after them.
            utterance_ids: B of them.
            layers: default all.
            first: frame of each utterance to begin at; default 0.
        """
        layers = self.layers if layers is None else list(layers)
        self.require("frames", layers)
        if out.shape[:2] != (len(utterance_ids), len(layers)) or out.shape[3:] != (self.dim,):
            raise ValueError(
                f"out is {out.shape}, expected ({len(utterance_ids)}, {len(layers)}, T, {self.dim})"
            )
        for i, (index, row) in enumerate(self._places(utterance_ids)):
            n_read = _read(
                self._shard(index),
                row,
                layers=layers,
                first=0 if first is None else first[i],
                out=out[i],
            )
            out[i, :, n_read:] = 0

    @property
    def frame_timing(self) -> FrameTiming:
        """When its frames are; ProbeError if nothing says it."""
        return timing_of(self.manifest, self.folder)

    def frame_times(self, utterance_id: str) -> NDArray[np.float64]:
        """The time of each frame of an utterance (n_frames,), in seconds from its beginning.

        It is the middle of what the front end sees for that frame: 12.5 ms for the first one of
        WavLM, HuBERT and wav2vec 2.0 (windows of 25 ms every 20 ms), 0 for that of Whisper. Frames
        need not be stored.

        Raises:
            ProbeError: no such utterance, or a backbone with a front end of its own, of which
                nothing says it.
        """
        index, row = self._places([utterance_id])[0]
        return self.frame_timing.times(int(self._shard(index).n_frames[row]))

    def require(self, tier: str, layers: Sequence[int]) -> None:
        """Raise ProbeError, naming those it has, for a tier or layer that it does not have."""
        if tier not in self.tiers:
            raise ProbeError(
                f"{self.folder}: no tier {tier!r}, only {', '.join(self.tiers)}. "
                f"Extract again with {argument(tier)} into another folder."
            )
        missing = [k for k in layers if k not in self.layers]
        if missing:
            raise ProbeError(
                f"{self.folder}: no layer {missing[0]}, only {describe_layers(self.layers)}"
            )

    def _places(self, utterance_ids: Sequence[str]) -> list[tuple[int, int]]:
        if self._place_of is None:
            places = zip(
                self.utterances["shard"].tolist(), self.utterances["row"].tolist(), strict=True
            )
            self._place_of = dict(zip(self.utterances["utterance_id"], places, strict=True))
        missing = [name for name in utterance_ids if name not in self._place_of]
        if missing:
            raise ProbeError(
                f"{self.folder}: no utterance {missing[0]!r} "
                f"({len(missing)} such ids). The ids: cache.utterances"
            )
        return [self._place_of[name] for name in utterance_ids]

    def _shard(self, index: int) -> Shard:
        if index not in self._shards:
            try:
                self._shards[index] = with_more_files(
                    lambda: Shard(
                        self.folder,
                        self._records[index],
                        self.manifest,
                        check=self.check,
                        mapped=self._mapped,
                    ),
                    self.folder,
                    len(self._records),
                )
            except CacheCorrupt:
                if self._records[index] in load_manifest(self.folder).shards:
                    raise
                raise CacheCorrupt(
                    f"{self.folder}: shard {index} was replaced since this cache was opened. "
                    f"Open it again: Cache({str(self.folder)!r})"
                ) from None
        return self._shards[index]


def _read(shard: Shard, row: int, layers: Sequence[int], first: int, out: Array) -> int:
    """Read frames of an utterance from `first` on into `out` (layers, T, D); gives how many."""
    start, stop = shard.offsets[row : row + 2].tolist()
    if not first and stop - start == out.shape[1]:
        shard.read(layers, row, out)
        return int(stop - start)
    shard.check("frames", layers, [row])
    start = min(start + first, stop)
    n_read = min(stop - start, out.shape[1])
    for i, layer in enumerate(layers):
        decode(shard.frames(layer)[start : start + n_read], out[i, :n_read])
    return n_read


def _open(folder: Path) -> tuple[Manifest, pd.DataFrame]:
    """The manifest and the table of a cache, of one moment, as it may be growing.

    Both are read again if a writer came between.
    """
    while True:
        manifest = load_manifest(folder)
        try:
            return manifest, fill_places(folder, manifest, load_table(folder, manifest))
        except CacheCorrupt:
            if load_manifest(folder) == manifest:
                raise
