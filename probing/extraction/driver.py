"""The driver of an extraction by Ray: one worker per GPU, or several on CPUs, and their shards.

A worker runs the same pipeline as a single machine does and writes whole shards under names of its
own; the driver, the only one to write `cache.json`, gives them their place in the cache. A shard
whose worker died is done again by another. Which machines there are, what runs where and what is
alive is Ray's business.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cache import ProbeError
from cache.errors import OptionError, argument
from cache.manifest import Manifest, ShardRecord, check_fingerprint
from cache.writer import CacheWriter
from probing.corpora import Corpus
from probing.extraction.estimate import Estimate
from probing.extraction.machine import Cluster, Machine
from probing.extraction.options import Options
from probing.extraction.ray_connection import Connection
from probing.extraction.worker import STEP_S, Hello, Step, Worker
from probing.progress import ProgressLine, limiting, several

SHARDS_HELD = 3  # by a worker: one is decoded, one is computed, one is written
MOST_DEATHS = 3  # of workers that held a shard, before it is taken to be the cause


@dataclass
class RemoteWorker:
    """A worker as the driver sees it.

    Attributes:
        number: from 1, as messages name it.
        actor: of Ray.
        answer: the reference of the answer that is awaited; None if none is.
        hello: its first answer.
        begun: whether it knows the cache.
        held: the shards that it has not delivered yet.
        seconds: by stage, since it began.
    """

    number: int
    actor: Any
    answer: Any = None
    hello: Hello | None = None
    begun: bool = False
    held: dict[int, pd.DataFrame] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Driver:
    """Starts workers and keeps them busy, and ends them at the end of a `with` statement.

    Raises ProbeError if Ray is missing, cannot be reached, or has too little for the workers
    asked for.
    """

    def __init__(
        self,
        cluster: Cluster,
        corpus: Corpus,
        options: Options,
        machine: Machine,
        say: Callable[[str], None],
    ) -> None:
        self.say = say
        corpus = Corpus(corpus.name, corpus.spec, corpus.root.resolve(), corpus.utterances.head(0))
        self._arguments = (corpus, options, machine)
        self.workers: list[RemoteWorker] = []
        self.died_loading = 0
        self.seconds: dict[str, float] = {}
        self.connection = Connection(cluster.address)
        self.ray = self.connection.ray
        try:
            with self.connection.errors():
                n_workers = self._share_out(cluster.actors, machine.device)
                self.workers = [self._start(number) for number in range(1, n_workers + 1)]
                self.first = self._first_hello()
        except BaseException as error:
            self.close(
                getattr(error, "exit_code", 130) if isinstance(error, KeyboardInterrupt) else 2
            )
            raise

    def _share_out(self, actors: int | None, device: str) -> int:
        """The number of workers; what each of them takes of the cluster is kept and said."""
        resources = self.ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if device in ("auto", "cuda") else 0
        n_workers = actors or gpus or len(self.ray.nodes())
        cpus = max(1, int(resources.get("CPU", 1)) // n_workers)
        self._threads = None if gpus else cpus
        self._needs = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_gpus": 0, "num_cpus": cpus}
        if gpus and n_workers > gpus:
            raise OptionError(
                "actors", n_workers, f"the cluster has {gpus} GPUs, and each takes one."
            )
        if not gpus and n_workers > resources.get("CPU", 1):
            raise OptionError(
                "actors", n_workers, f"the cluster has {resources.get('CPU', 0):.0f} CPUs."
            )
        machines = several(len(self.ray.nodes()), "machine")
        share = "a GPU" if gpus else several(cpus, "thread")
        self.say(
            f"Ray: {machines}, {several(n_workers, 'worker')}, each with {share}. "
            "Loading the model ..."
        )
        return n_workers

    def _start(self, number: int) -> RemoteWorker:
        worker = RemoteWorker(
            number,
            self.ray.remote(Worker).options(scheduling_strategy="SPREAD", **self._needs).remote(),
        )
        worker.answer = worker.actor.hello.remote(*self._arguments, self._threads)
        return worker

    def _first_hello(self) -> Hello:
        while True:
            for worker in self._answered():
                try:
                    worker.hello = self._answer(worker)
                except self.ray.exceptions.RayActorError:
                    self._restart(worker)
                    continue
                return worker.hello

    def _answered(self) -> list[RemoteWorker]:
        """The workers whose answer has come, or that died."""
        awaited = {worker.answer: worker for worker in self.workers if worker.answer is not None}
        return [awaited[answer] for answer in self._ready(list(awaited))]

    def _ready(self, answers: list[Any]) -> list[Any]:
        """The first answer that has come, or none within about a second.

        Raises:
            ProbeError: Ray is gone.
        """
        ready, _ = self.ray.wait(answers, num_returns=1, timeout=STEP_S)
        self.connection.check()
        return ready

    def _answer(self, worker: RemoteWorker) -> Any:
        answer = worker.answer
        worker.answer = None
        try:
            return self.ray.get(answer)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ProbeError):
                raise error.cause from None
            raise

    def estimate(self, folder: Path, rows: pd.DataFrame) -> Estimate:
        """What the pending utterances will need."""
        worker = next(worker for worker in self.workers if worker.hello is not None)
        worker.answer = worker.actor.estimate.remote(folder.resolve(), rows, self.first.manifest)
        while not self._ready([worker.answer]):
            pass
        return self._answer(worker)

    def run(self, writer: CacheWriter, strict: bool, line: ProgressLine) -> float:
        """Have every pending shard extracted; gives the seconds of audio."""
        folder = writer.folder.resolve()
        manifest = writer.manifest
        manifest = replace(manifest, shards=(), history=())
        todo = deque((index, rows[["utterance_id", "path"]]) for index, rows in writer.pending())
        left = len(todo)
        audio_seconds = 0.0
        started = time.monotonic()
        deaths: Counter[int] = Counter()
        while left:
            for worker in self.workers:
                if worker.answer is None and worker.hello is not None:
                    self._ask(worker, todo, folder=folder, manifest=manifest, strict=strict)
            for worker in self._answered():
                try:
                    answer = self._answer(worker)
                except self.ray.exceptions.RayActorError:
                    todo.extendleft(reversed(worker.held.items()))
                    deaths.update(worker.held.keys())
                    _check_deaths(deaths, worker)
                    self._restart(worker)
                    continue
                if isinstance(answer, Hello):
                    check_fingerprint(folder, manifest.fingerprint, answer.manifest.fingerprint)
                    worker.hello = answer
                elif isinstance(answer, Step):
                    for record in answer.records:
                        self._adopt(writer, record, worker)
                        del worker.held[record.index]
                        left -= 1
                    audio_seconds += answer.audio_seconds
                    self._count(worker, answer.seconds)
                    elapsed = time.monotonic() - started
                    alive = sum(other.hello is not None for other in self.workers)
                    rate = (line.done + answer.utterances) / elapsed
                    workers = several(alive, "worker")
                    limit = limiting(self.seconds)
                    line.advance(
                        answer.utterances, f"{rate:.1f} utt/s by {workers}, limited by {limit}"
                    )
        return audio_seconds

    def _ask(
        self,
        worker: RemoteWorker,
        todo: deque[tuple[int, pd.DataFrame]],
        folder: Path,
        manifest: Manifest,
        strict: bool,
    ) -> None:
        if not worker.begun:
            assert worker.hello is not None
            self.say(f"Worker {worker.number}: {worker.hello.place}, {worker.hello.device}")
            worker.actor.begin.remote(folder, manifest, strict)
            worker.begun = True
        given = [todo.popleft() for _ in range(min(len(todo), SHARDS_HELD - len(worker.held)))]
        worker.held |= dict(given)
        if worker.held:
            worker.answer = worker.actor.step.remote(given)

    def _adopt(self, writer: CacheWriter, record: ShardRecord, worker: RemoteWorker) -> None:
        source = None if record.file is None else writer.folder / record.file
        if source is not None and not source.exists():
            place = worker.hello.place if worker.hello else "a worker"
            raise ProbeError(
                f"{source}: written by {place}, but not there for this machine. The cache must "
                "be in a folder that all machines share, under the same path."
            )
        writer.adopt_shard(record, source)

    def _count(self, worker: RemoteWorker, seconds: dict[str, float]) -> None:
        for stage, value in seconds.items():
            self.seconds[stage] = (
                self.seconds.get(stage, 0.0) + value - worker.seconds.get(stage, 0.0)
            )
        worker.seconds = seconds

    def _restart(self, worker: RemoteWorker) -> None:
        """Start another worker in the place of one that died."""
        shards = f"; its {len(worker.held)} shards are done again" if worker.held else ""
        self.died_loading += worker.hello is None
        if self.died_loading >= MOST_DEATHS and not any(other.hello for other in self.workers):
            raise ProbeError(
                f"{self.died_loading} workers died while they loaded the model. Mostly that is a "
                f"lack of memory: use fewer {argument('actors')}, or a smaller model"
            )
        place = worker.hello.place if worker.hello else "loading"
        self.say(f"Worker {worker.number} ({place}) died{shards}.")
        self.workers[self.workers.index(worker)] = self._start(worker.number)

    def close(self, exit_code: int = 2) -> None:
        """End the workers, and Ray if it was started here.

        `exit_code` is that of a process that Ray keeps.
        """
        self.connection.close([worker.actor for worker in self.workers], exit_code)

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _check_deaths(deaths: Counter[int], worker: RemoteWorker) -> None:
    for index, rows in worker.held.items():
        if deaths[index] >= MOST_DEATHS:
            raise ProbeError(
                f"shard {index} ({rows['utterance_id'].iloc[0]} to "
                f"{rows['utterance_id'].iloc[-1]}): {MOST_DEATHS} workers died with it. Mostly "
                f"that is a lack of memory: use a smaller {argument('batch_size')} or "
                f"{argument('max_seconds')}, or fewer {argument('actors')}."
            )
