"""The pipeline of one shard: decode in threads, forward by batches of near length, pool, and write behind it.

HDF5's lock, the decoder and the disk never hold the model up unless they are slower than it: decoding runs one shard
ahead, writing runs behind in one thread, and both release the interpreter lock. On a CPU several forward passes run
beside each other with few threads each: one pass on all cores waits at a barrier after every operation, which costs
most when the machine is busy with something else.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError
from cache.manifest import Manifest
from cache.shard import ShardWriter
from probing.audio import MEASURES, Cropping, Waveform
from probing.backbones import Backbone
from probing.extraction.states import Clip, UnusableStates, batches, decode, states_of

WRITES_AHEAD = 8


@dataclass(frozen=True)
class Fill:
    """Rows of a shard that need no extraction (see repair).

    rows: (utterance_id, n_samples, measures) of each.
    copy: writes them to a new shard, given the row of each utterance.
    """

    rows: list[tuple[str, int, dict[str, float]]]
    copy: Callable[[ShardWriter, dict[str, int]], None]


class Shards(Protocol):
    """Where a pipeline takes its work from and puts it; a CacheWriter, mostly."""

    manifest: Manifest

    def pending(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Shards to extract: number and planned utterances."""

    def start_shard(
        self,
        index: int,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, NDArray[Any]],
    ) -> ShardWriter:
        """A partial shard to write hidden states to."""

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """Take a shard that is whole; None where no utterance of it could be used."""


