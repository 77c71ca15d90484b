"""The command `probe export`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import RunFolder
from analysis.commands.files import check_folder
from analysis.commands.parameters import with_options
from analysis.commands.printing import out
from analysis.runs.kinds import EXPORT, RUN, expect
from cache.errors import quoted
from probing.devices import HELP as DEVICE_HELP
from probing.devices import find_device
from probing.options import option
from probing.progress import console, status_line

if TYPE_CHECKING:
    from probing.runs import Run
    from probing.serving import Exported


@dataclass(frozen=True)
class ExportOptions:
    """What of a run is exported, and how.

    >>> ExportOptions(depth=4).device
    'cpu'
    """

    depth: int | None = option(
        None, "Blocks of the backbone to keep [default: those of the run's finding, or all]."
    )
    head: str | None = option(
        None,
        "As weighted-sum+linear-depth-06, linear-layer-06, or a kind, as weighted-sum+linear "
        "[default: the one that the run's finding names].",
        metavar="NAME",
    )
    exits: Path | None = option(
        None,
        "exits.json of probe exits: the heads of its exits are written, and clips leave by its "
        "policy.",
        metavar="FILE",
        is_path=True,
    )
    device: str = option("cpu", DEVICE_HELP)
    overwrite: bool = option(False, "Replace a model in DIR that was made otherwise.")

    def write(self, run: "Run", folder: Path) -> "Exported":
        """Export the run to a folder."""
        exportable = import_module("probing.serving.exportable")
        policy = None
        if self.exits is not None:
            exportable.check_exits_alone(self.depth, self.head)
            policy = import_module("probing.exits").read_policy(self.exits, run)
        how = {"depth": self.depth, "head": self.head, "exits": policy}
        # refuses what the records rule out before PyTorch is loaded
        exportable.check_export(run, folder, **how, overwrite=self.overwrite)
        find_device(self.device)
        with status_line("Exporting"):
            made: Exported = import_module("probing.serving").export(
                run, folder, **how, device=self.device, overwrite=self.overwrite
            )
        return made


@with_options
def export(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder.")],
    options: ExportOptions,
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
    check_folder(folder, "folder", own=EXPORT)
    made = options.write(import_module("probing.runs").Run(run), folder)
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
