"""The pipeline of shards: decode in threads, forward by batches of near length, pool, write.

HDF5's lock, the decoder and the disk never hold the model up unless they are slower than it:
decoding runs one shard ahead, writing runs behind in one thread, and both release the interpreter
lock. On a CPU several forward passes run in parallel with few threads each: one pass on all
cores waits at a barrier after every operation, which costs most when the machine is busy with
something else.

Memory is bounded: half of what is allowed holds decoded audio, half the batches between their start
and the disk, of which one is always let through.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError, argument
from cache.quantization import bytes_of
from cache.shard_writer import ShardWriter
from probing.accelerators import new_stream, on_stream
from probing.audio import Cropping
from probing.augmentation import View
from probing.backbones import Backbone
from probing.extraction.shards import KeptRows, Shards, write_states
from probing.extraction.states import Clip, UnusableStates, batches, states_of
from probing.extraction.waveforms import Waveforms

MARK = "mark"
STOP = "stop"
WRITES_AHEAD = 8  # a kill loses no more than these


@dataclass(frozen=True)
class Batch:
    """Utterances on their way through the model: rows in the shard, seconds and bytes.

    Seconds are of audio, bytes of audio and states.
    """

    rows: list[int]
    seconds: float
    n_bytes: int
    states: Future[dict[str, NDArray[Any]]]


class Pipeline:
    """Turns planned utterances into shards.

    Args:
        root: folder that the paths of the table start from.
        backbone, cropping: what computes, and on how much of a clip.
        writer: an open cache.
        batch_size: most utterances a forward pass.
        passes: forward passes in parallel.
        workers: decoding threads.
        memory: bytes of decoded audio and of hidden states on their way, beside the model, its
            passes and one batch.
        strict: stop at the first utterance that cannot be used.
        on_nonfinite: see `Machine`.
        on_batch: called with (utterances, seconds of audio) after each batch.
        view_of: number of a shard -> what its clips are heard through.
        shared: whether the same files are in several shards, see `Waveforms`.

    Attributes:
        seconds: time of the main thread by stage: waiting for `decode`, in `forward`, waiting for
            `write`.
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
        memory: int,
        strict: bool = False,
        on_nonfinite: str = "auto",
        on_batch: Callable[[int, float], None] = lambda n, seconds: None,
        view_of: Callable[[int], View | None] = lambda index: None,
        shared: bool = False,
    ) -> None:
        self._view_of = view_of
        self.backbone = backbone
        self.writer = writer
        self.on_nonfinite = on_nonfinite
        self.batch_size = batch_size
        self.strict = strict
        self.on_batch = on_batch
        self.seconds = {"decode": 0.0, "forward": 0.0, "write": 0.0}
        self._waveforms = Waveforms(
            root, cropping, min_samples=backbone.min_samples, most=memory // 2, shared=shared
        )
        self._decoders = ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode")
        self._replicas: SimpleQueue[tuple[Backbone, Any]] = SimpleQueue()
        for replica in (backbone, *(backbone.replica() for _ in range(passes - 1))):
            self._replicas.put((replica, new_stream(backbone.device)))
        self._passes = ThreadPoolExecutor(passes, thread_name_prefix="forward")
        self._batches: deque[Batch] = deque()
        self._most_batches, self._most_on_their_way = passes + 1, memory // 2
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writes: deque[tuple[Future[None], int]] = deque()

    def close(self) -> None:
        """Stop the threads; what is computed is still written, the rest dropped."""
        for threads in (self._decoders, self._passes):
            threads.shutdown(wait=True, cancel_futures=True)
        self._scribe.shutdown(wait=True)

    def run(self) -> None:
        """Extract every pending shard of the writer."""
        pending = self.writer.pending()
        ahead = [(index, self.decode(index, rows)) for index, rows in itertools.islice(pending, 1)]
        while ahead:
            index, clips = ahead.pop()
            ahead += [
                (following, self.decode(following, rows))
                for following, rows in itertools.islice(pending, 1)
            ]
            self.extract_shard(index, self.wait_for(clips))
        self.drain()

    def decode(self, index: int, rows: pd.DataFrame) -> list[Future[Clip]]:
        """Start decoding the utterances of a table, which are of one shard."""
        view = self._view_of(index)
        return [
            self._decoders.submit(self._waveforms.decode, name, path, view)
            for name, path in zip(rows["utterance_id"], rows["path"], strict=True)
        ]

    def wait_for(self, clips: Sequence[Future[Clip]]) -> list[Clip]:
        """The decoded clips, in the order of the futures."""
        started = time.perf_counter()
        done = [clip.result() for clip in clips]
        self.seconds["decode"] += time.perf_counter() - started
        for clip in done:
            if self.strict and clip.failure:
                raise OptionError(
                    "strict",
                    True,
                    f"{clip.utterance_id}: {clip.failure}. Mend the file, or leave "
                    f"{argument('strict', True)} out.",
                )
        return done

    def extract_shard(
        self, index: int, clips: Sequence[Clip], kept: KeptRows | None = None
    ) -> None:
        """Extract one shard from decoded clips; `kept` brings rows that are good already."""
        failures = {clip.utterance_id: clip.failure for clip in clips if clip.failure}
        usable = [clip for clip in clips if not clip.failure]
        while True:
            try:
                self._try_shard(index, usable, failures, kept)
                return
            except UnusableStates as error:
                if (
                    self.strict
                    or self.on_nonfinite == STOP
                    or (error.overflow and self.on_nonfinite != MARK)
                ):
                    raise error.refusal(
                        f"{argument('strict', True)}"
                        if self.strict
                        else f"{argument('on_nonfinite', self.on_nonfinite)}"
                    ) from None
                failures |= error.reasons
                usable = [clip for clip in usable if clip.utterance_id not in failures]

    def _try_shard(
        self, index: int, clips: list[Clip], failures: dict[str, str], kept: KeptRows | None
    ) -> None:
        rows = [(clip.n_samples, clip.utterance_id, clip.measures) for clip in clips]
        if kept:
            rows += [(n_samples, name, measures) for name, n_samples, measures in kept.rows]
        rows.sort(key=lambda row: row[:2])
        if not rows:
            self._later(self.writer.finish_shard, index, None, failures)
            return
        names = [name for _, name, _ in rows]
        place = {name: i for i, name in enumerate(names)}
        shard = self.writer.start_shard(
            index,
            names,
            n_samples=[n for n, _, _ in rows],
            n_frames=[self.backbone.n_frames(n) for n, _, _ in rows],
            measures={
                name: np.array([measures[name] for _, _, measures in rows])
                for name in self.writer.manifest.measures
            },
        )
        try:
            self._compute(shard, sorted(clips, key=lambda clip: place[clip.utterance_id]), place)
            if kept:
                self._later(kept.copy, shard, place)
        except BaseException:
            self._drop_batches()
            shard.abort()
            raise
        self._later(self.writer.finish_shard, index, shard, failures)

    def _compute(self, shard: ShardWriter, clips: Sequence[Clip], place: Mapping[str, int]) -> None:
        """Send clips, by length, through the model, and what comes out to their rows."""
        lengths = [clip.n_samples for clip in clips]
        for run in batches(lengths, self.batch_size, self.backbone.padding):
            chosen = clips[run]
            self._start(shard, [place[clip.utterance_id] for clip in chosen], list(chosen))
        while self._batches:
            self._finish_batch(shard)

    def _drop_batches(self) -> None:
        """Wait for what is on its way, and forget it but for the failures of its writes."""
        for batch in self._batches:
            batch.states.cancel()
        wait([batch.states for batch in self._batches])
        self._batches.clear()
        # those of the shard before count, also if they failed
        wait([write for write, _ in self._writes])
        self._writes = deque(item for item in self._writes if item[0].exception())

    def _start(self, shard: ShardWriter, rows: list[int], clips: list[Clip]) -> None:
        """Send a batch through the model, when there is room for what comes out."""
        n_samples = sum(clip.n_samples for clip in clips)
        n_bytes = self._bytes_of(clips)
        while len(self._batches) > self._most_batches:
            self._finish_batch(shard)
        while (
            on_their_way := self._on_their_way()
        ) and on_their_way + n_bytes > self._most_on_their_way:
            if self._writes:
                self._finish_write()
            else:
                self._finish_batch(shard)
        states = self._passes.submit(self._forward, clips)
        self._batches.append(Batch(rows, n_samples / self.backbone.sampling_rate, n_bytes, states))

    def _bytes_of(self, clips: Sequence[Clip]) -> int:
        """Bytes of a batch: its samples, and its states as they go to disk."""
        manifest = self.writer.manifest
        vectors = {
            "pooled": 2 * len(clips),
            "frames": sum(self.backbone.n_frames(clip.n_samples) for clip in clips),
        }
        states = sum(
            vectors[tier] * bytes_of(dtype, manifest.dim) for tier, dtype in manifest.tiers.items()
        )
        return 4 * sum(clip.n_samples for clip in clips) + len(manifest.layers) * states

    def _on_their_way(self) -> int:
        """Bytes of the batches that were started and are not on disk."""
        return sum(batch.n_bytes for batch in self._batches) + sum(
            n_bytes for _, n_bytes in self._writes
        )

    def _finish_batch(self, shard: ShardWriter) -> None:
        """Wait for the oldest batch and pass it on to the disk."""
        batch = self._batches[0]
        started = time.perf_counter()
        states = batch.states.result()
        self.seconds["forward"] += time.perf_counter() - started
        self._batches.popleft()
        layers = self.writer.manifest.layers
        self._later(write_states, shard, batch.rows, layers, states, n_bytes=batch.n_bytes)
        self.on_batch(len(batch.rows), batch.seconds)

    def _forward(self, clips: list[Clip]) -> dict[str, NDArray[Any]]:
        """Hidden states of a batch as they go to disk: tier -> (layers, ...)."""
        batch = {clip.utterance_id: self._waveforms.take(clip) for clip in clips}
        backbone, stream = self._replicas.get()
        try:
            with on_stream(stream):
                return states_of(
                    batch, backbone, self.writer.manifest.layers, self.writer.manifest.tiers
                )
        finally:
            self._replicas.put((backbone, stream))

    def _later(self, work: Callable[..., None], *arguments: object, n_bytes: int = 0) -> None:
        self._writes.append((self._scribe.submit(work, *arguments), n_bytes))
        while self._writes and (len(self._writes) > WRITES_AHEAD or self._writes[0][0].done()):
            self._finish_write()

    def _finish_write(self) -> None:
        """Wait for the oldest write."""
        started = time.perf_counter()
        self._writes.popleft()[0].result()
        self.seconds["write"] += time.perf_counter() - started

    def drain(self) -> None:
        """Wait until everything computed is written."""
        while self._writes:
            self._finish_write()
