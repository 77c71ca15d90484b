"""Extraction: run a backbone over a corpus once and keep every hidden layer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from cache import Cache
from cache.errors import quoted
from cache.manifest import Manifest
from cache.parts import Part
from cache.timing import ENTRY
from cache.writer import CacheWriter
from probing.audio import MEASURES, STAMPS
from probing.augmentation import View
from probing.backbones import Backbone
from probing.corpora import Corpus, load_corpus
from probing.extraction.allocator import give_back_freed_memory, keep_freed_memory
from probing.extraction.changes import refuse_changed
from probing.extraction.estimate import Estimate, estimate
from probing.extraction.machine import Machine
from probing.extraction.options import Options
from probing.extraction.pipeline import Pipeline
from probing.extraction.planning import check_place, plan_of
from probing.extraction.shards import Shards
from probing.progress import console, duration, limiting, progress_line, several, size


def extract(
    folder: str | Path,
    corpus: str | Corpus = "demo",
    options: Options | None = None,
    machine: Machine | None = None,
    *,
    part: Part | None = None,
    strict: bool = False,
    say: Callable[[str], None] = console.print,
) -> Cache:
    """Cache every hidden layer of a backbone over a corpus; run again, it goes on where it stopped.

    Args:
        folder: the cache; made, resumed or extended.
        corpus: a corpus, or what `load_corpus` takes.
        options: what to extract; whatever in it changes a number is part of the cache's
            fingerprint.
        machine: how to use this machine.
        part: extract only this share of the shards, into `part.folder(folder)`;
            `cache.merging.merge` joins all parts.
        strict: stop at the first utterance that cannot be used.
        say: where to put what a person should know.

    Returns:
        The finished cache, or part of one.

    Raises:
        ProbeError: bad input, another fingerprint, not enough space; nothing that was finished is
            lost.

    >>> options = Options(layers="0:1", seconds=0.1)
    >>> cache = extract(
    ...     "results/demo.short.cache", "mine.csv", options, Machine("cpu"), say=lambda text: None
    ... )
    >>> cache.layers
    [0, 1]
    """
    folder = Path(folder)
    options = options or Options()
    machine = machine or Machine()
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    check_place(folder, corpus, part)
    backbone = options.load_backbone(machine.device, machine.attention)
    planned = plan_of(folder, corpus, machine.shard_size_on(backbone), part)
    manifest = new_manifest(backbone, corpus, options)
    with planned.writer(manifest, machine.wait, say) as writer:
        say(f"{backbone.name} on {backbone.device}, {corpus.name} -> {planned.folder}")
        for note in corpus.notes:
            say(f"Note: {note}.")
        for note in backbone.notes:
            say(f"Note: {note}.")
        if backbone.precision_note:
            say(f"Precision: {backbone.precision_note}.")
        refuse_changed(writer, corpus.root)

        def plan(rows: pd.DataFrame) -> Estimate:
            return estimate(
                planned.folder,
                corpus.root,
                rows=rows,
                backbone=backbone,
                cropping=options.cropping,
                manifest=manifest,
            )

        if n_pending := announce(writer, plan, say):
            with session(
                writer,
                corpus.root,
                backbone=backbone,
                options=options,
                machine=machine,
                n_utterances=n_pending,
                strict=strict,
                say=say,
            ) as pipeline:
                pipeline.run()
    cache = Cache(planned.folder)
    say_failures(cache, say)
    return cache


def announce(
    writer: CacheWriter, plan: Callable[[pd.DataFrame], Estimate], say: Callable[[str], None]
) -> int:
    """Say what is to be done, and check that the disk can hold it.

    Returns:
        How many utterances are still to be extracted.
    """
    finished = {record.index for record in writer.manifest.shards}
    pending = writer.table[~writer.table["shard"].isin(finished)]
    if pending.empty:
        say("Nothing to do: every utterance is in the cache.")
        return 0
    if finished:
        say(
            f"Resuming: {len(writer.table) - len(pending)} of "
            f"{several(len(writer.table), 'utterance')} are done."
        )
    estimated = plan(pending)
    say(f"Plan: {estimated}")
    estimated.check(writer.folder)
    return len(pending)


@contextmanager
def session(
    writer: CacheWriter,
    root: Path,
    backbone: Backbone,
    options: Options,
    machine: Machine,
    n_utterances: int,
    strict: bool,
    say: Callable[[str], None],
) -> Iterator[Pipeline]:
    """A pipeline with a progress line, whose time is said and noted in the cache at the end."""
    before = writer.manifest

    def new(on_batch: Callable[[int, float], None]) -> Pipeline:
        return new_pipeline(
            writer,
            root,
            backbone=backbone,
            options=options,
            machine=machine,
            strict=strict,
            on_batch=on_batch,
        )

    with timed("Extracting", n_utterances, new) as spent:
        yield spent.pipeline
    say(f"{spent}; {size(writer.manifest.bytes_since(before))} written")
    writer.note(
        {
            "utterances": spent.utterances,
            "audio_seconds": round(spent.audio_seconds, 3),
            "seconds": round(spent.seconds, 3),
            "stages": {
                stage: round(seconds, 3) for stage, seconds in spent.pipeline.seconds.items()
            },
            "device": str(backbone.device),
        }
    )


@dataclass
class Spent:
    """What a pipeline did: utterances, seconds of their audio, and seconds that it took."""

    pipeline: Pipeline
    utterances: int = 0
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        stages = ", ".join(
            f"{stage} {seconds:.1f} s" for stage, seconds in self.pipeline.seconds.items()
        )
        audio = duration(self.audio_seconds)
        return (
            f"Extracted {several(self.utterances, 'utterance')} ({audio} of audio) in "
            f"{duration(self.seconds)}: {stages}"
        )


@contextmanager
def timed(
    what: str, n_utterances: int, new: Callable[[Callable[[int, float], None]], Pipeline]
) -> Iterator[Spent]:
    """A pipeline with a progress line, closed at the end.

    `new` makes it, given what it calls after each batch.
    """
    started = time.perf_counter()
    threads = torch.get_num_threads()
    with progress_line(what, n_utterances, "utterances") as line:

        def on_batch(n: int, seconds: float) -> None:
            spent.audio_seconds += seconds
            elapsed = time.perf_counter() - started
            rate = (
                f"{(line.done + n) / elapsed:.1f} utt/s, "
                f"{spent.audio_seconds / elapsed:.0f} s audio/s"
            )
            line.advance(n, f"{rate}, limited by {limiting(spent.pipeline.seconds)}")

        spent = Spent(new(on_batch))
        try:
            yield spent
        finally:
            spent.pipeline.close()
            torch.set_num_threads(threads)
            give_back_freed_memory()
    spent.utterances, spent.seconds = line.done, time.perf_counter() - started


def new_pipeline(
    writer: Shards,
    root: Path,
    backbone: Backbone,
    options: Options,
    machine: Machine,
    *,
    strict: bool,
    on_batch: Callable[[int, float], None],
    view_of: Callable[[int], View | None] | None = None,
) -> Pipeline:
    """A pipeline as the machine allows; it divides the threads between forward passes.

    With `view_of` (number of a shard -> view) the shards are of several views of the same files.
    """
    of_all = options.parsed_view
    passes, threads = machine.threads_on(backbone)
    torch.set_num_threads(threads)
    if backbone.device.type == "cpu":
        keep_freed_memory()
    return Pipeline(
        root,
        backbone,
        options.cropping,
        writer,
        batch_size=machine.batch_size_on(backbone),
        passes=passes,
        workers=machine.workers_on(backbone),
        memory=round(machine.memory_gb * 1e9),
        strict=strict,
        on_nonfinite=machine.on_nonfinite,
        on_batch=on_batch,
        view_of=view_of or (lambda index: of_all),
        shared=view_of is not None,
    )


def new_manifest(backbone: Backbone, corpus: Corpus, options: Options) -> Manifest:
    """The manifest of a cache of `backbone` over `corpus`, with no shard yet."""
    return Manifest(
        fingerprint=options.fingerprint(backbone),
        layers=options.layers_of(backbone),
        dim=backbone.dim,
        tiers=options.tiers,
        measures=(*MEASURES, *STAMPS),
        about={
            "backbone": backbone.name,
            "random_weights": backbone.random,
            "corpus": corpus.name,
            "corpus_spec": corpus.spec,
            "audio_root": str(corpus.root),
            "options": options.as_dict(backbone),
            **({} if backbone.timing is None else {ENTRY: backbone.timing.as_dict()}),
        },
    )


def say_failures(cache: Cache, say: Callable[[str], None]) -> None:
    """Say how many utterances could not be used and why."""
    if cache.failures.empty:
        return
    reasons = ", ".join(f"{n} {kind}" for kind, n in cache.failure_counts.items())
    planned = several(cache.n_planned, "utterance")
    say(
        f"{len(cache.failures)} of {planned} could not be used ({reasons}). "
        f"They are listed in {cache.folder / 'failures.csv'}; mend the files, then: probe cache "
        f"repair {quoted(cache.folder)}"
    )
