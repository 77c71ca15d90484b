"""Extraction by the workers of a Ray cluster, to the cache that a single machine makes."""

import time
from collections.abc import Callable
from pathlib import Path

from cache import Cache
from cache.parts import Part
from cache.writer import CacheWriter
from probing.corpora import Corpus, load_corpus
from probing.extraction.changes import refuse_changed
from probing.extraction.driver import Driver
from probing.extraction.extracting import announce, say_failures
from probing.extraction.machine import Cluster, Machine
from probing.extraction.options import Options
from probing.extraction.planning import check_place, plan_of
from probing.progress import console, duration, progress_line, several, size


def extract_on_cluster(
    folder: str | Path,
    corpus: str | Corpus = "demo",
    options: Options | None = None,
    machine: Machine | None = None,
    cluster: Cluster | None = None,
    *,
    part: Part | None = None,
    strict: bool = False,
    say: Callable[[str], None] = console.print,
) -> Cache:
    """As `extract`, with the same result, by the workers of a Ray cluster.

    Either goes on where the other stopped.

    The folder of the cache and the audio must be where all machines see them under the same path.

    `cluster` is which one, and how many workers, by default Ray on this machine alone; all else is
    as of `extract`.

    Raises:
        ProbeError: as `extract`; or Ray is missing or cannot be reached, or workers die again and
            again.

    >>> cluster = Cluster("auto", actors=4)
    >>> extract_on_cluster("wavlm.cache", "mine.csv", cluster=cluster)  # doctest: +SKIP
    """
    folder = Path(folder)
    options = options or Options()
    machine = machine or Machine()
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    check_place(folder, corpus, part)
    with (
        Driver(cluster or Cluster(), corpus, options=options, machine=machine, say=say) as driver,
        driver.connection.errors(),
    ):
        first = driver.first
        plan = plan_of(folder, corpus, first.shard_size, part)
        with plan.writer(first.manifest, machine.wait, say) as writer:
            say(
                f"{first.name} on {len(driver.workers)} x "
                f"{first.device}, {corpus.name} -> {plan.folder}"
            )
            refuse_changed(writer, corpus.root)
            if n_pending := announce(writer, lambda rows: driver.estimate(plan.folder, rows), say):
                _session(driver, writer, n_pending, strict)
    cache = Cache(plan.folder)
    say_failures(cache, say)
    return cache


def _session(driver: Driver, writer: CacheWriter, n_utterances: int, strict: bool) -> None:
    """Extract every pending shard; at the end say where the time went and note it in the cache."""
    started = time.perf_counter()
    before = writer.manifest
    with progress_line("Extracting", n_utterances, "utterances") as line:
        audio_seconds = driver.run(writer, strict, line)
    elapsed = time.perf_counter() - started
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in driver.seconds.items())
    added = writer.manifest.bytes_since(before)
    driver.say(
        f"Extracted {several(line.done, 'utterance')} ({duration(audio_seconds)} of audio) in "
        f"{duration(elapsed)} by {several(len(driver.workers), 'worker')}, "
        f"together: {stages}; {size(added)} written"
    )
    writer.note(
        {
            "utterances": line.done,
            "audio_seconds": round(audio_seconds, 3),
            "seconds": round(elapsed, 3),
            "stages": {stage: round(seconds, 3) for stage, seconds in driver.seconds.items()},
            "device": f"{len(driver.workers)} x {driver.first.device}",
        }
    )
