"""The training of heads by depth on one division of the data, and the choice of the best on dev."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cache import Cache
from probing.heads.head import Head
from probing.heads.kinds import split_head
from probing.heads.scoring import scores_of
from probing.heads.sources import FrameSource
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import train
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

    heads: one, or of a cross-validation one a fold.
    logs: how each was trained.
    scores: part -> (N,); of many classes (N, M), or these as `Task.compact` has them.
    """

    model: Model
    heads: tuple[Head, ...]
    logs: tuple[TrainingLog, ...]
    scores: dict[str, NDArray[Any]]


class DepthTraining:
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
        self.cache = cache
        self.splits = splits
        self.options = options
        self.folder = folder
        self.device = device
        self.memory_gb = memory_gb
        self.task = splits["train"].task
        self.inside = bool(splits["train"].unit)
        self.recipe = options.training()
        self.level, self.step = 0.0, 1.0
        if self.task.name == NUMBER:  # a head learns it in units of its own deviation
            target = splits["train"].target
            self.level, self.step = float(target.mean()), float(target.std()) or 1.0
        part_gb = memory_gb / (len(splits) + 1)
        opened = partial(
            open_source, tier=options.tier, recipe=self.recipe, memory_gb=part_gb, folder=folder
        )
        self.learned = {
            part: splits[part].take(sampled(splits[part], max_units).rows)
            for part in ("train", "dev")
        }
        self.sources = {part: opened(split) for part, split in self.learned.items()}
        # units are scored a block at a time, see `_of_units`
        further = {} if self.inside else splits
        self.scored = {
            part: opened(split) for part, split in further.items() if part not in self.learned
        }

    def fit(self, ranking: Sequence[int], advance: Callable[[int, str], None]) -> list[FittedHead]:
        """Train heads in groups that the memory holds.

        Returns the best on dev of each head, depth and seed.
        """
        best: dict[tuple[str, int, int], tuple[float, FittedHead]] = {}
        for i, group in enumerate(_groups(self._stacks(ranking), self.memory_gb / 2)):
            checkpoint = self.folder / f"training-{i:03d}.pt"
            losses, n_epochs = self._train(group, checkpoint, advance)
            for loss, member in self._best_of(group, losses):
                model = member.model
                key = model.head, model.depth, model.seed
                if key not in best or loss < best[key][0]:
                    best[key] = loss, member
            n_models = sum(len(stack.models) for stack in group)
            advance(n_models * (self.recipe.epochs - n_epochs), "scored")
        return [member for _, member in best.values()]

    def _train(
        self, group: Sequence[HeadStack], checkpoint: Path, advance: Callable[[int, str], None]
    ) -> tuple[list[Tensor], int]:
        """Train a group; gives what `train` does, and the epochs since its checkpoint."""
        dev = self.learned["dev"]
        n_models = sum(len(stack.models) for stack in group)
        lines: list[str] = []

        def report(line: str) -> None:
            lines.append(line)
            advance(n_models, f"{n_models} models, {line}")

        losses = train(
            group,
            self.sources["train"],
            train_target=self._scaled(self.learned["train"].target),
            dev_source=self.sources["dev"],
            dev_target=self._scaled(dev.target),
            recipe=self.recipe,
            device=self.device,
            checkpoint=checkpoint,
            say=report,
            figure=lambda scores: self.task.values(dev.target, self._read(scores)),
        )
        return losses, len(lines)

    def _best_of(
        self, group: Sequence[HeadStack], losses: Sequence[Tensor]
    ) -> Iterator[tuple[float, FittedHead]]:
        """The best model of each depth and seed of every stack, with its loss on dev."""
        recipe = self.recipe
        dev = self.learned["dev"]
        on_dev = [
            self._read(scores)
            for scores in scores_of(group, self.sources["dev"], recipe.batch, self.device)
        ]
        chosen = [_chosen(stack, scores, dev) for stack, scores in zip(group, on_dev, strict=True)]
        kept = [[m for m, _ in of_stack] for of_stack in chosen]
        scores = self._scores(group, kept, on_dev)
        unit = (self.level, self.step)
        for number, stack in enumerate(group):
            stack.to("cpu")
            n_frames = recipe.n_frames if stack.frames else None
            for j, (m, loss) in enumerate(chosen[number]):
                model = stack.models[m]
                head = Head(stack.take(m), n_frames, self._about(), unit=unit, inside=self.inside)
                of_model = {part: found[number][j] for part, found in scores.items()}
                log = TrainingLog(model, losses[number][:, :, m].numpy())
                yield loss, FittedHead(model, (head,), (log,), of_model)

    def _about(self) -> dict[str, Any]:
        """What a head says of its making."""
        about: dict[str, Any] = {
            "backbone": self.cache.about["backbone"],
            "cache": self.cache.id,
            "recipe": self.recipe.name,
        }
        return about if self.task.is_spoofing else {**about, "target": self.task.as_dict()}

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
        """Part -> of each stack the scores (M, N) of the models that are kept.

        Units are scored a block at a time.
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
                    self._read(scores)
                    for scores in scores_of(
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
                self._read(scores)
                for scores in scores_of(
                    group, source, batch=self.recipe.batch, device=self.device, kept=kept
                )
            ]
            target = split.target[rows]
            compact = [
                np.stack([self.task.compact(target, scores) for scores in of_stack])
                for of_stack in of_block
            ]
            if not found:
                found = [
                    np.empty((len(block), len(split), *block.shape[2:]), block.dtype)
                    for block in compact
                ]
            for scores, block in zip(found, compact, strict=True):
                scores[:, rows] = block
        return found


def _groups(stacks: Sequence[HeadStack], memory_gb: float) -> Iterator[list[HeadStack]]:
    """Groups of stacks whose parameters, moments and copies fit the memory together.

    Each group is one read of the data.
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
    """The model that is best on dev of each depth and seed, and its loss.

    Among equals it is the first.
    """
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for m, model in enumerate(stack.models):
        rate = dev.task.loss(dev.target, dev_scores[m])
        key = model.depth, model.seed
        if key not in best or rate < best[key][0]:
            best[key] = rate, m
    return [(m, rate) for rate, m in best.values()]
