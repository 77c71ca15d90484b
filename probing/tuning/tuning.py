"""Tuning: a run, or a backbone and a corpus, in; a folder as an export out, whose backbone learned
with its head.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache.errors import ProbeError, argument
from cache.manifest import canonical_json
from probing.accelerators import peak_memory
from probing.augmentation import Augmentation
from probing.backbones import Backbone, Trainable
from probing.extraction import Options
from probing.heads.head import Head
from probing.heads.losses import prior_log_odds
from probing.heads.stack import HeadStack
from probing.options import differences, one_of
from probing.progress import console, duration
from probing.runs import Run
from probing.serving.export import (
    SERVING,
    Exported,
    check_place,
    described,
    open_exported,
    write_exported,
)
from probing.sweep.split import EVAL
from probing.tuning.clips import Reader, Reading
from probing.tuning.engine import Engine
from probing.tuning.evaluation import Evaluated, evaluate, hear
from probing.tuning.lora import add_adapters, take_adapters_off
from probing.tuning.model import TunedModel
from probing.tuning.options import TuneMachine, TuneOptions, check_meaning
from probing.tuning.recipes import TuningRecipe
from probing.tuning.reference import tuned_reference
from probing.tuning.source import Source
from probing.tuning.start import Start
from probing.tuning.trained import Group, groups_of
from probing.tuning.training import LOG, Training
from probing.tuning.utterances import Material
from probing.tuning.workplace import check_work, take_over, work_of, workplace

RECORD = "tuning"  # in serving.json


@dataclass(frozen=True)
class Tuned:
    """A tuned model: the folder it is in, open for scoring, and its figures on eval; None where
    there is no eval.
    """

    exported: Exported
    evaluated: Evaluated | None

    @property
    def record(self) -> dict[str, Any]:
        """What was done: recipe, parameters by group, epochs that were averaged, time
        and memory.
        """
        found: dict[str, Any] = self.exported.record[RECORD]
        return found

    @property
    def how_extracted(self) -> dict[str, Any]:
        """Options of an extraction, beside the backbone, whose layers compare with those it was
        tuned from.
        """
        source = self.record["source"]
        corpus = source.get("corpus") or Run(source["run"]).record["about"]["corpus_spec"]
        options = self.exported.options
        usual = Options()
        changed = {
            name: getattr(options, name)
            for name in ("max_seconds", "seconds", "normalize", "frames")
        }
        return {
            "corpus": corpus,
            **{name: v for name, v in changed.items() if v != getattr(usual, name)},
        }


def tune(
    source: Source,
    folder: str | Path,
    options: TuneOptions | None = None,
    machine: TuneMachine | None = None,
    *,
    overwrite: bool = False,
    with_eval: bool = True,
    say: Callable[[str], None] = console.print,
) -> Tuned | None:
    """Train a backbone with its head; write both as `export` does. Run again, it goes on where it
    stopped.

    Args:
        source: what to start from.
        folder: of the tuned model; appears when it is whole. What a killed tuning goes on from is
            beside it.
        options: what to train, and how.
        machine: how to use this machine.
        overwrite: replace a model that was tuned another way, or what such a tuning left that was
            killed.
        with_eval: score the split eval with the tuned model in the end.
        say: where to put what a person should know.

    Returns:
        The tuned model; None in all processes of several but one.

    Raises:
        ProbeError: bad input, no memory, a full disk, or a loss that is no number; nothing that was
            finished is lost.
    """
    options, machine, folder = options or TuneOptions(), machine or TuneMachine(), Path(folder)
    check_meaning(options)
    augmentation = Augmentation.of(options.augment)
    augmentation.check()
    configuration = {**source.identity(), "options": asdict(options), "eval": with_eval}
    configuration |= {"augmentation": augmentation.identity()} if augmentation else {}
    if (found := _finished(folder, configuration, overwrite)) is not None:
        say(f"Nothing to do: {folder} is that model.")
        return found
    check_work(work_of(folder))
    engine = Engine(machine, options.precision, folder.with_name(f"{folder.name}.tracking"))
    say = say if engine.is_main else lambda text: None
    with workplace(folder, configuration, engine, overwrite) as work:
        start = source.start(str(engine.device), options.tuning(), say)
        training, told = _prepare(
            start, options, machine=machine, engine=engine, work=work, say=say
        )
        take_over(work, configuration, engine)
        engine.begin(folder.name, asdict(options))
        with training.reader:
            averaged = training.run()
            head, backbone = _finish(training, start)
        if not engine.is_main:
            engine.end()
            return None
        say(
            f"Trained in {duration(training.progress.seconds)}; the weights are {_which(averaged)}."
        )
        of_eval = evaluated = None
        if with_eval and EVAL in start.parts:
            part = start.parts[EVAL]
            of_eval = hear(
                start.options, head, backbone=backbone, utterances=part, told="Evaluating"
            ).scores
            evaluated = evaluate(start, of_eval, part, str(engine.device))
        reference = tuned_reference(start, head, backbone, of_eval)
        record = _record(start, head, backbone=backbone, training=training, evaluated=evaluated) | {
            RECORD: {
                "source": start.about,
                "configuration": _plain(configuration),
                **told,
                "epochs": training.progress.epoch,
                "averaged": averaged,
                "dev": training.on_dev,
                "eval": evaluated and evaluated.as_dict(),
                "seconds": round(training.progress.seconds, 3),
                "memory_bytes": peak_memory(engine.device),
                "device": str(engine.device),
                "processes": engine.world,
            }
        }
        exported = write_exported(
            folder,
            backbone,
            head=head,
            record=record,
            reference=reference,
            more={LOG: (work / LOG).read_bytes()},
        )
        engine.end()
    shutil.rmtree(work, ignore_errors=True)
    return Tuned(exported, evaluated)


def _record(
    start: Start, head: Head, backbone: Backbone, training: Training, evaluated: Evaluated | None
) -> dict[str, Any]:
    """What the record says of the model, as that of any export."""
    metric = start.task.metric.name
    return {
        **described(backbone, head, start.options, start.parts["train"].corpus),
        "head": start.name,
        f"dev_{metric}": training.on_dev["tuned"],
        f"eval_{metric}": evaluated and evaluated.value,
        "note": evaluated.note if evaluated else "",
        "fingerprint": start.options.fingerprint(backbone),
    }


def _plain(configuration: Mapping[str, Any]) -> Any:
    """A configuration as a record holds it."""
    return json.loads(canonical_json(configuration))


def recipe_for(start: Start, options: TuneOptions) -> TuningRecipe:
    """The recipe of a tuning; crops are as long as clips are heard in evaluation where that is one
    length.
    """
    recipe = options.tuning()
    if recipe.crop_seconds and not options.crop_seconds and start.options.seconds:
        recipe = replace(recipe, crop_seconds=start.options.seconds)
    return recipe


def _finished(folder: Path, configuration: Mapping[str, Any], overwrite: bool) -> Tuned | None:
    """The model in a folder if it is the one that is asked for."""
    check_place(folder)
    if not (folder / SERVING).is_file():
        return None
    exported = open_exported(folder)
    made = exported.record.get(RECORD, {}).get("configuration")
    if made == _plain(configuration):
        return Tuned(exported, Evaluated.of(exported.record[RECORD].get("eval")))
    if overwrite:
        return None
    known = f" ({differences(made, _plain(configuration))})" if isinstance(made, dict) else ""
    raise ProbeError(
        f"{folder}: holds a model made with other options or from something else{known}. Name "
        f"another folder ({argument('out', 'DIR')}) or replace it ({argument('overwrite', True)})"
    )


def _prepare(
    start: Start,
    options: TuneOptions,
    machine: TuneMachine,
    engine: Engine,
    work: Path,
    say: Callable[[str], None],
) -> tuple[Training, dict[str, Any]]:
    """The training, and what the record says of it: recipe, parameters by group, what
    regularises.
    """
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
    heard = start.options.cropping, start.backbone.min_samples
    reading = Reading(*heard, recipe.crop_seconds, augmentation, options.seed)
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
    sizes = {group.name: sum(one.numel() for one in group.parameters.values()) for group in groups}
    rates = {group.name: recipe.rate * options.layer_decay**group.below for group in groups}
    say(
        f"{start.backbone.name} on {engine.device} with {start.name}; "
        f"{', '.join(f'{len(part)} {name}' for name, part in start.parts.items())}\nTuning by "
        f"{recipe.name}, {recipe.source}: {head.n_parameters():,} parameters of the head and "
        f"{sum(sizes.values()):,} of {sum(one.numel() for one in backbone.parameters()):,} of "
        f"the backbone; batch {recipe.learning.batch}, epochs {first + 1} to "
        f"{recipe.learning.epochs}"
    )
    groups_told: list[dict[str, Any]] = [
        {"name": "head", "parameters": head.n_parameters(), "rate": recipe.head_rate}
    ]
    groups_told += [
        {"name": name, "parameters": n, "rate": rates[name]} for name, n in sizes.items()
    ]
    on = backbone.regularization
    return training, {"recipe": _plain(asdict(recipe)), "groups": groups_told, "regularization": on}


def _used(backbone: Trainable, groups: list[Group], start: Start) -> list[Group]:
    """The groups without parameters that no layer depends on, such as a norm behind the last block.

    Raises:
        ProbeError: a whole block, or every adapter, has no part in the layers.
    """
    named = {name: one for group in groups for name, one in group.parameters.items()}
    if not named:
        return []
    n_samples = max(8000, start.backbone.min_samples)
    clip = np.random.default_rng(0).normal(
        0, 0.05, min(n_samples, start.backbone.max_samples or n_samples)
    )
    for one in named.values():
        one.requires_grad_(True)
    backbone.eval()
    sum(
        layer.square().mean() for layer in backbone([clip.astype(np.float32)]).layers[1:]
    ).backward()
    backbone.train()
    used = {name for name, one in named.items() if one.grad is not None}
    for one in named.values():
        one.grad = None
        one.requires_grad_(False)
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


@torch.no_grad()
def _finish(training: Training, start: Start) -> tuple[Head, Backbone]:
    """The head and the backbone with the weights that were averaged, and how they do on dev."""
    model, recipe = training.model, training.recipe
    take_adapters_off(model.backbone)
    named = dict(model.backbone.named_parameters())
    learned = model.head.learned()
    for name, value in training.averaged.items():
        part, _, own = name.partition(".")
        (named if part == "backbone" else learned)[own].copy_(value)
    _, on_dev, _ = training.measure(training.material.dev)
    metric = start.task.metric.name
    training.on_dev = {
        "metric": metric,
        "started": training.progress.rows[0]["dev"],
        "tuned": on_dev,
    }
    stack: HeadStack = model.head.to("cpu")
    if stack.outputs is None:
        stack.backend.shift(-prior_log_odds(start.parts["train"].target, recipe.learning))
    about: dict[str, Any] = {"backbone": start.backbone.name, "recipe": f"tuned by {recipe.name}"}
    if not start.task.is_spoofing:
        about["target"] = start.task.as_dict()
    return Head(stack, start.n_frames, about, unit=start.unit), model.backbone.frozen()


def _which(averaged: list[int]) -> str:
    if not averaged:
        return "those of the last epoch"
    if len(averaged) == 1:
        return f"those of epoch {averaged[0]}"
    return f"the mean of epochs {one_of(map(str, averaged)).replace(' or ', ' and ')}"
