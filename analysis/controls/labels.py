"""Labels to be coded by the online code, in portions that double; PyTorch is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.views import View, view
from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from cache.reader import Where
from probing.labels import BONAFIDE, are_of_spoofing
from probing.targets.metrics import CLASSES
from probing.targets.options import LABEL, TargetOptions
from probing.targets.values import numbered, read_column, task_of

FIRST = 16  # utterances of the first portion, which is sent without a probe
SEEDS = (0, 1, 2)
Labels = NDArray[Any]  # (n,) true for bona fide, or the numbers of classes


@dataclass(frozen=True)
class CodedLabels:
    """Labels of utterances in the orders in which they are coded.

    view: layers and utterances.
    rows: (n,) numbers of the utterances of the view that have a class.
    n_classes: how many classes there are.
    orders: of each seed the order (n,) of the rows, their labels in it, and these shuffled within
        each portion.
    ends: where portions end.
    """

    view: View
    rows: NDArray[np.intp]
    n_classes: int
    orders: Sequence[tuple[NDArray[np.int64], Labels, Labels]]
    ends: list[int]


def coded_labels(
    cache: Cache,
    layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    target: str = LABEL,
    labels: str | Path = "",
    seeds: Sequence[int] = SEEDS,
    first: int = FIRST,
    deviation: bool = True,
) -> CodedLabels:
    """Read the labels that are coded; arguments are those of `description_length`.

    Raises:
        ProbeError: no such layer, utterance or column; one class only, or too few utterances for
            two portions.

    >>> coded_labels(Cache("results/demo.cache")).n_classes
    2
    """
    v = view(cache, layers, {"split": "train"} if where is None else where, deviation=deviation)
    values: Labels
    if target == LABEL and not labels:
        rows, values, n_classes = np.arange(len(v.table)), _of_spoofing(v.table["label"], cache), 2
    else:
        rows, values, n_classes = _classes(v, TargetOptions(target=target, labels=str(labels)))
    n = len(rows)
    generators = [np.random.default_rng([seed, 2]) for seed in seeds]
    permuted = [generator.permutation(n) for generator in generators]
    ends = _portions(
        n, first, labellings=[values[order] for order in permuted], n_classes=n_classes, cache=cache
    )
    orders = [
        (order, values[order], _shuffled(values[order], ends, generator))
        for order, generator in zip(permuted, generators, strict=True)
    ]
    return CodedLabels(v, rows, n_classes, orders, ends)


def _of_spoofing(labels: pd.Series[str], cache: Cache) -> NDArray[np.bool_]:
    """True for bona fide utterances."""
    bonafide = (labels == BONAFIDE).to_numpy()
    n = len(bonafide)
    if not are_of_spoofing(labels):
        raise ProbeError(
            f"{cache.folder}: these {n} utterances have other labels than bonafide and spoof, or "
            "none. Expected these two in every row; of other classes name the column: "
            f"{argument('target', 'COLUMN')}"
        )
    if bonafide.all() or not bonafide.any():
        raise ProbeError(
            f"{cache.folder}: these {n} utterances are of one class. "
            f"Choose others with {argument('where')}"
        )
    return np.asarray(bonafide)


def _classes(v: View, options: TargetOptions) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """The utterances (n,) that have a class, its number (n,), and how many classes there are."""
    values = read_column(options).of(v.table, v.cache)
    try:
        task = task_of(options, values, values)
    except OptionError:
        counts = values.value_counts()
        if counts.empty or (counts >= options.min_count).sum() > 1:
            raise
        # its own advice is that of a sweep
        most = ", ".join(f"{value} {n}" for value, n in counts.head(5).items())
        raise OptionError(
            "target",
            options.target,
            f"of these {len(v.table)} utterances most are {most}. Expected two or more classes "
            f"of {options.min_count} at least. Choose others with "
            f"{argument('where')}, or another column",
        ) from None
    if task.name != CLASSES:
        raise OptionError(
            "target",
            options.target,
            "is a number, and a code is of classes. Expected names of classes",
        )
    found, used = numbered(task, values)
    return np.flatnonzero(used), found, len(task.classes)


def _shuffled(labels: Labels, ends: list[int], generator: np.random.Generator) -> Labels:
    """Labels in an order of their own within each portion."""
    parts = [generator.permutation(labels[begin:end]) for begin, end in pairwise([0, *ends])]
    return np.concatenate(parts)


def _portions(
    n: int, first: int, labellings: list[Labels], n_classes: int, cache: Cache
) -> list[int]:
    """Where portions end; each of the labellings has every class in the first."""
    ends = [n]
    while ends[0] // 2 >= first and all(
        len(np.unique(own[: ends[0] // 2])) == n_classes for own in labellings
    ):
        ends.insert(0, ends[0] // 2)
    if len(ends) < 2:
        every = "both classes" if n_classes == 2 else f"all {n_classes} classes"
        raise ProbeError(
            f"{cache.folder}: {n} utterances make no two portions with {every} in the first. "
            f"Expected {2 * first} utterances or more; choose others with {argument('where')}, "
            f"or another {argument('target')}"
        )
    return ends
