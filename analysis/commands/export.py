"""The command `probe export`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import Device, HeadName, RunFolder
from analysis.commands.folders import check_model_folder
from analysis.commands.printing import out
from analysis.runs.kinds import RUN, expect
from cache.errors import quoted
from probing.progress import console, status_line


def export(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder.")],
    depth: Annotated[
        int | None,
        typer.Option(
            help="Blocks of the backbone to keep [default: those of the run's finding, or all]."
        ),
    ] = None,
    head: HeadName = None,
    exits: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="exits.json of probe exits: the heads of its exits are "
            "written, and clips leave by its policy.",
        ),
    ] = None,
    device: Device = "cpu",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model in DIR that was made otherwise.")
    ] = False,
) -> None:
    """Write the first blocks of a backbone, and the head trained on them, as one folder.

    With them goes what a verdict needs: scores of dev and eval, calibration, and what the training
    clips were like.

    \b
    probe export results/demo.run small --depth 4
    probe score small clip.wav
    probe export results/demo.run early --exits exits/exits.json
    """
    expect(run, RUN)
    check_model_folder(folder, "folder")
    places = import_module("probing.serving.places")
    places.check_place(folder)
    opened = import_module("probing.runs").Run(run)
    if exits is not None:
        places.check_exits_alone(depth, head)
    else:
        import_module("probing.serving.candidates").candidate(opened, depth, head, least=1)
    with status_line("Exporting"):
        policy = import_module("probing.exits").read_policy(exits) if exits else None
        made = import_module("probing.serving").export(
            opened, folder, depth=depth, head=head, device=device, exits=policy, overwrite=overwrite
        )
    record = made.record
    out.print(
        f"{record['backbone']} with {record['head']}: eval EER {100 * record['eval_eer']:.1f} %",
        markup=False,
    )
    if record["note"]:
        console.print(f"Note: {record['note']}.", markup=False)
    if made.reference is not None and made.reference.missing:
        console.print(f"Note: {made.reference.missing}", markup=False)
    out.print(f"Exported: {folder}\nNext: probe score {quoted(folder)} clip.wav", markup=False)
