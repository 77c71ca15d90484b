"""Divisions of all utterances of a cache into parts that share no group, or into folds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from probing.speakers import known_speakers
from probing.sweep.split import EVAL, Split, check_target, corpus_name, filled, renamed
from probing.targets.aligned import AlignedUnits
from probing.targets.metrics import NUMBER
from probing.targets.options import TargetOptions
from probing.targets.task import Task, Values
from probing.targets.values import Column, left_out, numbered, positive_of, task_of, unmatched

PARTS = 5  # of which one is dev and one eval
ID = "utterance_id"


def folds_of(
    cache: Cache, table: pd.DataFrame, column: str, n: int, seed: int, task: Task, target: Values
) -> NDArray[np.intp]:
    """The fold (N,) of each utterance: no group is in two, classes as even as that allows.

    Args:
        cache: whose utterances they are, for messages.
        table: of the utterances.
        column: whose values are the groups.
        n: number of folds.
        seed: of the division.
        task: of the target.
        target: (N,) its values.

    Raises:
        ProbeError: no such column, utterances without a group, or fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    if column not in table:
        raise OptionError(
            "split_by", column, f"no such column. Expected one of {', '.join(table.columns)}"
        )
    unknown = ~known_speakers(table[column])
    if unknown.any():
        raise OptionError(
            "split_by",
            column,
            f"{int(unknown.sum())} of {len(table)} utterances of {cache.folder} have none, so "
            f"that parts might share one. Use another column, as {argument('split_by', ID)}",
        )
    groups = table[column].astype(str).to_numpy()
    n_groups = len(set(groups))
    if n_groups < n:
        raise OptionError(
            "split_by", column, f"has {n_groups} values, and {n} folds need as many or more"
        )
    order = np.argsort(table[ID].to_numpy(), kind="stable")  # whatever order the rows have
    of_number = task.name == NUMBER
    kind = GroupKFold if of_number else StratifiedGroupKFold
    with warnings.catch_warnings():
        # classes of fewer members than folds are looked at later
        warnings.simplefilter("ignore", UserWarning)
        splitter = kind(n_splits=n, shuffle=True, random_state=seed)
        folds = np.empty(len(table), np.intp)
        for fold, (_, test) in enumerate(
            splitter.split(order, None if of_number else target[order], groups[order])
        ):
            folds[order[test]] = fold
    empty = [fold for fold in range(n) if not (folds == fold).any()]
    if empty:
        raise ProbeError(
            f"{cache.folder}: the {n_groups} values of {column} cannot be shared out over {n} "
            "parts, as one would be empty. Use another column, or fewer: "
            f"{argument('folds', max(3, n - 1))}"
        )
    return folds


def divide(
    cache: Cache,
    options: TargetOptions,
    column: Column,
    seed: int,
    units: AlignedUnits | None = None,
) -> dict[str, Split]:
    """All utterances of a cache in three parts that share no group, or in folds.

    Of five parts made as equal as groups allow, the first is eval, the second dev. In a
    cross-validation every part is all utterances: each fold is reported on by a probe that is
    trained without it and the next one, which it is chosen on.
    """
    table = filled(cache).utterances if units is None else units.of(filled(cache))
    values = column.of(table, cache)
    positive = positive_of(options, values)
    task = task_of(options, values, values)
    target, used = numbered(task, values, positive)
    gone = unmatched(column, table["utterance_id"]) | left_out(task, values, used)
    table, values = table[used].reset_index(drop=True), values[used].reset_index(drop=True)
    n = options.folds or PARTS
    folds = folds_of(
        cache, table, column=options.split_by, n=n, seed=seed, task=task, target=target
    )
    if options.folds and task.name != NUMBER:
        kept, rare = _in_every_training(task, target, folds, cache)
        gone |= {f"are {name}, in too few folds": count for name, count in rare.items()}
        table = table[kept].reset_index(drop=True)
        values = values[kept].reset_index(drop=True)
        folds = folds[kept]
    rows = {EVAL: folds == 0, "dev": folds == 1, "train": folds > 1}
    if options.folds:
        rows = dict.fromkeys(rows, np.ones(len(table), bool))
    task = task_of(options, values, values[rows["train"]])
    splits = {}
    for part in ("train", "dev", EVAL):
        mine = values[rows[part]]
        target, used = numbered(task, mine, positive)
        why = {**(gone if part == "train" else {}), **left_out(task, mine, used)}
        chosen = table[rows[part]][used]
        splits[part] = Split(
            part,
            cache,
            split=f"{options.folds} folds by {options.split_by}"
            if options.folds
            else f"{part} by {options.split_by}",
            corpus=corpus_name(cache),
            table=chosen.rename(columns=renamed(cache)),
            target=target,
            task=task,
            left_out=why,
            folds=folds[rows[part]][used] if options.folds else None,
            unit=options.unit,
            intervals=units.intervals(cache, chosen) if units else None,
            notes=units.notes.get(cache.folder.resolve(), ()) if units else (),
        )
        check_target(splits[part], column, divided=True)
    return splits


def fold_parts(folds: NDArray[np.intp]) -> Iterator[dict[str, NDArray[np.bool_]]]:
    """For each fold of a cross-validation, the rows (N,) of `train`, `dev` and `eval`.

    >>> next(fold_parts(np.array([0, 1, 2])))["train"].tolist()
    [False, False, True]
    """
    n = int(folds.max()) + 1
    for fold in range(n):
        reported, chosen_on = folds == fold, folds == (fold + 1) % n
        yield {"train": ~reported & ~chosen_on, "dev": chosen_on, EVAL: reported}


def rows_by_training(split: Split) -> list[NDArray[np.intp]]:
    """Rows of a part that one training is chosen or reported on: those of each fold, or all."""
    if split.folds is None:
        return [np.arange(len(split))]
    return [np.flatnonzero(rows[split.name]) for rows in fold_parts(split.folds)]


def _in_every_training(
    task: Task, target: Values, folds: NDArray[np.intp], cache: Cache
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """The utterances (N,) of classes that every fold trains on, and how many others there are."""
    codes = target.astype(np.intp)
    there = [
        np.bincount(codes[rows["train"]], minlength=len(task.classes)) > 0
        for rows in fold_parts(folds)
    ]
    every = np.all(there, axis=0)
    if every.sum() < 2:
        raise ProbeError(
            f"{cache.folder}: fewer than two values of {task.target} are in the training part of "
            f"every fold. Use fewer folds ({argument('folds')}) or another column "
            f"({argument('split_by')})"
        )
    kept = every[codes]
    return kept, {task.classes[c]: int((codes == c).sum()) for c in np.flatnonzero(~every)}
