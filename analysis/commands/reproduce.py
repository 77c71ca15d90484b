"""The commands of `probe reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from analysis.commands.arguments import Device
from analysis.commands.files import check_folder
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.printing import out, print_whole
from cache.atomic import replaced
from cache.errors import OptionError
from probing.progress import console, duration, size

if TYPE_CHECKING:
    import pandas as pd

reproduce_app = typer.Typer(
    cls=InterruptibleGroup,
    help="Reproduce published tables on your own copy of the data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
ROOTS = ("asvspoof2019_la", "asvspoof2021_la", "asvspoof2021_df")
Root = Annotated[Path | None, typer.Option(metavar="ROOT", help="Where the official archives were unpacked.")]


@reproduce_app.callback()
def _group() -> None:
    """Keep the name of the table a command of its own, however few there are."""


@reproduce_app.command()
def attm(
    asvspoof2019_la: Root = None,
    asvspoof2021_la: Root = None,
    asvspoof2021_df: Root = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the steps whose data is there; without it, list them.")
    ] = False,
    backbone: Annotated[
        str, typer.Option(metavar="SPEC", help="As probe extract --backbone.")
    ] = "microsoft/wavlm-large",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = None,
    folder: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the caches, the run and the table.")
    ] = Path("results/attm"),
    frames: Annotated[
        bool,
        typer.Option("--frames", help="The paper's own heads, on every frame; about 100 times the space and time."),
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Also tune the backbone with the attentive head, as the paper does.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="First weights of every head.")] = 3,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")] = 1000,
    device: Device = "auto",
) -> None:
    """Train on ASVspoof 2019 LA, evaluate on 2019 LA, 2021 LA and 2021 DF (Pan et al., Interspeech 2024).

    Lists the commands with their sizes and times for this machine; with --run does those whose data is there, and
    prints what was measured beside what was published. The same command again goes on where it stopped, and adds the
    corpora that are there by then. The backbone stays frozen, where the paper tunes it; --tune
    adds a row with it tuned.

    \b
    probe reproduce attm
    probe reproduce attm --asvspoof2019-la /data/asvspoof2019 --asvspoof2021-df /data/asvspoof2021 --run
    """
    for name, root in zip(ROOTS, (asvspoof2019_la, asvspoof2021_la, asvspoof2021_df), strict=True):
        if root is not None and not root.is_dir():
            raise OptionError(name, root, "no such folder. Expected the one that the archives were unpacked in")
    check_folder(folder)
    reproduction = import_module("probing.reproduction")
    given = zip(reproduction.CORPORA, (asvspoof2019_la, asvspoof2021_la, asvspoof2021_df), strict=True)
    wanted = reproduction.Reproduction(
        folder,
        {name: root for name, root in given if root is not None},
        backbone,
        revision,
        frames,
        device,
        seeds,
        resamples,
        tune,
    )
    steps, calibration = reproduction.plan(wanted)
    _print_steps(steps, calibration)
    if not run:
        out.print("\nTo run the steps whose data is there, add --run and the ROOTs.")
        return
    found = reproduction.run(wanted)
    import_module("analysis.reports.report").save_all(found)
    tuned = reproduction.run_tuned(wanted, found, say=console.print) if tune else None
    table = reproduction.compare(found, backbone, tuned)
    with replaced(folder / "attm.csv", "name another folder") as partial:
        table.to_csv(partial, index=False)
    _print_comparison(table, reproduction.CORPORA)
    if tuned is not None:
        took = f"{duration(tuned.seconds)}, {size(tuned.memory_bytes)} at most"
        out.print(f"\nTuning of {tuned.head} with {tuned.depth} blocks: {took}", markup=False)
    peaks = reproduction.peaks(found, backbone)
    out.print("\n".join(filter(None, ("", peaks, found.sentence, ""))), markup=False)
    out.print(f"Table:  {folder / 'attm.csv'}\nReport: {found.folder / 'report.html'}", markup=False)


def _print_steps(steps: Sequence[Any], calibration: Any) -> None:
    shown = Table(box=None, header_style="bold")
    for name in ("step", "state", "utterances", "writes", "takes about"):
        shown.add_column(name, justify="left" if name in ("step", "state") else "right", no_wrap=True)
    for step in steps:
        takes = "?" if step.seconds is None else duration(step.seconds)
        written = "?" if calibration is None else size(step.n_bytes) if step.n_bytes else ""
        shown.add_row(step.name, step.state, f"{step.utterances:,}", written, takes)
    print_whole(shown)
    told = calibration.assumption if calibration is not None else "nothing is known of the backbone: it is not here"
    out.print(f"Times: {told}.\n", markup=False)
    for step in steps:
        out.print(step.command, markup=False)


def _print_comparison(table: pd.DataFrame, corpora: tuple[str, ...]) -> None:
    import pandas as pd

    shown = Table(title="\nEER (%), trained on 2019 LA", title_justify="left", box=None, header_style="bold")
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
    out.print("Published: " + "; ".join(dict.fromkeys(table.loc[table["source"] != "measured", "source"])))
