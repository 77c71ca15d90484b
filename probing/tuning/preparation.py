"""The preparation of a tuning: what learns, from which clips, and what the record says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cache.errors import ProbeError, argument
from cache.manifest import canonical_json
from probing.augmentation import Augmentation
from probing.backbones import Trainable
from probing.heads.losses import prior_log_odds
from probing.tuning.clips import Reader, Reading
from probing.tuning.engine import Engine
from probing.tuning.lora import add_adapters
from probing.tuning.model import TunedModel
from probing.tuning.options import TuneMachine, TuneOptions
from probing.tuning.recipes import TuningRecipe
from probing.tuning.start import Start
from probing.tuning.trained import Group, groups_of
from probing.tuning.training import Training
from probing.tuning.utterances import Material


def prepare_training(
    start: Start,
    options: TuneOptions,
    machine: TuneMachine,
    engine: Engine,
    work: Path,
    say: Callable[[str], None],
) -> tuple[Training, dict[str, Any]]:
    """The training, and what the record says of it: recipe, groups, what regularises."""
    recipe = recipe_for(start, options)
    backbone = start.backbone.trainable(
        checkpointing=machine.checkpointing,
        dropout=options.dropout,
        layerdrop=options.layerdrop,
        masking=options.masking,
    )
    trained = options.trained
    if trained.what == "lora":
        add_adapters(backbone, trained.number, options.seed)
    backbone.to(engine.device)
    groups = _used(backbone, groups_of(backbone, trained, recipe.front_end), start)
    head = start.head.to(engine.device)
    if head.outputs is None:  # its scores are of even priors, and those of a weighted loss are not
        head.backend.shift(prior_log_odds(start.parts["train"].target, recipe.learning))
    model = TunedModel(backbone, start.backbone.padding, head, start.n_frames)
    augmentation = Augmentation.of(options.augment)
    reading = Reading(
        start.options.cropping,
        start.backbone.min_samples,
        crop_seconds=recipe.crop_seconds,
        augmentation=augmentation,
        seed=options.seed,
    )
    material = Material(start.parts["train"], start.parts["dev"], start.task, start.unit)
    first = recipe.frozen_epochs if start.trained and groups else 0
    training = Training(
        model,
        groups,
        material=material,
        recipe=recipe,
        layer_decay=options.layer_decay,
        first_epoch=first,
        engine=engine,
        machine=machine,
        reader=Reader(reading, machine.workers),
        folder=work,
        say=say,
    )
    sizes = {
        group.name: sum(parameter.numel() for parameter in group.parameters.values())
        for group in groups
    }
    n_parameters = sum(parameter.numel() for parameter in backbone.parameters())
    rates = {group.name: recipe.rate * options.layer_decay**group.below for group in groups}
    say(
        f"{start.backbone.name} on {engine.device} with {start.name}; "
        f"{', '.join(f'{len(part)} {name}' for name, part in start.parts.items())}\nTuning by "
        f"{recipe.name}, {recipe.source}: {head.n_parameters():,} parameters of the head and "
        f"{sum(sizes.values()):,} of {n_parameters:,} of "
        f"the backbone; batch {recipe.learning.batch}, epochs {first + 1} to "
        f"{recipe.learning.epochs}"
    )
    records: list[dict[str, Any]] = [
        {"name": "head", "parameters": head.n_parameters(), "rate": recipe.head_rate}
    ]
    records += [{"name": name, "parameters": n, "rate": rates[name]} for name, n in sizes.items()]
    return training, {
        "recipe": plain(asdict(recipe)),
        "groups": records,
        "regularization": backbone.regularization,
    }


def _used(backbone: Trainable, groups: list[Group], start: Start) -> list[Group]:
    """The groups without parameters that no layer depends on, such as a norm behind the last block.

    Raises:
        ProbeError: a whole block, or every adapter, has no part in the layers.
    """
    named = {name: parameter for group in groups for name, parameter in group.parameters.items()}
    if not named:
        return []
    n_samples = max(8000, start.backbone.min_samples)
    clip = np.random.default_rng(0).normal(
        0, 0.05, min(n_samples, start.backbone.max_samples or n_samples)
    )
    for parameter in named.values():
        parameter.requires_grad_(True)
    backbone.eval()
    sum(
        layer.square().mean() for layer in backbone([clip.astype(np.float32)]).layers[1:]
    ).backward()
    backbone.train()
    used = {name for name, parameter in named.items() if parameter.grad is not None}
    for parameter in named.values():
        parameter.grad = None
        parameter.requires_grad_(False)
    adapters = [name for name in named if ".lora_" in name]
    if set(adapters) - used:
        raise ProbeError(
            f"{start.backbone.name}: {len(set(adapters) - used)} of {len(adapters)} adapters "
            "take no part in its layers, as its modules are not called. Train its weights "
            f"themselves: {argument('train', 'all')}"
        )
    kept = [
        replace(group, parameters={k: v for k, v in group.parameters.items() if k in used})
        for group in groups
    ]
    return [group for group in kept if group.parameters]


def recipe_for(start: Start, options: TuneOptions) -> TuningRecipe:
    """The recipe of a tuning; crops are as long as clips of evaluation, if that is one length."""
    recipe = options.tuning()
    if recipe.crop_seconds and not options.crop_seconds and start.options.seconds:
        recipe = replace(recipe, crop_seconds=start.options.seconds)
    return recipe


def plain(configuration: Mapping[str, Any]) -> Any:
    """A configuration as a record holds it."""
    return json.loads(canonical_json(configuration))
