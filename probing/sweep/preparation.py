"""What a sweep is about: utterances by part, conditions, labellings and resamples, checked before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from cache import Cache
from probing.metrics import Resamples, draw
from probing.sweep.conditions import Condition, LeftOut, conditions_of, leave_out
from probing.sweep.leaks import Leak, as_records, few_utterances, find_leaks, refuse_leaks
from probing.sweep.linear import Labelling, shuffled
from probing.sweep.options import TRAINING, SweepOptions
from probing.sweep.refitting import REFITS
from probing.sweep.splits import EVAL, Split, renamed


@dataclass(frozen=True)
class Prepared:
    """The data of a sweep.

    options: of the sweep. splits: its utterances by part. leaks: what parts share.
    conditions: that are reported. left_out: the training without each attack, if it is asked for.
    resamples: part -> what the bootstrap draws of it.
    """

    options: SweepOptions
    splits: dict[str, Split]
    leaks: list[Leak]
    conditions: list[Condition]
    left_out: LeftOut | None
    resamples: dict[str, Resamples]

    @property
    def cache(self) -> Cache:
        """The cache that is trained on."""
        return self.splits["train"].cache

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Part -> rows of its utterances."""
        return {part: split.table for part, split in self.splits.items()}

    @property
    def evaluations(self) -> dict[str, Split]:
        """The parts that are reported on; the findings are about the first."""
        return {part: split for part, split in self.splits.items() if split.name == EVAL}

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora evaluated on."""
        return [split.corpus for split in self.evaluations.values()]

    @cached_property
    def labellings(self) -> list[Labelling]:
        """The true labels, then those of each control."""
        truth = {part: split.bonafide for part, split in self.splits.items()}
        return [truth, *shuffled(self.splits, self.options.control_seeds)]

    @property
    def n_probes(self) -> int:
        """Linear probes a layer."""
        return len(self.labellings) + (len(self.left_out.attacks) if self.left_out else 0)

    def __str__(self) -> str:
        several = len(self.evaluations) > 1
        return ", ".join(_describe(split, several) for split in self.splits.values())

    def record(self) -> dict[str, Any]:
        """What the record of the run says of the data."""
        drawn = {
            part: f"95 %, bootstrap {one.drawn}, {self.options.resamples} resamples{_of_training(self.options)}"
            for part, one in self.resamples.items()
        }
        of_corpus = {part: split.corpus for part, split in self.evaluations.items()}
        return {
            "about": self.cache.about,
            "fingerprint": self.cache.fingerprint,
            "cache_folder": str(self.cache.folder),
            "corpora": self.corpora,
            "caches": {
                part: {"folder": str(split.cache.folder), "id": split.cache.id, "corpus": split.corpus}
                for part, split in self.splits.items()
            },
            "leaks": as_records(self.leaks),
            "unusable": {str(cache.folder): cache.failure_counts for cache in caches_of(self.splits)},
            "conditions": {
                corpus: {one.name: one.counts for one in self.conditions if of_corpus[one.part] == corpus}
                for corpus in self.corpora
            },
            "intervals": drawn[EVAL],
            "intervals_by_part": drawn,
            "counts": {part: counts_of(split) for part, split in self.splits.items()},
        }


def prepare(
    cache: Cache, options: SweepOptions, *, strict: bool = False, say: Callable[[str], None] = lambda text: None
) -> Prepared:
    """Choose the utterances of a sweep and everything that is drawn of them.

    Args:
        cache: that is swept, if options name no other one.
        options: of the sweep.
        strict: refuse parts that share a person or a recording.
        say: where to put what a person should know.

    Raises:
        ProbeError: a split is missing or one-sided, or, if strict, parts share a person or a recording.
    """
    splits = options.splits(cache)
    options.depths.check(splits["train"].cache)
    for one in caches_of(splits):
        _say_state(one, say)
    leaks = find_leaks(splits)
    if strict:
        refuse_leaks(leaks)
    for sentence in [leak.sentence for leak in leaks] + few_utterances(splits):
        say(f"Warning: {sentence}.")
    evaluations = {part: split for part, split in splits.items() if split.name == EVAL}
    conditions = conditions_of(evaluations, options.by, say)
    left_out = leave_out(splits) if options.unseen_attacks else None
    resamples = {
        part: draw(split.bonafide, split.clusters(options.interval_by), n=options.resamples, seed=options.seed)
        for part, split in splits.items()
        if part != "train"
    }
    return Prepared(options, splits, leaks, conditions, left_out, resamples)


def caches_of(splits: dict[str, Split]) -> list[Cache]:
    """The caches of a sweep, each once."""
    return list({split.cache.folder: split.cache for split in splits.values()}.values())


def counts_of(split: Split) -> dict[str, int]:
    """Utterances by class."""
    return {"bonafide": int(split.bonafide.sum()), "spoof": int((~split.bonafide).sum())}


def _say_state(cache: Cache, say: Callable[[str], None]) -> None:
    """Say what of a cache takes no part, or under another name."""
    if counts := cache.failure_counts:
        reasons = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        say(f"{cache.folder}: {sum(counts.values())} utterances could not be used and take no part ({reasons}).")
    if not cache.finished:
        say(
            f"Warning: {cache.folder} is unfinished, {len(cache)} of {cache.n_planned} utterances; probe extract goes "
            "on."
        )
    for name, new in renamed(cache).items():
        say(f"Note: the column {name} of {cache.folder} is called {new} in the run, which has a {name} of its own.")


def _of_training(options: SweepOptions) -> str:
    """What intervals say of the training, as an end of their description."""
    if TRAINING in options.interval_includes:
        return f"; of linear probes by layer also over training sets ({REFITS} refits)"
    return "; of what was trained once: other training speakers or first weights are not in it"


def _describe(split: Split, several: bool) -> str:
    counts = counts_of(split)
    of = f" of {split.corpus}" if several else ""
    return f"{split.name}{of} {counts['bonafide']} bona fide + {counts['spoof']} spoof"
