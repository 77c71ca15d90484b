"""Depth ablation: every head trained on layers 1..k, for every k, from one read of the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import Cache
from probing.sweep.depth_training import DepthTraining, FittedHead
from probing.sweep.dividing import fold_parts
from probing.sweep.options import DepthOptions
from probing.sweep.split import Split


def fit_depths(
    cache: Cache,
    splits: dict[str, Split],
    options: DepthOptions,
    folder: Path,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    rankings: Sequence[Sequence[int]] = (),
    max_units: int = 50_000,
    advance: Callable[[int, str], None] = lambda done, note: None,
) -> list[FittedHead]:
    """Train all heads x depths x seeds x constants.

    Returns the best on dev of each head, depth and seed. In a cross-validation heads are trained
    without each fold and the next one, which they are chosen on; their scores of `eval` are those
    of the heads trained without that fold.

    Args:
        cache: with the tier asked for, and layers 1..L.
        splits: train, dev and any others, which are only scored.
        options: what to train.
        folder: where checkpoints are kept; a killed training goes on from them.
        device: cpu or cuda.
        memory_gb: most memory: half for parameters, a quarter for what a step keeps, the rest for
            batches in flight. Models beyond that train in turn; one model and one utterance are
            always taken.
        rankings: of each fold, or once, layers, that of the best linear probe on dev first, for
            merges that select some; none knows nothing.
        max_units: units inside utterances to train and to choose on, at most; all are scored.
        advance: called with how many epochs of models are done, those that early stopping saved
            included, and a note on them.

    Raises:
        ProbeError: the cache has no such tier, or a depth it does not have.
    """
    options.check(cache)
    for split in splits.values():
        split.cache.require("frames" if split.unit else options.tier, cache.layers)
    folds = splits["train"].folds
    training = partial(
        DepthTraining,
        cache,
        options=options,
        device=device,
        memory_gb=memory_gb,
        max_units=max_units,
    )
    if folds is None:
        return training(splits=splits, folder=folder).fit(rankings[0] if rankings else (), advance)
    pooled: dict[tuple[str, int, int], FittedHead] = {}
    for fold, rows in enumerate(fold_parts(folds)):
        parts = {part: splits[part].take(chosen) for part, chosen in rows.items()}
        of_fold = folder / f"fold-{fold:02d}"
        of_fold.mkdir(exist_ok=True)
        ranking = rankings[fold] if rankings else ()
        for member in training(splits=parts, folder=of_fold).fit(ranking, advance):
            _pool(pooled, member, fold=fold, rows=rows, n=len(folds))
    return list(pooled.values())


def _pool(
    pooled: dict[tuple[str, int, int], FittedHead],
    member: FittedHead,
    fold: int,
    rows: Mapping[str, NDArray[Any]],
    n: int,
) -> None:
    """Add the head of a fold, and its scores at the rows of its parts, to those of other folds."""
    model = member.model
    key = model.head, model.depth, model.seed
    if key not in pooled:
        empty = {
            part: np.empty((n, *scores.shape[1:]), scores.dtype)
            for part, scores in member.scores.items()
        }
        pooled[key] = FittedHead(model, (), (), empty)
    known = pooled[key]
    for part, scores in member.scores.items():
        known.scores[part][rows[part]] = scores
    logs = tuple(replace(log, fold=fold) for log in member.logs)
    pooled[key] = replace(known, heads=(*known.heads, *member.heads), logs=(*known.logs, *logs))
