"""A run: from the folder of recordings to a trained model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from cache.errors import argument
from probing.backbones.packaged import EMBEDDED, PACKAGED
from probing.devices import find_device
from probing.runs import Run as SweepRun

from .batches import Batches
from .card import layer_curves, model_card
from .config import Recipe
from .curve import draw_curve
from .evaluation import compare, head_accuracy
from .export import export_model
from .recordings import DataMissing, Recordings, open_recordings
from .stages import Stage, read_stages, write_stages
from .training import LOG, RunBusy, Training, train
from .units import Teachers, Units, open_units

DEMO_TABLE = Path(str(resources.files("probing.corpora.demo").joinpath("demo.csv")))
NOT_ARCHITECTURE = {"model_type", "architectures", "dtype", "transformers_version"}
WEIGHTS = "model.safetensors"
EVALUATION = "evaluation.csv"
HEADS = "heads.json"
CURVE = "curve.png"


@dataclass(frozen=True)
class Run:
    """What a call needs and leaves: the speech, its units, and the training at its last step.

    Attributes:
        before: the stages of the model that the training began with.
    """

    recordings: Recordings
    units: list[Units]
    training: Training
    work: Path
    before: list[Stage]

    def batches(self, part: str) -> Batches:
        """Crops of train or heldout speakers."""
        return Batches(self.recordings, self.units, self.training.recipe, part)


def open_run(
    recipe: Recipe,
    shared: Path,
    work: Path,
    device: str = "auto",
    architecture: dict[str, Any] | None = None,
    start: Path | None = None,
) -> Run:
    """Decode and cluster what is not yet, and take the training up where it stopped.

    Args:
        recipe: of the run.
        shared: folder that holds data/unlabelled, data/speech-dev and data/models.
        work: folder of the run.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, `mps`.
        architecture: fields of a WavLMConfig; by default those of the bundled model.
        start: transformers folder of a model to begin with, of that architecture; random weights if
            left out.

    Raises:
        ProbeError: the data, the units, the device or the checkpoint are not what was asked for.
    """
    place = find_device(device)
    work.mkdir(parents=True, exist_ok=True)
    recordings = open_recordings(shared, work, DEMO_TABLE)
    if start is not None:
        if not (start / WEIGHTS).is_file():
            raise DataMissing(
                f"no {WEIGHTS} in {start}; expected a model that this "
                f"command exported. Give it: {argument('start')}"
            )
        recipe = replace(recipe, start=hashlib.sha256((start / WEIGHTS).read_bytes()).hexdigest())
    teachers = Teachers(shared / "data" / "models" / "whisper-tiny.en-encoder", start)
    units = [
        open_units(recordings, kind, recipe=recipe, work=work, teachers=teachers, device=place)
        for kind in recipe.units
    ]
    training = Training(recipe, architecture or embedded_architecture(), place, start)
    training.load_if_there(work)
    return Run(
        recordings, units, training=training, work=work, before=read_stages(start) if start else []
    )


def pretrain(run: Run, steps: int, minutes: float | None = None, every: int = 100) -> None:
    """Train until steps or minutes are over; leave checkpoint, log and curve in `run.work`.

    Raises:
        RunBusy: another process trains there.
    """
    try:
        with FileLock(run.work / "training.lock", timeout=0):
            train(
                run.training,
                run.batches("train"),
                heldout=run.batches("heldout"),
                work=run.work,
                steps=steps,
                minutes=minutes,
                every=every,
            )
    except Timeout:
        raise RunBusy(
            f"another process trains in {run.work}. Wait for it, or give another "
            f"{argument('work')} folder."
        ) from None
    if (run.work / LOG).is_file():
        draw_curve(run.work / LOG, run.work / CURVE)


def evaluate(run: Run, head_steps: int = 150, n_heldout: int = 20) -> None:
    """Measure the model against random weights; leave evaluation.csv and heads.json.

    Args:
        run: of the model.
        head_steps: steps in which new heads are fitted to frozen weights, for masked-unit accuracy.
        n_heldout: batches on which that accuracy is measured.
    """
    device = run.training.device
    recipe = run.training.recipe
    models = {
        "trained": run.training.model,
        "random": Training(recipe, run.training.architecture, device).model,
    }
    evaluation = compare(models, run.recordings, units=run.units, seed=recipe.seed, device=device)
    batches, heldout = run.batches("train"), run.batches("heldout")
    heads = {"trained, own heads": run.training.measure(heldout, n_heldout)[:, 1].tolist()}
    for name, model in models.items():
        found = head_accuracy(
            model, batches, heldout=heldout, device=device, steps=head_steps, n_heldout=n_heldout
        )
        heads[f"{name}, new heads on frozen weights"] = found
    evaluation.to_csv(run.work / EVALUATION, index=False)
    (run.work / HEADS).write_text(json.dumps(heads, indent=2) + "\n", encoding="utf-8")


def export(run: Run, folder: Path, sweeps: Sequence[Path] = ()) -> None:
    """Write the model and its card as a folder of transformers.

    The card has the figures of `evaluate`, if there are any.

    Args:
        run: of the model.
        folder: where to.
        sweeps: runs of `probe sweep`, whose layer curves go into the card under their folder's
            name; NAME-trained.run is compared with NAME-random.run.

    Raises:
        ProbeError: there is no such run, or two to compare are on other utterances; nothing is
            written then.
    """
    curves = layer_curves({path.name.removesuffix(".run"): SweepRun(path) for path in sweeps})
    hashes = export_model(run.training.model, folder)
    last = pd.read_csv(run.work / LOG).iloc[-1]
    recipe = run.training.recipe
    accuracy = {
        kind: (float(last[f"train_{kind}_accuracy"]), float(last[f"heldout_{kind}_accuracy"]))
        for kind in recipe.units
    }
    stages = [*run.before, Stage(recipe, run.training.step, accuracy)]
    write_stages(stages, folder)
    evaluated = (run.work / EVALUATION).is_file()
    card = model_card(
        stages,
        run.recordings.table,
        hashes=hashes,
        evaluation=pd.read_csv(run.work / EVALUATION) if evaluated else None,
        heads=json.loads((run.work / HEADS).read_text(encoding="utf-8")) if evaluated else None,
        curves=curves,
    )
    draw_curve(run.work / LOG, folder / CURVE)
    card += f"\n## Training curve\n![accuracy at masked frames by step]({CURVE})\n"
    (folder / "README.md").write_text(card, encoding="utf-8")


def embedded_architecture() -> dict[str, Any]:
    """Read the architecture of the bundled model."""
    config = json.loads((PACKAGED[EMBEDDED] / "config.json").read_text(encoding="utf-8"))
    return {key: value for key, value in config.items() if key not in NOT_ARCHITECTURE}
