"""Divisions of all utterances of a cache into parts that share no group, or into folds."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from probing.speakers import known_speakers
from probing.targets.metrics import NUMBER
from probing.targets.task import Task, Values

PARTS = 5  # of which one is dev and one eval
ID = "utterance_id"


def folds_of(
    cache: Cache, table: pd.DataFrame, column: str, n: int, seed: int, task: Task, target: Values
) -> NDArray[np.intp]:
    """The fold (N,) of each utterance: no group is in two, and classes are shared out as evenly as that allows.

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
        raise OptionError("split_by", column, f"no such column. Expected one of {', '.join(table.columns)}")
    unknown = ~known_speakers(table[column])
    if unknown.any():
        raise OptionError(
            "split_by",
            column,
            f"{int(unknown.sum())} of {len(table)} utterances of {cache.folder} have none, so that parts might share "
            f"one. Use another column, as {argument('split_by', ID)}",
        )
    groups = table[column].astype(str).to_numpy()
    n_groups = len(set(groups))
    if n_groups < n:
        raise OptionError("split_by", column, f"has {n_groups} values, and {n} folds need as many or more")
    order = np.argsort(table[ID].to_numpy(), kind="stable")  # whatever order the rows have
    of_number = task.name == NUMBER
    kind = GroupKFold if of_number else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes of fewer members than folds are looked at later
        splitter = kind(n_splits=n, shuffle=True, random_state=seed)
        folds = np.empty(len(table), np.intp)
        for fold, (_, test) in enumerate(splitter.split(order, None if of_number else target[order], groups[order])):
            folds[order[test]] = fold
    empty = [fold for fold in range(n) if not (folds == fold).any()]
    if empty:
        raise ProbeError(
            f"{cache.folder}: the {n_groups} values of {column} cannot be shared out over {n} parts, as one would be "
            f"empty. Use another column, or fewer: {argument('folds', max(3, n - 1))}"
        )
    return folds
