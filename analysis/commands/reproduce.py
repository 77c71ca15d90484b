"""The commands of `probe reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from analysis.commands.files import check_folder
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_whole
from cache.atomic import replaced
from cache.errors import OptionError
from probing.progress import console, duration, size
from probing.reproduction.options import CORPORA, Reproduction

if TYPE_CHECKING:
    import pandas as pd

reproduce_app = typer.Typer(
    cls=InterruptibleGroup,
    help="Reproduce published tables on your own copy of the data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
Root = Annotated[
    Path | None, typer.Option(metavar="ROOT", help="Where the official archives were unpacked.")
]
RunSteps = Annotated[
    bool, typer.Option("--run", help="Run the steps whose data is there; without it, list them.")
]
TableFolder = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Folder of the caches, the run and the table."),
]


@reproduce_app.callback()
def _group() -> None:
    """Keep the name of the table a command of its own, however few there are."""


@reproduce_app.command()
@with_options
def attm(
    asvspoof2019_la: Root = None,
    asvspoof2021_la: Root = None,
    asvspoof2021_df: Root = None,
    run: RunSteps = False,
    folder: TableFolder = Reproduction.folder,
    *,
    wanted: Reproduction,
) -> None:
    """Train on ASVspoof 2019 LA, evaluate on 2019 LA, 2021 LA and 2021 DF (Pan et al., Interspeech
    2024).

    Lists the commands with their sizes and times for this machine; with --run does those whose data
    is there, and prints what was measured beside what was published. The same command again goes on
    where it stopped, and adds the corpora that are there by then. The backbone stays frozen, where
    the paper tunes it; --tune adds a row with it tuned.

    \b
    probe reproduce attm
    probe reproduce attm --asvspoof2019-la /data/2019 --asvspoof2021-df /data/2021 --run
    """
    roots = dict(zip(CORPORA, (asvspoof2019_la, asvspoof2021_la, asvspoof2021_df), strict=True))
    wanted = replace(
        wanted,
        folder=folder,
        roots={name: root for name, root in roots.items() if root is not None},
    )
    _check_roots(wanted)
    wanted.check_backbone()
    check_folder(folder)
    reproduction = import_module("probing.reproduction")
    steps, calibration = reproduction.plan(wanted)
    _print_steps(steps, calibration)
    if not run:
        out.print("\nTo run the steps whose data is there, add --run and the ROOTs.")
        return
    _run(wanted)


def _check_roots(wanted: Reproduction) -> None:
    for name, root in wanted.roots.items():
        if not root.is_dir():
            found = "no such folder. Expected the one that the archives were unpacked in"
            raise OptionError(name.replace("-", "_"), root, found)


def _run(wanted: Reproduction) -> None:
    """Run the steps whose data is there, and say what was measured beside what was published."""
    reproduction = import_module("probing.reproduction")
    found = reproduction.run(wanted)
    import_module("analysis.reports.report").save_all(found)
    tuned = reproduction.run_tuned(wanted, found, say=console.print) if wanted.tune else None
    table = reproduction.compare(found, wanted.backbone, tuned)
    file = wanted.folder / "attm.csv"
    with replaced(file, "name another folder") as partial:
        table.to_csv(partial, index=False)
    _print_comparison(table, CORPORA)
    if tuned is not None:
        took = f"{duration(tuned.seconds)}, {size(tuned.memory_bytes)} at most"
        out.print(f"\nTuning of {tuned.head} with {tuned.depth} blocks: {took}", markup=False)
    peaks = reproduction.peaks(found, wanted.backbone)
    out.print("\n".join(filter(None, ("", peaks, found.sentence, ""))), markup=False)
    out.print(f"Table:  {file}\nReport: {found.folder / 'report.html'}", markup=False)


def _print_steps(steps: Sequence[Any], calibration: Any) -> None:
    shown = Table(box=None, header_style="bold")
    for name in ("step", "state", "utterances", "writes", "takes about"):
        shown.add_column(
            name, justify="left" if name in ("step", "state") else "right", no_wrap=True
        )
    for step in steps:
        takes = "?" if step.seconds is None else duration(step.seconds)
        written = "?" if calibration is None else size(step.n_bytes) if step.n_bytes else ""
        shown.add_row(step.name, step.state, f"{step.utterances:,}", written, takes)
    print_whole(shown)
    basis = "nothing is known of the backbone: it is not here"
    if calibration is not None:
        basis = calibration.assumption
    out.print(f"Times: {basis}.\n", markup=False)
    for step in steps:
        out.print(step.command, markup=False)


def _print_comparison(table: pd.DataFrame, corpora: tuple[str, ...]) -> None:
    import pandas as pd

    shown = Table(
        title="\nEER (%), trained on 2019 LA", title_justify="left", box=None, header_style="bold"
    )
    for name in ("", "backbone", "system", "layers"):
        shown.add_column(name, justify="right" if name == "layers" else "left")
    for corpus in corpora:
        shown.add_column(corpus.removeprefix("asvspoof"), justify="right")
    for row in table.to_dict("records"):
        measured = row["source"] == "measured"
        figures = []
        for corpus in corpora:
            interval = row.get(f"{corpus} 95 %")
            known = f" [{interval}]" if isinstance(interval, str) and interval else ""
            figures.append("" if pd.isna(row[corpus]) else f"{row[corpus]:.2f}{known}")
        source = "measured" if measured else "published"
        shown.add_row(source, str(row["backbone"]), str(row["system"]), str(row["depth"]), *figures)
    print_whole(shown)
    out.print(
        "Published: " + "; ".join(dict.fromkeys(table.loc[table["source"] != "measured", "source"]))
    )
