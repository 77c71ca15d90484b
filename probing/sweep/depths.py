"""Depth ablation: every head trained on the first k layers only, for every k, from one read of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cache import Cache
from probing.heads.head import Head
from probing.heads.kinds import split_head
from probing.heads.recipes import Recipe
from probing.heads.sources import FrameSource, PooledSource, Source
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import scores_of, train
from probing.sweep.options import DepthOptions
from probing.sweep.split import Split
from probing.targets.metrics import BINARY, CLASSES, NUMBER


@dataclass(frozen=True)
class FittedHead:
    """The best model of a head, depth and seed.

    scores: part -> (N,); of many classes (N, M).
    """

    model: Model
    head: Head
    scores: dict[str, NDArray[np.float64]]


def open_source(split: Split, tier: str, recipe: Recipe, memory_gb: float) -> Source:
    """The layers 1..L of a split."""
    if tier == "frames":
        return FrameSource(split.cache, split.table, recipe.n_frames, memory_gb)
    return PooledSource(cache=split.cache, table=split.table, memory_gb=memory_gb)


def fit_depths(
    cache: Cache,
    splits: dict[str, Split],
    options: DepthOptions,
    folder: Path,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    ranking: Sequence[int] = (),
    said: Callable[[int, str], None] = lambda done, text: None,
) -> list[FittedHead]:
    """Train all heads x depths x seeds x constants and give the best of each head, depth and seed on dev.

    Args:
        cache: with the tier asked for, and layers 1..L.
        splits: train, dev and any others, which are only scored.
        options: what to train.
        folder: where checkpoints are kept; a killed training goes on from them.
        device: cpu or cuda.
        memory_gb: most memory: half for parameters, a quarter for what a step keeps, the rest for batches in flight.
            Models beyond that train in turn; one model and one utterance are always taken.
        ranking: layers, that of the best linear probe on dev first, for merges that select some; none knows nothing.
        said: told how many epochs of models are done, those saved by early stopping included.

    Raises:
        ProbeError: the cache has no such tier, or a depth it does not have.
    """
    recipe = options.training()
    n_layers = sum(k > 0 for k in cache.layers)
    depths = options.chosen(n_layers)
    options.check(cache)
    for split in splits.values():
        split.cache.require(options.tier, cache.layers)
    sources = {
        name: open_source(split, options.tier, recipe, memory_gb / (len(splits) + 1)) for name, split in splits.items()
    }
    models = [
        Model(*split_head(head), depth, seed, rate, decay)
        for head in options.heads
        for depth in depths
        for seed in options.seeds
        for rate in recipe.learning_rates
        for decay in recipe.weight_decays
    ]
    task = splits["train"].task
    outputs = {BINARY: None, CLASSES: len(task.classes), NUMBER: 1}[task.name]
    level, step = 0.0, 1.0
    if task.name == NUMBER:  # a head learns it in units of its own deviation
        level, step = float(splits["train"].target.mean()), float(splits["train"].target.std()) or 1.0
    dim = sources["train"].dim
    frames = options.tier == "frames"
    vectors = recipe.batch
    if isinstance(source := sources["train"], FrameSource):
        vectors = min(recipe.batch, source.part_size) * source.longest
    stacks = make_stacks(models, n_layers, dim, frames, memory_gb=memory_gb / 2, vectors=vectors, outputs=outputs)
    for stack in stacks if ranking else ():
        stack.merge.rank(ranking)
    about = {"backbone": cache.about["backbone"], "cache": cache.id, "recipe": recipe.name}
    if not task.is_spoofing:
        about["target"] = task.as_dict()

    def unit(scores: Tensor) -> NDArray[np.float64]:
        return scores.double().numpy() * step + level if task.name == NUMBER else scores.double().numpy()

    best: dict[tuple[str, int, int], tuple[float, FittedHead]] = {}
    for i, group in enumerate(_groups(stacks, memory_gb / 2)):
        count = sum(len(stack.models) for stack in group)
        told = [0]
        train(
            group,
            sources["train"],
            (splits["train"].target - level) / step if task.name == NUMBER else splits["train"].target,
            sources["dev"],
            (splits["dev"].target - level) / step if task.name == NUMBER else splits["dev"].target,
            recipe,
            device=device,
            checkpoint=folder / f"training-{i:03d}.pt",
            said=partial(_tell, said, count, told),
        )
        on_dev = [unit(found) for found in scores_of(group, sources["dev"], recipe.batch, device)]
        chosen = [_chosen(stack, found, splits["dev"]) for stack, found in zip(group, on_dev, strict=True)]
        kept = [[m for m, _ in of_stack] for of_stack in chosen]
        scores = {
            name: scores_of(group, sources[name], recipe.batch, device, kept)
            for name in splits
            if name not in ("train", "dev")
        }
        for number, stack in enumerate(group):
            stack.to("cpu")
            for i, (m, rate) in enumerate(chosen[number]):
                model = stack.models[m]
                key = model.head, model.depth, model.seed
                if key not in best or rate < best[key][0]:
                    head = Head(stack.take(m), recipe.n_frames if frames else None, about, unit=(level, step))
                    of_model = {name: unit(found[number][i]) for name, found in scores.items()}
                    best[key] = rate, FittedHead(model, head, {"dev": on_dev[number][m].copy(), **of_model})
        said(count * (recipe.epochs - told[0]), "scored")
    return [member for _, member in best.values()]


def _tell(said: Callable[[int, str], None], count: int, told: list[int], text: str) -> None:
    told[0] += 1
    said(count, f"{count} models, {text}")


def _groups(stacks: Sequence[HeadStack], memory_gb: float) -> Iterator[list[HeadStack]]:
    """Stacks whose parameters, moments and copies fit the memory together: each group is one read of the data."""
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


def _chosen(stack: HeadStack, dev_scores: NDArray[np.float64], dev: Split) -> list[tuple[int, float]]:
    """The model that is best on dev of each depth and seed, and its loss; among equals the first."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for m, model in enumerate(stack.models):
        rate = dev.task.loss(dev.target, dev_scores[m])
        key = model.depth, model.seed
        if key not in best or rate < best[key][0]:
            best[key] = rate, m
    return [(m, rate) for rate, m in best.values()]
