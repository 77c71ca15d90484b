"""The command `probe exits`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import CORPUS_NAME_HELP, RunFolder
from analysis.commands.folders import Outputs, check_companion
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_frame
from analysis.runs.companions import ABOUT, companion_folder, write_about
from analysis.runs.kinds import RUN, expect
from probing.options import WHOLE, check, option

if TYPE_CHECKING:  # at run time it costs torch
    import pandas as pd

    from analysis.runs.loaded_run import LoadedRun
    from probing.exits import Exits

SHARES = ["blocks", "eer", "eer_full", "difference", "low", "high"]

OUTPUTS = Outputs(
    (
        "exits.json",
        "curve.csv",
        "depths.csv",
        "attacks.csv",
        "leaving.csv",
        "exits.png",
        "exits.svg",
    ),
    at_times=(ABOUT,),  # earlier versions wrote none
)


@dataclass(frozen=True)
class ExitOptions:
    """How the policy of early exit is chosen; see `probing.exits.find_exits`."""

    head: str | None = option(
        None,
        "Heads at the exits, as weighted-sum+linear; linear: the probe of each layer "
        "[default: that of the finding].",
        metavar="NAME",
    )
    depths: tuple[int, ...] = option(
        (), "Exits, as 1:6 or 2,4,6 [default: all].", metavar="LIST", syntax=WHOLE
    )
    confidence: str = option(
        "probability",
        "What an exit must be sure by: probability (of the likelier class), entropy "
        "(less is surer), or agreement (of so many exits in a row).",
        choices=("probability", "entropy", "agreement"),
    )
    margin: str = option(
        "0.1",
        "How much the dev EER may exceed that of the last exit: 0.1 is 10 %, 1pt one point.",
    )
    corpus: str | None = option(None, CORPUS_NAME_HELP, metavar="NAME")
    resamples: int | None = option(
        None, "Bootstrap resamples [default: as the run's].", minimum=100
    )
    seed: int | None = option(None, "Seed of the bootstrap [default: as the run's].", minimum=0)

    def __post_init__(self) -> None:
        check(self)


@with_options
def exits(
    run: RunFolder,
    options: ExitOptions,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of the policy, the tables and the figure "
            "[default: NAME.exits, which probe report shows].",
        ),
    ] = None,
) -> None:
    """Early exit: let utterances leave at the first depth that is sure of them; what it saves, and
    what it costs.

    Nothing is computed anew: the run has the scores of its heads at every depth. The threshold is
    chosen on dev.

    \b
    probe exits results/demo.run
    probe exits results/demo.run --head linear --confidence agreement --margin 1pt --out exits
    """
    expect(run, RUN)
    folder = folder or companion_folder(run, "exits")
    check_companion(folder, run, "exits", OUTPUTS)
    opened = import_module("analysis").load(run, options.corpus)
    found = import_module("probing.exits").find_exits(opened, **asdict(options))
    _print(found)
    _write(found, opened, folder)
    out.print(f"\nPolicy, tables and figure: {folder}", markup=False)


def _print(found: Exits) -> None:
    """Print where utterances leave, what that saves by attack, and the finding."""
    out.print("Eval utterances that leave at each depth (%):")
    print_frame(found.leaving.set_index("depth").mul(100).round(1))
    if len(found.by_attack):
        _print_attacks(found.by_attack.set_index("attack"))
    out.print(f"\n{found.sentence}", markup=False)


def _print_attacks(by_attack: pd.DataFrame) -> None:
    """Print the figures of each attack, and the attacks that have none."""
    out.print("\nBy attack: mean share of the blocks, and EER against that of the last exit (%):")
    table = by_attack.reindex(columns=["n_spoof", *SHARES])
    few = table[table["eer"].isna()]
    shown = table.drop(few.index)
    print_frame(shown.assign(**{name: (100 * shown[name]).round(1) for name in SHARES}))
    if len(few):
        names = ", ".join(f"{attack} ({row.n_spoof})" for attack, row in few.iterrows())
        out.print(
            f"Without those of fewer than 5 spoofs, or bona fide trials: {names}.", markup=False
        )


def _write(found: Exits, run: LoadedRun, folder: Path) -> None:
    """Write the policy, the tables and the figure to a folder."""
    analysis = import_module("analysis")
    picture = analysis.exit_curve(run, found)
    with OUTPUTS.replaced(folder) as partial:
        figures = import_module("probing.exits").write_exits(found, partial)
        write_about(partial, "exits", run=run, corpus=run.corpus, more=figures)
        for kind in ("png", "svg"):
            analysis.save_figure(picture, partial / f"exits.{kind}")
