"""The command `python -m probing.provenance.pretraining`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

# before PyTorch starts: threads that spin halve a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer

from cache.errors import ProbeError, as_flag, quoted
from probing.backbones.packaged import EMBEDDED, PACKAGED
from probing.progress import console

from .config import Recipe

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULT = Recipe()


@app.command()
def pretrain(
    shared: Annotated[
        Path, typer.Option(help="Folder that holds data/unlabelled, data/speech-dev, data/models.")
    ],
    work: Annotated[
        Path, typer.Option(help="Folder of this run: decoded audio, units, checkpoint, log, curve.")
    ],
    steps: Annotated[
        int, typer.Option(help="Steps of the whole run; the learning rate falls towards its end.")
    ] = 3000,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so long; the same command goes on.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Model to begin with: a folder this command exported, or 'embedded'."),
    ] = None,
    units: Annotated[
        str, typer.Option(help="What to predict: some of mfcc, whisper, own (with --start).")
    ] = ",".join(DEFAULT.units),
    n_clusters: Annotated[int, typer.Option(help="Units of each kind.")] = DEFAULT.n_clusters,
    batch: Annotated[int, typer.Option(help="Crops per step.")] = DEFAULT.batch,
    front_end_steps: Annotated[
        int, typer.Option(help="First steps, in which the front end learns log-mel bands.")
    ] = DEFAULT.front_end_steps,
    learning_rate: Annotated[
        float, typer.Option(help="Highest learning rate.")
    ] = DEFAULT.learning_rate,
    seed: Annotated[
        int, typer.Option(help="Of weights, clusters, crops, masks and mixtures.")
    ] = DEFAULT.seed,
    every: Annotated[
        int, typer.Option(help="Steps between two checkpoints and lines of the log.")
    ] = 100,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; PyTorch's choice if left out.")
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Measure every layer against random weights.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(help="Write the model here as a transformers folder, with card.")
    ] = None,
    sweep: Annotated[
        list[Path] | None,
        typer.Option(
            help="Run of probe sweep, whose curve goes into the card; may be given again."
        ),
    ] = None,
) -> None:
    """Pretrain the embedded WavLM by masked prediction of units.

    No speaker of an eval split is among its recordings.

    The first call decodes and clusters the recordings (minutes). Every call goes on where the last
    one stopped; stop it at any time. On 2 CPU cores a step of 32 s of speech takes about a second.

        python -m probing.provenance.pretraining --shared ../shared --work RUN --minutes 30
        python -m probing.provenance.pretraining --shared ../shared --work RUN --minutes 0 \
            --evaluate --export RUN/model
    """
    import torch

    from . import run

    if threads is not None:
        torch.set_num_threads(threads)
    recipe = Recipe(
        seed=seed,
        units=tuple(units.split(",")),
        n_clusters=n_clusters,
        batch=batch,
        front_end_steps=front_end_steps,
        learning_rate=learning_rate,
    )
    if start == Path(EMBEDDED):
        start = PACKAGED[EMBEDDED]
    opened = run.open_run(recipe, shared, work, device, start=start)
    run.pretrain(opened, steps, minutes, every)
    console.print(f"step {opened.training.step} of {steps}; log and curve in {work}")
    if evaluate:
        run.evaluate(opened)
        console.print(f"figures of every layer in {work / run.EVALUATION}")
    if export is not None:
        run.export(opened, export, sweep or ())
        console.print(f"model in {export}; try: probe extract --backbone {quoted(export)}")


def main() -> None:
    """Run the command; a ProbeError is one line and exit status 2."""
    try:
        app(standalone_mode=True)
    except ProbeError as error:
        error.spell = as_flag
        console.print(f"error: {error}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last checkpoint")
        sys.exit(130)


if __name__ == "__main__":
    main()
