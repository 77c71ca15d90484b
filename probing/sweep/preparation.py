"""What a sweep is about: utterances, conditions, labellings and resamples, checked first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from cache import Cache
from cache.errors import as_flag
from probing.metrics import Resamples
from probing.sweep.conditions import Condition, LeftOut, conditions_of, leave_out
from probing.sweep.control_tasks import control_tasks
from probing.sweep.fitting import Labelling
from probing.sweep.leaks import Leak, as_records, few_utterances, find_leaks, refuse_leaks
from probing.sweep.linear import shuffled
from probing.sweep.options import (
    TRAINING,
    SweepOptions,
    has_blocks,
    has_first_layers,
    layers_lacking,
)
from probing.sweep.refitting import REFITS
from probing.sweep.split import EVAL, Split, renamed
from probing.targets.metrics import BINARY, CLASSES, NUMBER
from probing.targets.task import Task
from probing.targets.values import in_words

MOST_NAMED = 5
MOST_LEAKS = 12  # as many pairs as four parts have, twice


@dataclass(frozen=True)
class Prepared:
    """The data of a sweep.

    options: of the sweep.
    splits: its utterances by part.
    leaks: what parts share.
    conditions: that are reported.
    left_out: the training without each attack, if it is asked for.
    resamples: part -> what the bootstrap draws of it.
    controls: the trials with the labels of control tasks, one a seed of controls; none where units
        have no types.
    """

    options: SweepOptions
    splits: dict[str, Split]
    leaks: list[Leak]
    conditions: list[Condition]
    left_out: LeftOut | None
    resamples: dict[str, Resamples]
    controls: Sequence[dict[str, Split]] = ()

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
        truth = {part: split.target for part, split in self.splits.items()}
        return [truth, *shuffled(self.splits, self.options.control_seeds)]

    @property
    def task(self) -> Task:
        """What is asked of the probes."""
        return self.splits["train"].task

    @property
    def measures_costs(self) -> bool:
        """Whether the backbone is measured by depth: heads were asked for."""
        return bool(self.options.depths.heads)

    @property
    def trains_heads(self) -> bool:
        """Whether heads are trained: there are some, and the cache has the layers for them."""
        return self.measures_costs and has_blocks(self.cache) and has_first_layers(self.cache)

    @property
    def n_probes(self) -> int:
        """Linear probes a layer."""
        folds = self.splits["train"].folds
        n_folds = 1 if folds is None else int(folds.max()) + 1
        n_more = len(self.controls) + (len(self.left_out.attacks) if self.left_out else 0)
        return len(self.labellings) * n_folds + n_more

    def __str__(self) -> str:
        several = len(self.evaluations) > 1
        train = self.splits["train"]
        if train.folds is not None:
            return (
                f"{train.task.in_words(train.task.counts(train.target, train.trials))} "
                f"in {train.split}"
            )
        return ", ".join(_describe(split, several) for split in self.splits.values())

    def record(self) -> dict[str, Any]:
        """What the record of the run says of the data."""
        drawn = {
            part: f"95 %, bootstrap {resamples.drawn}, {self.options.resamples} "
            f"resamples{_of_training(self.options)}"
            for part, resamples in self.resamples.items()
        }
        of_corpus = {part: split.corpus for part, split in self.evaluations.items()}
        return {
            "about": self.cache.about,
            "fingerprint": self.cache.fingerprint,
            "cache_folder": str(self.cache.folder),
            "corpora": self.corpora,
            "caches": {
                part: {
                    "folder": str(split.cache.folder),
                    "id": split.cache.id,
                    "corpus": split.corpus,
                }
                for part, split in self.splits.items()
            },
            "leaks": as_records(self.leaks),
            "unusable": {
                str(cache.folder): cache.failure_counts for cache in caches_of(self.splits)
            },
            "conditions": {
                corpus: {
                    condition.name: condition.counts
                    for condition in self.conditions
                    if of_corpus[condition.part] == corpus
                }
                for corpus in self.corpora
            },
            "intervals": drawn[EVAL],
            "intervals_by_part": drawn,
            "counts": {
                part: split.task.counts(split.target, split.trials)
                for part, split in self.splits.items()
            },
            **self._of_target(),
        }

    def _of_target(self) -> dict[str, Any]:
        """What the record says of a target that is not bona fide against spoof."""
        if self.task.is_spoofing:
            return {}
        left_out = {
            part: dict(split.left_out) for part, split in self.splits.items() if split.left_out
        }
        notes = list(dict.fromkeys(note for split in self.splits.values() for note in split.notes))
        return {
            "target": self.task.as_dict(),
            "left_out": left_out,
            **({"notes": notes} if notes else {}),
        }


def prepare(
    cache: Cache,
    options: SweepOptions,
    *,
    strict: bool = False,
    splits: dict[str, Split] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Prepared:
    """Choose the utterances of a sweep and everything that is drawn of them.

    Args:
        cache: that is swept, if options name no other one.
        options: of the sweep.
        strict: refuse parts that share a person or a recording.
        splits: `options.splits(cache)`, where that has been read.
        say: where to put what a person should know.

    Raises:
        ProbeError: a split is missing or one-sided, or, if strict, parts share a person or a
            recording.

    >>> data = prepare(Cache("results/demo.cache"), SweepOptions(control_seeds=(0,)))
    >>> len(data.labellings), len(data.corpora)
    (2, 1)
    """
    splits = options.splits(cache) if splits is None else splits
    options.check_task(splits["train"])
    options.depths.check(splits["train"].cache)
    for opened in caches_of(splits):
        _say_state(opened, say)
    leaks = find_leaks(splits)
    if strict:
        refuse_leaks(leaks)
    _say_leaks(leaks, splits, say)
    _say_target(splits, say)
    _say_left_out(options, splits["train"], say)
    evaluations = {part: split for part, split in splits.items() if split.name == EVAL}
    conditions = conditions_of(evaluations, options.by, say)
    left_out = leave_out(splits) if options.unseen_attacks else None
    resamples = {
        part: split.task.draw(
            split.target, split.clusters(options.interval_by), options.resamples, options.seed
        )
        for part, split in splits.items()
        if part != "train"
    }
    target = options.target
    controls = []
    if target.control_type:
        controls = control_tasks(
            splits, target.control_type, options.control_seeds, target.max_units
        )
    return Prepared(
        options,
        splits,
        leaks=leaks,
        conditions=conditions,
        left_out=left_out,
        resamples=resamples,
        controls=controls,
    )


def _say_leaks(leaks: list[Leak], splits: dict[str, Split], say: Callable[[str], None]) -> None:
    """Say what parts share, and which classes have few utterances."""
    for sentence in [leak.sentence for leak in leaks[:MOST_LEAKS]] + few_utterances(splits):
        say(f"Warning: {sentence}.")
    if len(leaks) > MOST_LEAKS:
        say(
            f"Warning: {len(leaks) - MOST_LEAKS} more pairs of "
            "parts share something; run.json names all."
        )


def _say_left_out(options: SweepOptions, train: Split, say: Callable[[str], None]) -> None:
    """Say which controls and heads the sweep could have and has not, and what to type for them."""
    target = options.target
    aligned = bool(train.unit and target.labels) and train.folds is None
    if aligned and options.control_seeds and not target.control_type:
        say(
            f"Note: the control is shuffled labels; {as_flag('control_type', 'COLUMN')}, of a "
            "table of alignments, adds a control task."
        )
    if not has_blocks(train.cache):
        return
    if not options.depths.heads:
        if train.unit or train.folds is not None:
            say(f"Note: linear probes only; {as_flag('heads', 'LIST')} trains heads too.")
    elif not has_first_layers(train.cache):
        needed = as_flag("layers", f"0:{max([1, *train.cache.layers])}")
        say(
            f"Note: linear probes only. {layers_lacking(train.cache)} Extract again with "
            f"{needed} to train heads too."
        )


def caches_of(splits: dict[str, Split]) -> list[Cache]:
    """The caches of a sweep, each once."""
    return list({split.cache.folder: split.cache for split in splits.values()}.values())


def _say_target(splits: dict[str, Split], say: Callable[[str], None]) -> None:
    """Say what is read where it is not bona fide against spoof, and who takes no part."""
    task = splits["train"].task
    for note in dict.fromkeys(note for split in splits.values() for note in split.notes):
        say(f"Note: {note}.")
    for part, split in splits.items():
        if split.left_out:
            say(f"{part}: left out: {in_words(split.left_out)}.")
    for sentence in _lacking(splits):
        say(f"Warning: {sentence}.")
    if task.is_spoofing:
        return
    what = {
        BINARY: f"{task.words[0]} against {task.words[1]}",
        CLASSES: f"{len(task.classes)} classes",
        NUMBER: "a number",
    }[task.name]
    say(f"Target: {task.target}, {what}, judged by {task.metric.called}.")


def _lacking(splits: dict[str, Split]) -> Iterator[str]:
    """A sentence for each part without trials of a class that is trained on."""
    task = splits["train"].task
    for part, split in splits.items():
        if task.name == CLASSES and part != "train":
            lacking = [name for name, n in task.counts(split.target).items() if not n]
            if lacking:
                shown = ", ".join(lacking[:MOST_NAMED]) + (
                    ", ..." if len(lacking) > MOST_NAMED else ""
                )
                yield (
                    f"{part} has no {split.trials} of {len(lacking)} of the "
                    f"{len(task.classes)} classes, as {shown}"
                )


def _say_state(cache: Cache, say: Callable[[str], None]) -> None:
    """Say what of a cache takes no part, or under another name."""
    if counts := cache.failure_counts:
        reasons = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        say(
            f"{cache.folder}: {sum(counts.values())} utterances could "
            f"not be used and take no part ({reasons})."
        )
    if not cache.finished:
        say(
            f"Warning: {cache.folder} is unfinished, {len(cache)} of {cache.n_planned} "
            "utterances; probe extract goes on."
        )
    for name, new in renamed(cache).items():
        say(
            f"Note: the column {name} of {cache.folder} is called {new} "
            f"in the run, which has a {name} of its own."
        )


def _of_training(options: SweepOptions) -> str:
    """What intervals say of the training, as an end of their description."""
    if TRAINING in options.interval_includes:
        return f"; of linear probes by layer also over training sets ({REFITS} refits)"
    return "; of what was trained once: other training speakers or first weights are not in it"


def _describe(split: Split, several: bool) -> str:
    of = f" of {split.corpus}" if several else ""
    return f"{split.name}{of} {split.task.in_words(split.task.counts(split.target, split.trials))}"
