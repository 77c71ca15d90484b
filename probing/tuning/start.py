"""What a tuning starts from: the head of a run, an exported model, or a new head on a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cache.errors import OptionError, ProbeError
from probing.backbones import Backbone
from probing.corpora import load_corpus
from probing.corpora.cached import load_as_it_was
from probing.extraction import Options
from probing.extraction.layers import layers_of
from probing.heads.head import Head
from probing.heads.kinds import split_head
from probing.heads.sources import deviation
from probing.heads.stack import HeadStack, Model
from probing.progress import progress_line
from probing.runs import Run
from probing.serving.exit_heads import ExitHeads
from probing.serving.exported import Exported, load_run_backbone, open_exported, run_options
from probing.serving.heads import AnyHead, choose_head
from probing.targets.metrics import BINARY, CLASSES, NUMBER
from probing.targets.options import TargetOptions
from probing.targets.task import Task
from probing.tuning.clips import Reading, unusable
from probing.tuning.recipes import CROP_SECONDS, TuningRecipe
from probing.tuning.source import check_depth, check_linear, new_head, tuned_head
from probing.tuning.utterances import (
    Utterances,
    parts_of,
    parts_of_corpus,
    target_of,
    unit_of,
    without,
)


@dataclass
class Start:
    """What a tuning starts from.

    backbone: cut to the blocks that the head needs.
    head: a stack of one model.
    n_frames: of the frames tier, that it sees.
    unit: see `Head`.
    trained: whether the head is.
    options: how audio is prepared.
    parts: `train`, `dev` and, where there is one, `eval`.
    about: where it came from, for the record.
    frozen: what the head scored on the frozen backbone, if a run knows.
    continued: the model that it goes on from, as it was.
    """

    backbone: Backbone
    head: HeadStack
    n_frames: int | None
    unit: tuple[float, float]
    trained: bool
    options: Options
    task: Task
    parts: dict[str, Utterances]
    about: dict[str, Any]
    frozen: tuple[Run, str] | None = None
    continued: Exported | None = None

    @property
    def name(self) -> str:
        """The name of the head, as a run calls it."""
        model = self.head.models[0]
        return f"{model.head}-depth-{model.depth:02d}"


def from_run(
    run: Run,
    head: str | None = None,
    depth: int | None = None,
    device: str = "cpu",
    audio_root: Path | None = None,
) -> Start:
    """Start from a head of a run, by default that of its finding.

    The head was trained on the cache of the frozen backbone.

    Raises:
        ProbeError: no such head, or the run's cache or its audio is not there, or not what it was.
    """
    about = tuned_head(run, head, depth)
    chosen = choose_head(run, about.depth, about.name, any_target=True)
    parts = parts_of(run, audio_root)
    options = run_options(run, chosen.head)
    stack, n_frames, unit = _as_stack(chosen.head, about.name, parts["train"], run.task)
    backbone = load_run_backbone(run, options, device).truncate(stack.n_layers)
    return Start(
        backbone,
        stack,
        n_frames=n_frames,
        unit=unit,
        trained=True,
        options=options,
        task=run.task,
        parts=parts,
        about={"run": str(run.folder.resolve()), "head": about.name},
        frozen=(run, about.name),
    )


def from_exported(
    folder: Path, run: Path | None, device: str, audio_root: Path | None, say: Callable[[str], None]
) -> Start:
    """Start from an exported model on the utterances of a run, or of what it was tuned on.

    The model may be tuned or not.

    Raises:
        ProbeError: it is of another target, or does not say what it was tuned on.
    """
    exported = open_exported(folder)
    source = exported.record.get("tuning", {}).get("source", {})
    if run is None and "run" in source:
        run = Path(source["run"])
    if run is not None:
        task, parts = Run(run).task, parts_of(Run(run), audio_root)
        about = {"run": str(run.resolve())}
    elif "corpus" in source:
        read = load_as_it_was(source["corpus"], audio_root or Path(source["audio_root"]))
        parts, task = parts_of_corpus(read, target_of(source["target"]), say)
        about = {name: source[name] for name in ("corpus", "audio_root", "target")}
    else:
        raise ProbeError(
            f"{folder}: does not say which utterances it was "
            "trained on. Give the run that it is of too"
        )
    stack, n_frames, unit = _as_stack(
        exported.head, str(exported.record["head"]), parts["train"], task
    )
    if stack.outputs != _outputs(task):
        raise ProbeError(
            f"{folder}: its head is of another target than "
            f"{task.target}. Give the run that it is of"
        )
    backbone = exported.load_backbone(device)
    if run is None:  # else the cache was made without them
        reading = Reading(exported.options.cropping, backbone.min_samples)
        failures = {part: unusable(parts[part], reading) for part in parts}
        parts = _left_out(parts, failures, say)
    say(f"Goes on from {folder}, on the utterances of {about.get('run') or about['corpus']}.")
    about |= {
        "continued": str(folder.resolve()),
        "weights_sha256": exported.record["weights_sha256"],
    }
    as_it_was = open_exported(folder)
    return Start(
        backbone,
        stack,
        n_frames=n_frames,
        unit=unit,
        trained=True,
        options=exported.options,
        task=task,
        parts=parts,
        about=about,
        continued=as_it_was,
    )


def from_nothing(
    options: Options,
    corpus: str,
    target: TargetOptions,
    head: str,
    depth: int | None,
    recipe: TuningRecipe,
    device: str = "cpu",
    audio_root: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Start:
    """Start from a backbone and a new head, on the splits `train`, `dev` and `eval` of a corpus.

    Args:
        options: of the backbone, and how audio is prepared.
        corpus: as `load_corpus` takes it.
        target: what is to be read.
        head: MERGE+BACKEND.
        depth: blocks; None all.
        recipe: which standardises or not, and has a seed.
        device: where the backbone is loaded.
        audio_root: see `load_corpus`.
        say: where to put what a person should know, such as utterances that are of no use and left
            out.

    Raises:
        ProbeError: no such head, corpus, split or target.
    """
    merge, backend = split_head(head)
    kind = new_head(head)
    frames = recipe.learning.n_frames is not None or bool(kind and kind.needs_frames)
    if recipe.learning.n_frames is not None and options.seconds is None:
        options = replace(options, seconds=CROP_SECONDS)
    options = replace(options, frames=frames)
    read = load_corpus(corpus, audio_root=audio_root)
    for note in read.notes:
        say(f"Note: {note}.")
    parts, task = parts_of_corpus(read, target, say)
    backbone = options.load_backbone(device)
    check_depth(depth, backbone.n_layers, backbone.name)
    if depth is not None:
        backbone = backbone.truncate(depth)
    model = Model(merge, backend, backbone.n_layers, recipe.learning.seed)
    dim = backbone.dim if frames else 2 * backbone.dim
    stack = HeadStack([model], backbone.n_layers, dim, frames, outputs=_outputs(task))
    stack.start(recipe.learning.scaled_init)
    failures: dict[str, dict[str, str]] = {"train": {}}
    mean, scale = _moments(parts["train"], backbone, options, failures["train"])
    if recipe.learning.standardize:
        stack.mean.copy_(mean)
        stack.scale.copy_(scale)
    reading = Reading(options.cropping, backbone.min_samples)
    failures |= {part: unusable(parts[part], reading) for part in parts if part != "train"}
    parts = _left_out(parts, failures, say)
    about = {
        "corpus": read.spec,
        "audio_root": str(read.root),
        "target": asdict(target),
        "head": head,
    }
    n_frames = recipe.learning.n_frames if frames else None
    unit = unit_of(parts["train"], task)
    return Start(
        backbone,
        stack,
        n_frames=n_frames,
        unit=unit,
        trained=False,
        options=options,
        task=task,
        parts=parts,
        about=about,
    )


def _left_out(
    parts: dict[str, Utterances],
    failures: dict[str, dict[str, str]],
    say: Callable[[str], None],
) -> dict[str, Utterances]:
    """The parts without the utterances whose audio cannot be used, which are named with why."""
    for part, reasons in failures.items():
        for name, reason in reasons.items():
            say(f"Left out of {part}: {name}: {reason}")
    return {part: without(parts[part], failures[part]) for part in parts}


def _outputs(task: Task) -> int | None:
    """What a head has of a task, see `HeadStack`."""
    return {BINARY: None, CLASSES: len(task.classes), NUMBER: 1}[task.name]


def _as_stack(
    head: AnyHead, name: str, train: Utterances, task: Task
) -> tuple[HeadStack, int | None, tuple[float, float]]:
    """A head as it is trained further: of a linear probe the same function of its layer."""
    if isinstance(head, Head):
        return head.stack, head.n_frames, head.unit
    if isinstance(head, ExitHeads):
        raise OptionError(
            "head", name, "has several heads, one an exit. Tune a run, or an export of one head"
        )
    check_linear(name, task)
    model = Model("single", "linear", head.depth)
    unit = unit_of(train, task)
    stack = HeadStack(
        [model], head.depth, 2 * head.dim, False, outputs=1 if task.name == NUMBER else None
    )
    with torch.no_grad():
        values = dict(stack.backend.named_parameters())
        values["weight"].copy_(torch.from_numpy(head.weight / unit[1]).view_as(values["weight"]))
        values["bias"].fill_((head.bias - unit[0]) / unit[1])
    return stack, None, unit


def _moments(
    train: Utterances, backbone: Backbone, options: Options, failures: dict[str, str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (L, D) of what a head sees, as `Source.moments`.

    Reads and runs every training clip once.
    """
    files = {
        str(name): train.root / str(path)
        for name, path in zip(train.table["utterance_id"], train.table["path"], strict=True)
    }
    pooled = replace(options, frames=False, pooled_dtype="float32")
    count = 0
    # what sums are taken from, so that small deviations are not lost
    first: torch.Tensor | None = None
    sums = torch.zeros(3, dtype=torch.float64)
    with progress_line("Frozen layers", len(files), "utterances") as line:
        for _, layers in layers_of(files, backbone, pooled, on_failure=failures.__setitem__):
            x = torch.from_numpy(layers[1:]).double()
            seen = x[:, 0] if options.frames else x.flatten(1)
            first = seen if first is None else first
            within = x[:, 1] if options.frames else torch.zeros_like(seen)
            sums = sums.view(3, *[1] * seen.ndim) if not count else sums
            sums = sums + torch.stack([seen - first, (seen - first).square(), within.square()])
            count += 1
            line.advance(1)
    if first is None:
        raise ProbeError(
            f"{train.corpus}: no training utterance can be used: "
            f"{next(iter(failures.values()), '')}"
        )
    total, square, inside = sums / count
    return (first + total).float(), deviation(square - total.square() + inside, first + total)
