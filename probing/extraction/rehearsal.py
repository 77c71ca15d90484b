"""A rehearsal of an extraction: what it will take of disk and time; nothing is left behind."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cache import Cache, CacheMissing
from cache.manifest import Manifest, check_fingerprint
from cache.parts import Part
from cache.writer import CacheWriter
from probing.audio import SAMPLING_RATE
from probing.backbones import Backbone
from probing.corpora import Corpus, load_corpus
from probing.extraction.estimate import Estimate, estimate, n_samples_of
from probing.extraction.extracting import new_manifest, session
from probing.extraction.machine import Machine
from probing.extraction.options import Options
from probing.extraction.planning import check_place, plan_of
from probing.progress import console, duration

SAMPLED = 24  # utterances run to measure the rate, of all lengths
# of one of them and of all, which a model of any size gets through in minutes
LONGEST_S = 30.0
MOST_S = 240.0


def rehearse(
    folder: str | Path,
    corpus: str | Corpus = "demo",
    options: Options | None = None,
    machine: Machine | None = None,
    *,
    part: Part | None = None,
    say: Callable[[str], None] = console.print,
) -> Estimate:
    """Say what an extraction will take of disk and time; arguments are those of `extract`.

    That is utterances, hours of audio, bytes by tier, free space, and time.

    The time is that of a few of the utterances, run through model and pipeline into a temporary
    folder.

    Returns:
        What the utterances that are not in the cache yet will need.

    Raises:
        ProbeError: as `extract`, also if the disk cannot hold it.

    >>> folder = "results/demo.new.cache"
    >>> options = Options(layers="0:1", seconds=0.1)
    >>> plan = rehearse(folder, "mine.csv", options, Machine("cpu"), say=lambda text: None)
    >>> plan.n_utterances
    56
    """
    folder = Path(folder)
    options = options or Options()
    machine = machine or Machine()
    corpus = load_corpus(corpus) if isinstance(corpus, str) else corpus
    check_place(folder, corpus, part)
    backbone = options.load_backbone(machine.device, machine.attention)
    planned = plan_of(folder, corpus, machine.shard_size_on(backbone), part)
    manifest = new_manifest(backbone, corpus, options)
    say(
        f"{backbone.name} on {backbone.device}, {corpus.name} -> "
        f"{planned.folder} (dry run: nothing is written there)"
    )
    for note in corpus.notes:
        say(f"Note: {note}.")
    for note in backbone.notes:
        say(f"Note: {note}.")
    if backbone.precision_note:
        say(f"Precision: {backbone.precision_note}.")
    rows = _pending(planned.folder, manifest, planned.rows)
    there = next(
        place for place in (planned.folder, *planned.folder.absolute().parents) if place.is_dir()
    )
    plan = estimate(
        there,
        corpus.root,
        rows=rows,
        backbone=backbone,
        cropping=options.cropping,
        manifest=manifest,
    )
    say(f"Plan: {plan}")
    plan.check(planned.folder)
    if len(rows):
        rate, stages = _rate(
            rows, corpus, backbone=backbone, options=options, machine=machine, manifest=manifest
        )
        if rate:
            cut = f", clips cut to {LONGEST_S:.0f} s" if _longest(options) > LONGEST_S else ""
            say(
                f"Time: about {duration(plan.audio_seconds / rate)} on this machine alone "
                f"({rate:.3g} s of audio a second in a sample{cut}; {stages})"
            )
    return plan


def _longest(options: Options) -> float:
    """Seconds of the longest clip that a model may see."""
    return options.seconds or options.max_seconds


def _pending(folder: Path, manifest: Manifest, rows: pd.DataFrame) -> pd.DataFrame:
    """The utterances that are neither in the cache nor known to be of no use."""
    try:
        cache = Cache(folder)
    except CacheMissing:
        return rows
    check_fingerprint(folder, cache.fingerprint, manifest.fingerprint)
    done = {*cache.utterances["utterance_id"], *cache.failures["utterance_id"]}
    return rows[~rows["utterance_id"].isin(done)]


def _rate(
    rows: pd.DataFrame,
    corpus: Corpus,
    backbone: Backbone,
    options: Options,
    machine: Machine,
    manifest: Manifest,
) -> tuple[float, str]:
    """Seconds of audio a second over a sample of the utterances; and the time by stage.

    A few utterances before them warm up, and do not count.
    """
    n = max(SAMPLED, 2 * machine.batch_size_on(backbone))
    cropping = replace(
        options.cropping,
        max_seconds=min(options.max_seconds, LONGEST_S),
        seconds=None if options.seconds is None else min(options.seconds, LONGEST_S),
    )
    options = replace(options, max_seconds=cropping.max_seconds, seconds=cropping.seconds)
    sample = _spread(rows, n)
    n_longest = cropping.n_samples()  # of a file that does not know its length
    lengths = [n_samples_of(corpus.root / path, cropping) or n_longest for path in sample["path"]]
    seconds = sum(lengths) / SAMPLING_RATE
    sample = _spread(sample, max(1, int(len(sample) * min(1.0, MOST_S / max(seconds, 1.0)))))
    rate = 0.0
    stages = ""
    with tempfile.TemporaryDirectory() as scratch:
        for name, some in (("warm", sample.head(4)), ("timed", sample)):
            place = Path(scratch) / name
            with (
                CacheWriter(place, manifest, some, machine.shard_size_on(backbone)) as writer,
                session(
                    writer,
                    corpus.root,
                    backbone=backbone,
                    options=options,
                    machine=machine,
                    n_utterances=len(some),
                    strict=False,
                    say=lambda _: None,
                ) as pipeline,
            ):
                started = time.perf_counter()
                pipeline.run()
                elapsed = time.perf_counter() - started
            rate = (
                float(Cache(place).utterances["n_samples"].sum()) / backbone.sampling_rate / elapsed
            )
            stages = ", ".join(
                f"{stage} {seconds:.1f} s" for stage, seconds in pipeline.seconds.items()
            )
    return rate, stages


def _spread(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """At most `n` rows, at even distances."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int))]