class Pipeline:
    """Turns planned utterances into shards.

    Args:
        root: folder that the paths of the table start from.
        backbone, cropping: what computes, and on how much of a clip.
        writer: an open cache.
        batch_size: most utterances a forward pass.
        passes: forward passes beside each other.
        workers: decoding threads.
        strict: stop at the first utterance that cannot be used.
        on_batch: called with (utterances, seconds of audio) after each batch.

    Attributes:
        seconds: time of the main thread by stage: waiting for `decode`, in `forward`, waiting for `write`.
    """

    def __init__(
        self,
        root: Path,
        backbone: Backbone,
        cropping: Cropping,
        writer: Shards,
        *,
        batch_size: int,
        passes: int,
        workers: int,
        strict: bool = False,
        on_batch: Callable[[int, float], None] = lambda n, seconds: None,
    ) -> None:
        self.root, self.backbone, self.cropping, self.writer = root, backbone, cropping, writer
        self.batch_size, self.strict, self.on_batch = batch_size, strict, on_batch
        self.seconds = {"decode": 0.0, "forward": 0.0, "write": 0.0}
        self._decoders = ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode")
        self._replicas: SimpleQueue[Backbone] = SimpleQueue()
        for replica in (backbone, *(backbone.replica() for _ in range(passes - 1))):
            self._replicas.put(replica)
        self._passes = ThreadPoolExecutor(passes, thread_name_prefix="forward")
        self._ahead = passes + 1
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writes: deque[Future[None]] = deque()

    def close(self) -> None:
        """Stop the threads; what is still to be decoded or computed is dropped, what is computed is written."""
        for threads in (self._decoders, self._passes):
            threads.shutdown(wait=True, cancel_futures=True)
        self._scribe.shutdown(wait=True)

    def run(self) -> None:
        """Extract every pending shard of the writer."""
        pending = self.writer.pending()
        ahead = [(index, self.decode(rows)) for index, rows in itertools.islice(pending, 1)]
        while ahead:
            index, clips = ahead.pop()
            ahead += [(following, self.decode(rows)) for following, rows in itertools.islice(pending, 1)]
            self.extract_shard(index, self.wait_for(clips))
        self.drain()

    def decode(self, rows: pd.DataFrame) -> list[Future[Clip]]:
        """Start decoding the utterances of a table."""
        return [
            self._decoders.submit(decode, name, self.root / path, self.cropping, self.backbone.min_samples)
            for name, path in zip(rows["utterance_id"], rows["path"], strict=True)
        ]

    def wait_for(self, clips: Sequence[Future[Clip]]) -> list[Clip]:
        """The decoded clips, in the order asked for."""
        started = time.perf_counter()
        done = [clip.result() for clip in clips]
        self.seconds["decode"] += time.perf_counter() - started
        for clip in done:
            if self.strict and clip.failure:
                raise ProbeError(
                    f"--strict: {clip.utterance_id}: {clip.failure}. Mend the file, or leave --strict out."
                )
        return done

    def extract_shard(self, index: int, clips: Sequence[Clip], fill: Fill | None = None) -> None:
        """Extract one shard from decoded clips; `fill` brings rows that are good already."""
        failures = {clip.utterance_id: clip.failure for clip in clips if clip.failure}
        usable = [clip for clip in clips if clip.waveform is not None]
        while True:
            try:
                self._try_shard(index, usable, failures, fill)
                return
            except UnusableStates as error:
                if self.strict:
                    raise ProbeError(f"--strict: hidden states of {error} are not finite.") from None
                failures |= dict.fromkeys(error.utterance_ids, "hidden states are not finite")
                usable = [clip for clip in usable if clip.utterance_id not in failures]

    def _try_shard(self, index: int, clips: list[Clip], failures: dict[str, str], fill: Fill | None) -> None:
        waveforms = {clip.utterance_id: clip.waveform for clip in clips if clip.waveform is not None}
        kept = fill.rows if fill else []
        rows = sorted(
            [
                *((len(waveforms[clip.utterance_id]), clip.utterance_id, clip.measures) for clip in clips),
                *((n_samples, utterance_id, measures) for utterance_id, n_samples, measures in kept),
            ],
            key=lambda row: row[:2],
        )
        if not rows:
            self._later(self.writer.finish_shard, index, None, failures)
            return
        shard = self.writer.start_shard(
            index,
            [name for _, name, _ in rows],
            [n for n, _, _ in rows],
            [self.backbone.n_frames(n) for n, _, _ in rows],
            {name: np.array([measures[name] for _, _, measures in rows]) for name in MEASURES},
        )
        outstanding: deque[tuple[list[int], float, Future[dict[str, NDArray[Any]]]]] = deque()

        def take(most: int) -> None:
            while len(outstanding) > most:
                done_rows, seconds, blocks = outstanding[0]
                started = time.perf_counter()
                values = blocks.result()
                self.seconds["forward"] += time.perf_counter() - started
                outstanding.popleft()
                self._later(_write, shard, done_rows, self.writer.manifest.layers, values)
                self.on_batch(len(done_rows), seconds)

        try:
            new = [i for i, (_, name, _) in enumerate(rows) if name in waveforms]
            for run in batches([rows[i][0] for i in new], self.batch_size, self.backbone.padding):
                batch = {rows[i][1]: waveforms[rows[i][1]] for i in new[run]}
                seconds = sum(map(len, batch.values())) / self.backbone.sampling_rate
                outstanding.append((new[run], seconds, self._passes.submit(self._forward, batch)))
                take(self._ahead)
            take(0)
            if fill:
                self._later(fill.copy, shard, {name: i for i, (_, name, _) in enumerate(rows)})
        except BaseException:
            for _, _, blocks in outstanding:
                blocks.cancel()
            wait([blocks for _, _, blocks in outstanding])
            wait(self._writes)  # those of the shard before count, also where they failed
            self._writes = deque(write for write in self._writes if write.exception())
            shard.abort()
            raise
        self._later(self.writer.finish_shard, index, shard, failures)

    def _forward(self, batch: dict[str, Waveform]) -> dict[str, NDArray[Any]]:
        """Hidden states of a batch as they go to disk: tier -> (layers, ...)."""
        backbone = self._replicas.get()
        try:
            return states_of(batch, backbone, self.writer.manifest.layers, self.writer.manifest.tiers)
        finally:
            self._replicas.put(backbone)

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        self._writes.append(self._scribe.submit(work, *arguments))
        self.drain(WRITES_AHEAD)

    def drain(self, most: int = 0) -> None:
        """Wait until at most `most` writes are outstanding."""
        started = time.perf_counter()
        while len(self._writes) > most:
            self._writes.popleft().result()
        self.seconds["write"] += time.perf_counter() - started


def _write(shard: ShardWriter, rows: list[int], layers: Sequence[int], blocks: dict[str, NDArray[Any]]) -> None:
    first, n_rows = rows[0], len(rows)
    contiguous = rows == list(range(first, first + n_rows))
    for tier, block in blocks.items():
        for layer, values in zip(layers, block, strict=True):
            if contiguous:
                shard.write(first, tier, layer, values, n_rows)
                continue
            at = 0
            for row in rows:
                n = int(shard.offsets[row + 1] - shard.offsets[row]) if tier == "frames" else 1
                shard.write(row, tier, layer, values[at : at + n], 1)
                at += n
