"""Tuning: a run, or a backbone and a corpus, in; a folder as an export out.

The backbone in that folder was trained together with its head.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cache.errors import ProbeError, argument
from probing.accelerators import peak_memory
from probing.augmentation import Augmentation
from probing.backbones import Backbone
from probing.extraction import Options
from probing.heads.head import Head
from probing.heads.losses import prior_log_odds
from probing.heads.stack import HeadStack
from probing.options import differences, one_of
from probing.progress import console, duration
from probing.runs import Run
from probing.serving.exported import Exported, described, open_exported, write_exported
from probing.serving.places import SERVING, check_place
from probing.sweep.split import EVAL
from probing.tuning.engine import Engine
from probing.tuning.evaluation import Evaluated, evaluate, score_utterances
from probing.tuning.lora import take_adapters_off
from probing.tuning.options import TuneMachine, TuneOptions
from probing.tuning.preparation import plain, prepare_training
from probing.tuning.progress import LOG
from probing.tuning.reference import tuned_reference
from probing.tuning.source import Source
from probing.tuning.start import Start
from probing.tuning.training import Training
from probing.tuning.workplace import check_work, take_over, work_of, workplace

RECORD = "tuning"  # in serving.json


@dataclass(frozen=True)
class Tuned:
    """A tuned model: the folder it is in, open for scoring, and its figures on eval.

    None where there is no eval.
    """

    exported: Exported
    evaluated: Evaluated | None

    @property
    def record(self) -> dict[str, Any]:
        """What was done: recipe, groups of parameters, averaged epochs, time and memory."""
        found: dict[str, Any] = self.exported.record[RECORD]
        return found

    @property
    def how_extracted(self) -> dict[str, Any]:
        """Options of an extraction whose layers compare with those it was tuned from."""
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
    """Train a backbone with its head; write both as `export` does.

    A tuning that was killed goes on where it stopped if it is run again.

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

    >>> from probing.tuning import Source
    >>> options = TuneOptions(train="last:1", epochs=1)
    >>> source = Source(Path("results/demo.run"), "mean+linear-depth-02")
    >>> found = tune(
    ...     source, "tuned", options, TuneMachine("cpu"), with_eval=False, say=lambda text: 0
    ... )
    >>> [group["name"] for group in found.record["groups"]]
    ['head', 'block-02']
    """
    options = options or TuneOptions()
    machine = machine or TuneMachine()
    folder = Path(folder)
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
        training, about = prepare_training(
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
            of_eval = score_utterances(
                start.options, head, backbone=backbone, utterances=part, title="Evaluating"
            ).scores
            evaluated = evaluate(start, of_eval, part, str(engine.device))
        reference = tuned_reference(start, head, backbone, of_eval)
        record = _record(start, head, backbone=backbone, training=training, evaluated=evaluated) | {
            RECORD: {
                "source": start.about,
                "configuration": plain(configuration),
                **about,
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
        # of all its layers: those that a cache kept may be above the depth of the head
        "fingerprint": replace(start.options, layers=None).fingerprint(backbone),
    }


def _finished(folder: Path, configuration: Mapping[str, Any], overwrite: bool) -> Tuned | None:
    """The model in a folder if it is the one that is asked for."""
    check_place(folder)
    if not (folder / SERVING).is_file():
        return None
    exported = open_exported(folder)
    made = exported.record.get(RECORD, {}).get("configuration")
    if made == plain(configuration):
        return Tuned(exported, Evaluated.of(exported.record[RECORD].get("eval")))
    if overwrite:
        return None
    known = f" ({differences(made, plain(configuration))})" if isinstance(made, dict) else ""
    raise ProbeError(
        f"{folder}: holds a model made with other options or from something else{known}. Name "
        f"another folder ({argument('out', 'DIR')}) or replace it ({argument('overwrite', True)})"
    )


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
