"""Depth ablation: every head trained on the first k layers only, for every k, from one read of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import Cache, ProbeError
from cache.manifest import describe_layers
from probing.heads.contract import check_own
from probing.heads.head import Head
from probing.heads.kinds import check_head, split_head
from probing.heads.recipes import NAMES, Recipe, recipe_of
from probing.heads.sources import FrameSource, PooledSource, Source
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import scores_of, train
from probing.metrics import eer
from probing.registry import RegistryError
from probing.sweep.splits import Split

POOLED_HEADS = ("mean+linear", "weighted-sum+linear", "attentive-compact+linear")
FRAMES_HEADS = ("weighted-sum+lstm", "attentive-compact+lstm")


@dataclass(frozen=True)
class DepthOptions:
    """Which heads are trained on which depths, and how.

    heads: MERGE+BACKEND each; empty trains none. tier: pooled or frames. recipe: quick or attm.
    seeds: of the first weights. depths: which, full depth always with them; empty takes all.
    epochs: at most; 0 as the recipe says.
    weight_decays: to choose from on dev; empty as the recipe says.
    """

    heads: tuple[str, ...] = POOLED_HEADS
    tier: str = "pooled"
    recipe: str = "quick"
    seeds: tuple[int, ...] = (0, 1, 2)
    depths: tuple[int, ...] = ()
    epochs: int = 0
    weight_decays: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for head in self.heads:
            try:
                backend = check_head(head)
            except RegistryError as error:
                raise ProbeError(f"--heads {head}: {error}") from None
            if self.tier == "pooled" and backend is not None and backend.needs_frames:
                raise ProbeError(f"--heads {head}: {backend.name} needs every frame. Type --tier frames, or use linear")
        if self.tier not in ("pooled", "frames"):
            raise ProbeError(f"--tier {self.tier}: expected pooled or frames")
        if self.recipe not in NAMES:
            raise ProbeError(f"--recipe {self.recipe}: expected one of {', '.join(NAMES)}")
        if self.heads and not self.seeds:
            raise ProbeError("--seeds 0: expected one or more")

    def check(self, cache: Cache) -> None:
        """Refuse a cache in which the first k layers are not there for every k; features without blocks have none.

        Heads of one's own have to be imported by now, and are tried on a few small utterances.
        """
        if not has_blocks(cache):
            return
        for head in self.heads:
            try:
                check_own(head, self.tier == "frames")
            except RegistryError as error:
                raise ProbeError(f"--heads {head}: {error}") from error
        above = [k for k in cache.layers if k > 0]
        if self.heads and (not above or above != list(range(1, len(above) + 1))):
            needed = f"0:{above[-1]}" if above else "0:1"
            raise ProbeError(
                f"{cache.folder}: has layers {describe_layers(cache.layers)}, and heads on the first k layers need "
                f"all of them from 1. Type --heads none for linear probes only, or extract again with --layers {needed}"
            )

    def chosen(self, n_layers: int) -> tuple[int, ...]:
        """The depths to train; the others are compared with full depth, which is always there."""
        return tuple(sorted({*self.depths, n_layers})) if self.depths else tuple(range(1, n_layers + 1))

    def training(self) -> Recipe:
        """The recipe with what was changed."""
        recipe = recipe_of(self.recipe, self.tier)
        if self.epochs:
            recipe = replace(recipe, epochs=self.epochs)
        return replace(recipe, weight_decays=self.weight_decays or recipe.weight_decays)


@dataclass(frozen=True)
class FittedHead:
    """The best model of a head, depth and seed.

    scores: part -> (N,).
    """

    model: Model
    head: Head
    scores: dict[str, NDArray[np.float64]]


def has_blocks(cache: Cache) -> bool:
    """Whether an encoder made the cache, and not acoustic features of one layer."""
    return bool(cache.fingerprint.get("backbone_n_layers") != 0)


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
    said: Callable[[int, str], None] = lambda done, text: None,
) -> list[FittedHead]:
    """Train all heads x depths x seeds x constants and give the best of each head, depth and seed by dev EER.

    Args:
        cache: with the tier asked for, and layers 1..L.
        splits: train, dev and any others, which are only scored.
        options: what to train.
        folder: where checkpoints are kept; a killed training goes on from them.
        device: cpu or cuda.
        memory_gb: most memory: half for parameters, a quarter for what a step keeps, the rest for batches in flight.
            Models beyond that train in turn; one model and one utterance are always taken.
        said: told how many epochs of models are done, those saved by early stopping included.

    Raises:
        ProbeError: the cache has no such tier, or a depth it does not have.
    """
    recipe = options.training()
    n_layers = sum(k > 0 for k in cache.layers)
    depths = options.chosen(n_layers)
    options.check(cache)
    if not set(depths) <= set(range(1, n_layers + 1)):
        raise ProbeError(f"--depths {depths}: {cache.folder} has layers {cache.layers}; expected depths among them")
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
    dim, frames = sources["train"].dim, options.tier == "frames"
    vectors = recipe.batch
    if isinstance(source := sources["train"], FrameSource):
        vectors = min(recipe.batch, source.part_size) * source.longest
    stacks = make_stacks(models, n_layers, dim, frames, memory_gb=memory_gb / 2, vectors=vectors)
    about = {"backbone": cache.about["backbone"], "cache": cache.id, "recipe": recipe.name}
    best: dict[tuple[str, int, int], tuple[float, FittedHead]] = {}
    for i, group in enumerate(_groups(stacks, memory_gb / 2)):
        count, told = sum(len(stack.models) for stack in group), [0]
        train(
            group,
            sources["train"],
            splits["train"].bonafide,
            sources["dev"],
            splits["dev"].bonafide,
            recipe,
            device=device,
            checkpoint=folder / f"training-{i:03d}.pt",
            said=partial(_tell, said, count, told),
        )
        on_dev = [found.double().numpy() for found in scores_of(group, sources["dev"], recipe.batch, device)]
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
                    head = Head(stack.take(m), recipe.n_frames if frames else None, about)
                    of_model = {name: found[number][i].double().numpy() for name, found in scores.items()}
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
            group, used = [], 0.0
        group.append(stack)
        used += size
    if group:
        yield group


def _chosen(stack: HeadStack, dev_scores: NDArray[np.float64], dev: Split) -> list[tuple[int, float]]:
    """The model of lowest dev EER of each depth and seed, and that EER; among equals the first."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for m, model in enumerate(stack.models):
        scores = dev_scores[m]
        rate = eer(dev.bonafide, scores) if np.isfinite(scores).all() else 1.0
        key = model.depth, model.seed
        if key not in best or rate < best[key][0]:
            best[key] = rate, m
    return [(m, rate) for rate, m in best.values()]
