"""Depth ablation: every head trained on the first k layers only, for every k, from one read of the
cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cache import Cache
from probing.heads.head import Head
from probing.heads.kinds import split_head
from probing.heads.sources import FrameSource
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import scores_of, train
from probing.sweep.dividing import fold_parts
from probing.sweep.head_sources import open_source, unit_sources
from probing.sweep.linear import sampled
from probing.sweep.options import DepthOptions
from probing.sweep.split import Split
from probing.sweep.training_log import TrainingLog
from probing.targets.metrics import BINARY, CLASSES, NUMBER
from probing.targets.task import Values


@dataclass(frozen=True)
class FittedHead:
    """The best model of a depth and seed of a head.

    heads: one, or of a cross-validation one a fold. logs: how each was trained.
    scores: part -> (N,); of many classes (N, M), or these as `Task.compact` has them.
    """

    model: Model
    heads: tuple[Head, ...]
    logs: tuple[TrainingLog, ...]
    scores: dict[str, NDArray[Any]]


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
    said: Callable[[int, str], None] = lambda done, text: None,
) -> list[FittedHead]:
    """Train all heads x depths x seeds x constants and give the best of each head, depth and seed
    on dev.

    In a cross-validation they are trained without each fold and the next one, which they are chosen
    on; their scores of `eval` are those of the heads trained without that fold.

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
        said: told how many epochs of models are done, those saved by early stopping included.

    Raises:
        ProbeError: the cache has no such tier, or a depth it does not have.
    """
    options.check(cache)
    for split in splits.values():
        split.cache.require("frames" if split.unit else options.tier, cache.layers)
    folds = splits["train"].folds
    if folds is None:
        training = _Training(
            cache,
            splits,
            options=options,
            folder=folder,
            device=device,
            memory_gb=memory_gb,
            max_units=max_units,
        )
        return training.fit(rankings[0] if rankings else (), said)
    pooled: dict[tuple[str, int, int], FittedHead] = {}
    for fold, rows in enumerate(fold_parts(folds)):
        parts = {part: splits[part].take(chosen) for part, chosen in rows.items()}
        of_fold = folder / f"fold-{fold:02d}"
        of_fold.mkdir(exist_ok=True)
        training = _Training(
            cache,
            parts,
            options=options,
            folder=of_fold,
            device=device,
            memory_gb=memory_gb,
            max_units=max_units,
        )
        for member in training.fit(rankings[fold] if rankings else (), said):
            model = member.model
            key = model.head, model.depth, model.seed
            if key not in pooled:
                empty = {
                    part: np.empty((len(folds), *of.shape[1:]), of.dtype)
                    for part, of in member.scores.items()
                }
                pooled[key] = FittedHead(model, (), (), empty)
            for part, scores in member.scores.items():
                pooled[key].scores[part][rows[part]] = scores
            known = pooled[key]
            logs = tuple(replace(log, fold=fold) for log in member.logs)
            pooled[key] = replace(
                known, heads=(*known.heads, *member.heads), logs=(*known.logs, *logs)
            )
    return list(pooled.values())


class _Training:
    """Heads trained on one division of the data; see `fit_depths`."""

    def __init__(
        self,
        cache: Cache,
        splits: dict[str, Split],
        options: DepthOptions,
        folder: Path,
        device: str,
        memory_gb: float,
        max_units: int,
    ) -> None:
        self.cache, self.splits, self.options, self.folder = cache, splits, options, folder
        self.device, self.memory_gb = device, memory_gb
        self.task = splits["train"].task
        self.inside = bool(splits["train"].unit)
        self.recipe = options.training()
        self.level, self.step = 0.0, 1.0
        if self.task.name == NUMBER:  # a head learns it in units of its own deviation
            target = splits["train"].target
            self.level, self.step = float(target.mean()), float(target.std()) or 1.0
        part_gb = memory_gb / (len(splits) + 1)
        self.learned = {
            part: splits[part].take(sampled(splits[part], max_units).rows)
            for part in ("train", "dev")
        }
        self.sources = {
            part: open_source(
                split, options.tier, recipe=self.recipe, memory_gb=part_gb, folder=folder
            )
            for part, split in self.learned.items()
        }
        self.scored = (
            {}
            if self.inside
            else {
                part: open_source(
                    split, options.tier, recipe=self.recipe, memory_gb=part_gb, folder=folder
                )
                for part, split in splits.items()
                if part not in self.learned
            }
        )

    def fit(self, ranking: Sequence[int], said: Callable[[int, str], None]) -> list[FittedHead]:
        """Train them, in groups that the memory holds, and give the best of each head, depth and
        seed on dev.
        """
        recipe, device = self.recipe, self.device
        train_part, dev = self.learned["train"], self.learned["dev"]
        about = {
            "backbone": self.cache.about["backbone"],
            "cache": self.cache.id,
            "recipe": recipe.name,
        }
        if not self.task.is_spoofing:
            about["target"] = self.task.as_dict()
        best: dict[tuple[str, int, int], tuple[float, FittedHead]] = {}
        for i, group in enumerate(_groups(self._stacks(ranking), self.memory_gb / 2)):
            count = sum(len(stack.models) for stack in group)
            told = [0]
            losses = train(
                group,
                self.sources["train"],
                train_target=self._scaled(train_part.target),
                dev_source=self.sources["dev"],
                dev_target=self._scaled(dev.target),
                recipe=recipe,
                device=device,
                checkpoint=self.folder / f"training-{i:03d}.pt",
                said=partial(_tell, said, count, told),
                figure=lambda scores: self.task.values(dev.target, self._read(scores)),
            )
            on_dev = [
                self._read(found)
                for found in scores_of(group, self.sources["dev"], recipe.batch, device)
            ]
            chosen = [
                _chosen(stack, found, dev) for stack, found in zip(group, on_dev, strict=True)
            ]
            kept = [[m for m, _ in of_stack] for of_stack in chosen]
            scores = self._scores(group, kept, on_dev)
            for number, stack in enumerate(group):
                stack.to("cpu")
                for j, (m, rate) in enumerate(chosen[number]):
                    model = stack.models[m]
                    key = model.head, model.depth, model.seed
                    if key not in best or rate < best[key][0]:
                        n_frames = recipe.n_frames if stack.frames else None
                        unit = (self.level, self.step)
                        head = Head(stack.take(m), n_frames, about, unit=unit, inside=self.inside)
                        of_model = {part: found[number][j] for part, found in scores.items()}
                        log = TrainingLog(model, losses[number][:, :, m].numpy())
                        best[key] = rate, FittedHead(model, (head,), (log,), of_model)
            said(count * (recipe.epochs - told[0]), "scored")
        return [member for _, member in best.values()]

    def _stacks(self, ranking: Sequence[int]) -> list[HeadStack]:
        recipe, options = self.recipe, self.options
        n_layers = sum(k > 0 for k in self.cache.layers)
        models = [
            Model(*split_head(head), depth, seed, rate, decay)
            for head in options.heads
            for depth in options.chosen(n_layers)
            for seed in options.seeds
            for rate in recipe.learning_rates
            for decay in recipe.weight_decays
        ]
        vectors = recipe.batch
        if isinstance(source := self.sources["train"], FrameSource):
            vectors = min(recipe.batch, source.part_size) * source.longest
        stacks = make_stacks(
            models,
            n_layers,
            self.sources["train"].dim,
            options.tier == "frames",
            memory_gb=self.memory_gb / 2,
            vectors=vectors,
            outputs={BINARY: None, CLASSES: len(self.task.classes), NUMBER: 1}[self.task.name],
        )
        for stack in stacks if ranking else ():
            stack.merge.rank(ranking)
        return stacks

    def _scaled(self, target: Values) -> Values:
        return (target - self.level) / self.step if self.task.name == NUMBER else target

    def _read(self, scores: Tensor) -> NDArray[np.float64]:
        found = scores.double().numpy()
        return found * self.step + self.level if self.task.name == NUMBER else found

    def _scores(
        self,
        group: Sequence[HeadStack],
        kept: Sequence[Sequence[int]],
        on_dev: Sequence[NDArray[np.float64]],
    ) -> dict[str, list[NDArray[Any]]]:
        """Part -> of each stack the scores (M, N) of the models that are kept; of units a block at
        a time.
        """
        if self.inside:
            return {
                part: self._of_units(group, kept, split)
                for part, split in self.splits.items()
                if part != "train"
            }
        return {
            "dev": [found[models] for found, models in zip(on_dev, kept, strict=True)],
            **{
                part: [
                    self._read(one)
                    for one in scores_of(
                        group, source, batch=self.recipe.batch, device=self.device, kept=kept
                    )
                ]
                for part, source in self.scored.items()
            },
        }

    def _of_units(
        self, group: Sequence[HeadStack], kept: Sequence[Sequence[int]], split: Split
    ) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = []
        for rows, source in unit_sources(split):
            of_block = [
                self._read(one)
                for one in scores_of(
                    group, source, batch=self.recipe.batch, device=self.device, kept=kept
                )
            ]
            target = split.target[rows]
            compact = [
                np.stack([self.task.compact(target, one) for one in of_stack])
                for of_stack in of_block
            ]
            if not found:
                found = [
                    np.empty((len(one), len(split), *one.shape[2:]), one.dtype) for one in compact
                ]
            for scores, one in zip(found, compact, strict=True):
                scores[:, rows] = one
        return found


def _tell(said: Callable[[int, str], None], count: int, told: list[int], text: str) -> None:
    told[0] += 1
    said(count, f"{count} models, {text}")


def _groups(stacks: Sequence[HeadStack], memory_gb: float) -> Iterator[list[HeadStack]]:
    """Stacks whose parameters, moments and copies fit the memory together: each group is one read
    of the data.
    """
    group: list[HeadStack] = []
    used = 0.0
    for stack in stacks:
        size = 6 * 4 * stack.n_parameters() / 1e9
        if group and used + size > memory_gb:
            yield group
            group = []
            used = 0.0
        group.append(stack)
        used += size
    if group:
        yield group


def _chosen(
    stack: HeadStack, dev_scores: NDArray[np.float64], dev: Split
) -> list[tuple[int, float]]:
    """The model that is best on dev of each depth and seed, and its loss; among equals
    the first.
    """
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for m, model in enumerate(stack.models):
        rate = dev.task.loss(dev.target, dev_scores[m])
        key = model.depth, model.seed
        if key not in best or rate < best[key][0]:
            best[key] = rate, m
    return [(m, rate) for rate, m in best.values()]
