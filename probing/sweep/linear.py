"""Linear probes of a sweep, layer by layer: what is read of a cache to fit and to score them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from probing.sweep.fitting import (
    MOST_FLOAT64,
    ROWS_AT_ONCE,
    Labelling,
    Probe,
    cross_validate,
    fit_probes,
    labellings_at_once,
    scores_of,
)
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import CLASSES
from probing.targets.task import CLIP
from probing.threads import Threads
from probing.units import unit_blocks, unit_features

READ_VALUES = 8_000_000  # of an evaluation set in memory at once
COPIES = 8  # of them that it holds
T = TypeVar("T")
R = TypeVar("R")


def probe_layers(
    splits: dict[str, Split],
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    memory_gb: float = 2.0,
    left_out: dict[str, NDArray[np.bool_]] | None = None,
    max_units: int = 50_000,
    controls: Sequence[dict[str, Split]] = (),
) -> Iterator[tuple[int, list[Probe], list[Probe]]]:
    """Read and fit layer after layer, as many in parallel as cores and memory allow.

    Evaluation sets are read a block at a time, however large they are.

    Args:
        splits: part -> utterances, of caches with a pooled tier; the true labels.
        labellings: see `fit_probes`.
        strengths: values of C.
        device: where to solve.
        memory_gb: most memory for features and what is computed from them; one layer is always
            taken.
        left_out: `train` and `dev` -> (A, N), selections of rows for probes with the true labels;
            see `fit_probes`.
        max_units: units inside utterances to train and to choose on, at most; all are scored.
        controls: C of them, part -> the same trials with labels of another task, see
            `control_tasks`.

    Yields:
        Layers in order, each with its K + C probes and its A probes on selections, with scores of
        all parts but `train`.
    """
    cache = splits["train"].cache
    task = splits["train"].task
    fitted_on = {part: sampled(splits[part], max_units) for part in ("train", "dev")}
    labelled = [*[splits] * len(labellings), *controls]
    labellings = [
        *labellings,
        *({part: control[part].target for part in fitted_on} for control in controls),
    ]
    of_labellings = [
        {part: labels[part][fitted_on[part].rows] for part in fitted_on} for labels in labellings
    ]
    inside = bool(splits["train"].unit)
    scored = {
        part: split
        for part, split in splits.items()
        if split.name == EVAL or (inside and part == "dev")
    }
    truth = {part: split.target for part, split in splits.items()}
    n_left_out = 0 if left_out is None else len(left_out["train"])
    item_size = 4 if inside else np.dtype(cache.tiers["pooled"]).itemsize
    n_train, n_dev = (len(fitted_on[part].rows) for part in ("train", "dev"))
    needed = working_bytes(n_train, n_train + n_dev, splits["train"].width, item_size)
    needed += 8 * max(1, 2 * len(task.classes)) * (len(labellings) + n_left_out) * (n_train + n_dev)
    if task.name == CLASSES:
        together = min(len(labellings), labellings_at_once(task, len(strengths), n_train))
        needed += 8 * COPIES * together * len(strengths) * len(task.classes) * n_train
    needed += 16 * (len(labellings) + n_left_out) * sum(map(len, splits.values()))

    def fit(layer: int) -> tuple[int, list[Probe], list[Probe]]:
        if splits["train"].folds is not None:
            features = features_of(splits["train"], layer, splits["train"].table)
            return (
                layer,
                cross_validate(
                    features,
                    splits["train"].folds,
                    labellings=labellings,
                    strengths=strengths,
                    device=device,
                    task=task,
                ),
                [],
            )
        features_by_part = {
            part: features_of(splits[part], layer, sample.table)
            for part, sample in fitted_on.items()
        }
        probes = fit_probes(features_by_part, of_labellings, strengths, device, task=task)
        selected = []
        if left_out is not None:
            selected = fit_probes(
                features_by_part,
                [truth] * n_left_out,
                strengths=strengths,
                device=device,
                rows=left_out,
                task=task,
            )
        del features_by_part
        for part, split in scored.items():
            of = [parts[part] for parts in (*labelled, *[splits] * len(selected))]
            add_scores(
                layer, [*probes, *selected], part=part, split=split, device=device, labelled=of
            )
        return layer, probes, selected

    at_once = 1 if torch.device(device).type != "cpu" else int(memory_gb * 1e9 / needed)
    yield from beside(fit, cache.layers, at_once)


@dataclass(frozen=True)
class _Sample:
    """The trials that probes are trained or chosen on: their rows (n,), and these of the table."""

    rows: NDArray[np.intp]
    table: pd.DataFrame


def sampled(split: Split, most: int) -> _Sample:
    """All utterances of a part, or at most so many units inside them, drawn evenly over it."""
    rows = np.arange(len(split))
    if split.unit and split.folds is None and len(rows) > most:
        rows = np.sort(np.random.default_rng([len(rows), most]).permutation(len(rows))[:most])
    return _Sample(rows, split.table.iloc[rows])


def add_scores(
    layer: int,
    probes: Sequence[Probe],
    part: str,
    split: Split,
    device: str = "cpu",
    labelled: Sequence[Split] | None = None,
) -> None:
    """Score every trial of a split, reading a block at a time; add that to the probes' `scores`.

    Args:
        layer: which.
        probes: K of them.
        part: under which scores are kept.
        split: the trials.
        device: where to multiply.
        labelled: (K,) the same trials with the labels of each probe, if these differ.
    """
    labelled = labelled or [split] * len(probes)
    scores: NDArray[Any] | None = None
    for rows, features in _blocks(split, layer, max(1, READ_VALUES // probes[0].weight.shape[-1])):
        of_block = scores_of(probes, features, device)
        if split.task.name == CLASSES:  # whose scores of many trials are too many to be kept
            of_block = np.stack(
                [
                    of.task.compact(of.target[rows], scores)
                    for of, scores in zip(labelled, of_block, strict=True)
                ]
            )
        if scores is None:
            scores = np.empty((len(probes), len(split)), of_block.dtype)
        scores[:, rows] = of_block
    assert scores is not None
    for probe, values in zip(probes, scores, strict=True):
        probe.scores[part] = values


def _blocks(
    split: Split, layer: int, most: int
) -> Iterator[tuple[NDArray[np.integer], NDArray[Any]]]:
    """Rows of the trials of a split with their features, in the order of the shards."""
    if split.unit:
        yield from unit_blocks(split.cache, layer, _places(split.table))
        return
    order = np.lexsort((split.table["row"], split.table["shard"]))
    for first in range(0, len(order), most):
        rows = order[first : first + most]
        yield rows, features_of(split, layer, split.table.iloc[rows])


def _places(units: pd.DataFrame) -> pd.DataFrame:
    """Which frames units are, as readers of a cache know their utterances."""
    return pd.DataFrame(
        {
            "utterance_id": units[CLIP],
            "first_frame": units["first_frame"],
            "last_frame": units["last_frame"],
        }
    )


def features_of(split: Split, layer: int, table: pd.DataFrame) -> NDArray[Any]:
    """Features of a layer of some trials of a split.

    Mean and deviation over time (N, 2 D) of utterances, as they are stored; of units (N, D)
    float32.
    """
    if split.unit:
        return unit_features(split.cache, layer, _places(table))
    return split.cache.pooled([layer], table).reshape(len(table), -1)


def beside(work: Callable[[T], R], items: Sequence[T], at_once: int) -> Iterator[R]:
    """Results in order, of at most `at_once` items in parallel, and no more than there are cores.

    Cores are shared out evenly. A core to itself is worth more to a solver than a share in all: its
    products are too small to be split, and wait for each other where cores are busy with something
    else.
    """
    threads = torch.get_num_threads()
    at_once = max(1, min(at_once, threads, len(items)))
    if at_once == 1:
        yield from map(work, items)
        return
    pending: deque[Future[R]] = deque()
    try:
        with Threads(
            at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)
        ) as pool:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > at_once:  # no more results wait in memory than are worked on
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    finally:
        torch.set_num_threads(threads)


def working_bytes(n_train: int, n: int, p: int, item_size: int) -> int:
    """About the most bytes that a layer takes.

    They are `n` utterances x `p` values as stored, and what solving needs.
    """
    solving = (4 if n_train * p > MOST_FLOAT64 else 8) * (n_train * p + 8 * p * min(n_train, p))
    return item_size * n * p + solving + 3 * 8 * ROWS_AT_ONCE * p


def shuffled(splits: dict[str, Split], seeds: Sequence[int]) -> list[Labelling]:
    """Labellings without meaning: targets of train and dev permuted, one a seed."""
    labellings = []
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        labellings.append(
            {part: generator.permutation(splits[part].target) for part in ("train", "dev")}
        )
        if splits["train"].folds is not None:  # whose parts are the same utterances
            labellings[-1]["dev"] = labellings[-1]["train"]
    return labellings
