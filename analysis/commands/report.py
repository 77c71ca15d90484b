"""The command `probe report`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import RunFolders
from analysis.commands.files import check_given_folder, is_output, written_out
from analysis.commands.printing import out
from analysis.runs.kinds import expect_runs
from probing.progress import console, status_line

PAGES = (".html", ".htm")
PageFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Page; - prints it [default: report.html in the first run].",
    ),
]
CompanionFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="DIR",
        help="Folder that probe robustness, exits or attack wrote of a run; may be given "
        "again [default: NAME.robustness, NAME.exits and NAME.attack beside the run].",
    ),
]
WithMeasures = Annotated[
    bool | None,
    typer.Option(
        "--measures/--no-measures",
        help="Similarity of layers and transferability, from the caches "
        "[default: where they are there and small].",
    ),
]


def report(
    runs: RunFolders,
    file: PageFile = None,
    beside: CompanionFolders = None,
    measures: WithMeasures = None,
) -> None:
    """Write one HTML page that needs nothing beside it: finding, figures, tables, configuration,
    how to reproduce.

    Of several runs it begins with their comparison.

    \b
    probe report results/demo.run
    probe report embedded.run random.run --out comparison.html
    """
    with written_out(file, "report.html", PAGES) as place, status_line("Writing the report"):
        expect_runs(runs)
        for folder in beside or ():
            check_given_folder(folder, "beside")
        page = import_module("analysis.reports.report").save_report(
            runs[0] if len(runs) == 1 else runs,
            place,
            measures=measures,
            beside=beside or (),
            say=lambda text: console.print(text, markup=False),
        )
    if not is_output(file):
        out.print(f"Report: {page}", markup=False)
