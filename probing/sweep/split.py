"""One part of a sweep: utterances of a cache, or units inside them, with their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from cache.errors import argument
from probing.metrics.clusters import Clusters
from probing.targets.metrics import NUMBER
from probing.targets.task import SPOOFING, Task, Values
from probing.targets.values import Column, in_words

EVAL = "eval"
# numbers and deviations whose squares, and those of errors, can be computed
LARGEST, SMALLEST = 1e100, 1e-100
ADDED = ("score", "part")  # columns that tables of a run add to those of a corpus


@dataclass(frozen=True)
class Split:
    """Some utterances of a cache.

    name: `train`, `dev` or `eval`, its part in the sweep.
    cache: an open cache.
    split: its split that this is.
    corpus: what results and files call it.
    table: rows of `Cache.utterances`; columns that tables of a run add are called `own_...` (see
        `renamed`).
    target: (N,) what is to be read: bool of two classes, whole numbers of more, float64 of a
        number.
    task: what that makes of the sweep.
    left_out: why utterances of the split take no part -> how many.
    folds: (N,) of a cross-validation, in which all parts are the same utterances; see `fold_parts`.
    intervals: of units, the labelled stretches of time of its utterances: `utterance_id`, `start`,
        `end`, `label`.
    notes: what a person should know of the units of its cache.
    unit: `frame`, `segment` or `middle` where trials are inside utterances (see `AlignedUnits`);
        empty for utterances.
    """

    name: str
    cache: Cache
    split: str
    corpus: str
    table: pd.DataFrame
    target: Values
    task: Task = SPOOFING
    left_out: Mapping[str, int] = field(default_factory=dict)
    folds: NDArray[np.intp] | None = None
    unit: str = ""
    intervals: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def bonafide(self) -> NDArray[np.bool_]:
        """(N,) true for trials of the positive class, of a target of two."""
        return self.target

    def __len__(self) -> int:
        return len(self.table)

    @property
    def cache_corpus(self) -> str:
        """Name of the corpus that the cache is of, whatever results and files call it."""
        return corpus_name(self.cache)

    def take(self, rows: NDArray[Any]) -> Split:
        """Some of its trials, as numbers or (N,) true for those.

        What is taken from a part of a cross-validation is a part like any other.
        """
        return replace(self, table=self.table.iloc[rows], target=self.target[rows], folds=None)

    def clusters(self, unit: str) -> Clusters:
        """What a bootstrap draws; see `probing.metrics.clusters.columns_of` for the unit."""
        where = f"{self.name} utterance of {self.corpus}"
        return self.task.clusters(self.table, unit, inside=bool(self.unit), where=where)

    @property
    def trials(self) -> str:
        """What its trials are, for people."""
        return {"": "utterances", "frame": "frames"}.get(self.unit, "segments")

    @property
    def width(self) -> int:
        """Features of a trial: mean and deviation of an utterance, one vector of a unit."""
        return self.cache.dim if self.unit else 2 * self.cache.dim


def check_target(split: Split, column: Column, *, divided: bool = False) -> None:
    """Refuse a part whose target has one value only, where nothing can be measured or learned."""
    cache = split.cache
    task = split.task
    target = split.target
    if task.is_spoofing:
        counts = task.counts(target)
        if not all(counts.values()):
            raise ProbeError(
                f"{cache.folder}: split {split.split!r} has {counts['bonafide']} bona fide and "
                f"{counts['spoof']} spoofed utterances. Expected both; use another split: "
                f"{argument(split.name, 'NAME')}{of_unfinished(cache)}"
            )
        return
    if task.name == NUMBER and len(target) > 1 and not (target == target[0]).all():
        largest = float(np.abs(target).max())
        deviation = float(np.clip(target, -LARGEST, LARGEST).std())
        if largest > LARGEST or deviation < SMALLEST:
            what = (
                f"up to {largest:g}: too large"
                if largest > LARGEST
                else f"all within {deviation:g}: too alike"
            )
            raise ProbeError(
                f"{cache.folder}: {task.target} of the {split.name} part ({split.split!r}), from "
                f"{column.where}, is {what} to compute with. Give it in another unit"
            )
    if len(target) < 2 or (target == target[0]).all():
        found = (
            ", ".join(f"{n} {name}" for name, n in task.counts(target).items() if n) or "nothing"
        )
        other = argument("split_by", "COLUMN")
        advice = f"divide by another column ({other})"
        if not divided:
            advice = f"use another split ({argument(split.name, 'NAME')}) or divide anew ({other})"
        raise ProbeError(
            f"{cache.folder}: the {split.name} part ({split.split!r}) has {found} with a "
            f"{task.target}, from {column.where}"
            + (f", all alike, {target[0]:g}" if task.name == NUMBER and len(target) > 1 else "")
            + (f" (left out: {in_words(split.left_out)})" if split.left_out else "")
            + f". Expected two or more that differ; {advice}{of_unfinished(cache)}"
        )


def of_unfinished(cache: Cache) -> str:
    """What a refusal adds if a cache lacks what an extraction has still to add; else nothing.

    >>> of_unfinished(Cache("results/demo.cache"))
    ''
    """
    if cache.finished:
        return ""
    return (
        f". The cache is unfinished, {len(cache)} of {cache.n_planned} utterances: let probe "
        "extract go on first"
    )


def identity(splits: dict[str, Split]) -> dict[str, int]:
    """A number for each part that tells one set of utterances from another.

    >>> identity({})
    {}
    """
    columns = ["utterance_id", "label", "speaker"]
    found = {}
    for part, split in splits.items():
        table = split.table[columns]
        task = split.task
        if not task.is_spoofing:
            named = (
                split.target
                if task.name == NUMBER
                else np.array(task.classes, object)[split.target.astype(np.intp)]
            )
            table = table.assign(target=named)
        if split.folds is not None:
            table = table.assign(fold=split.folds)
        found[part] = int(pd.util.hash_pandas_object(table, index=False).sum())
        if split.intervals is not None:  # the same labels may begin and end elsewhere
            found[part] += int(pd.util.hash_pandas_object(split.intervals, index=False).sum())
    return found


def renamed(cache: Cache) -> dict[str, str]:
    """New names of the columns of a cache that tables of a run add themselves.

    Caches made today have no such columns.
    """
    names = list(cache.utterances.columns)
    taken = [name for name in ADDED if name in names]
    return {
        name: next(new for i in range(1, 99) if (new := "own_" * i + name) not in names)
        for name in taken
    }


def corpus_name(cache: Cache) -> str:
    """The name of the corpus as a file name may hold it, without blanks.

    >>> " " in corpus_name(Cache("results/demo.cache"))
    False
    """
    name = "_".join(str(cache.about.get("corpus", "")).split()).replace("/", "_").replace("\\", "_")
    return name or cache.folder.name.removesuffix(".cache")


def filled(cache: Cache) -> Cache:
    """The cache; ProbeError if it has no utterances yet.

    >>> len(filled(Cache("results/demo.cache"))) > 0
    True
    """
    if not len(cache):
        raise ProbeError(
            f"{cache.folder}: no utterances yet. Go on with the probe extract that began it"
        )
    return cache
