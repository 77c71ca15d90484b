"""A worker of a cluster: it extracts the shards that it is given, each to a file of its own."""

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pandas as pd
import torch

from cache.atomic import PARTIAL
from cache.manifest import Manifest, ShardRecord, shard_name
from cache.shard import Array
from cache.shard_writer import ShardWriter
from probing.corpora import Corpus
from probing.extraction.estimate import Estimate, estimate
from probing.extraction.extracting import new_manifest, new_pipeline
from probing.extraction.machine import Machine
from probing.extraction.options import Options

STEP_S = 1.0


@dataclass(frozen=True)
class Hello:
    """What a worker says when its model is loaded.

    The manifest and the shard size are those of an extraction by this worker alone.
    """

    manifest: Manifest
    shard_size: int
    name: str
    device: str
    place: str


@dataclass
class Step:
    """What a worker did since its last answer; `seconds` by stage since it began."""

    records: list[ShardRecord] = field(default_factory=list)
    utterances: int = 0
    audio_seconds: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


class GivenShards:
    """What a pipeline of a worker reads from and writes to, in the place of a CacheWriter.

    Shards are what the driver gave, files have names that no other worker uses.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.given: SimpleQueue[tuple[int, pd.DataFrame] | None] = SimpleQueue()
        self.events: SimpleQueue[ShardRecord | tuple[int, float] | BaseException] = SimpleQueue()
        self._first: list[tuple[int, pd.DataFrame]] = []
        self._token = uuid.uuid4().hex

    def wait(self) -> bool:
        """Wait until there is a shard to extract, or False if there is to be none any more."""
        item = self.given.get()
        self._first = [] if item is None else [item]
        return item is not None

    def pending(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """The shards that are there now."""
        while True:
            try:
                item = self._first.pop() if self._first else self.given.get_nowait()
            except Empty:
                return
            if item is None:
                self.given.put(None)
                return
            yield item

    def start_shard(
        self,
        index: int,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, Array],
    ) -> ShardWriter:
        """As that of a CacheWriter."""
        path = self.folder / f"{shard_name(index)}.{self._token}{PARTIAL}"
        return ShardWriter(
            self.folder,
            index,
            manifest=self.manifest,
            utterance_ids=utterance_ids,
            n_samples=n_samples,
            n_frames=n_frames,
            measures=measures,
            path=path,
        )

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """As that of a CacheWriter, but it is the driver that records the shard."""
        self.events.put(
            shard.finish(failures)
            if shard
            else ShardRecord(index, None, rows=0, bytes=0, crc32=0, failures=dict(failures))
        )


class Worker:
    """A process that extracts the shards it is given; Ray's actor."""

    def hello(
        self, corpus: Corpus, options: Options, machine: Machine, threads: int | None
    ) -> Hello:
        """Load the model."""
        if threads is not None:
            torch.set_num_threads(threads)
        self.root = corpus.root
        self.options = options
        self.machine = machine
        self.backbone = options.load_backbone(machine.device, machine.attention)
        return Hello(
            new_manifest(self.backbone, corpus, options),
            machine.shard_size_on(self.backbone),
            name=self.backbone.name,
            device=str(self.backbone.device),
            place=f"process {os.getpid()} on {socket.gethostname()}",
        )

    def estimate(self, folder: Path, rows: pd.DataFrame, manifest: Manifest) -> Estimate:
        """What the pending utterances will need."""
        return estimate(folder, self.root, rows, self.backbone, self.options.cropping, manifest)

    def begin(self, folder: Path, manifest: Manifest, strict: bool) -> None:
        """Start to work on what will be given."""
        self.shards = GivenShards(folder, manifest)
        self.pipeline = new_pipeline(
            self.shards,
            self.root,
            backbone=self.backbone,
            options=self.options,
            machine=self.machine,
            strict=strict,
            on_batch=lambda n, seconds: self.shards.events.put((n, seconds)),
        )
        Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while self.shards.wait():
                self.pipeline.run()
        except BaseException as error:  # goes to the driver
            self.shards.events.put(error)

    def step(self, given: list[tuple[int, pd.DataFrame]]) -> Step:
        """Take more shards, and say what was done, within about a second."""
        for item in given:
            self.shards.given.put(item)
        step = Step()
        deadline = time.monotonic() + STEP_S
        while not step.records and (left := deadline - time.monotonic()) > 0:
            try:
                event = self.shards.events.get(timeout=left)
            except Empty:
                break
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, ShardRecord):
                step.records.append(event)
            else:
                step.utterances += event[0]
                step.audio_seconds += event[1]
        step.seconds = dict(self.pipeline.seconds)
        return step
