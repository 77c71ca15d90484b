"""The command `probe exits`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import CorpusName
from analysis.commands.files import check_folder
from analysis.commands.lists import whole
from analysis.commands.printing import out, print_frame
from analysis.runs.companions import ABOUT, companion_folder, write_about
from analysis.runs.kinds import RUN, expect
from cache.atomic import replaced_folder

FILES = (
    ABOUT,
    "exits.json",
    "curve.csv",
    "depths.csv",
    "attacks.csv",
    "leaving.csv",
    "exits.png",
    "exits.svg",
)


def exits(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Heads at the exits, as weighted-sum+linear; linear: the probe of each layer "
            "[default: that of the finding].",
        ),
    ] = None,
    depths: Annotated[
        str | None, typer.Option(metavar="LIST", help="Exits, as 1:6 or 2,4,6 [default: all].")
    ] = None,
    confidence: Annotated[
        str,
        typer.Option(
            help="What an exit must be sure by: probability (of the likelier class), entropy "
            "(less is surer), or agreement (of so many exits in a row)."
        ),
    ] = "probability",
    margin: Annotated[
        str,
        typer.Option(
            help="How much the dev EER may exceed that of the last "
            "exit: 0.1 is 10 %, 1pt one point."
        ),
    ] = "0.1",
    corpus: CorpusName = None,
    resamples: Annotated[
        int | None, typer.Option(min=100, help="Bootstrap resamples [default: as the run's].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the bootstrap [default: as the run's].")
    ] = None,
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
    check_folder(folder)
    chosen = whole("depths", depths)
    analysis = import_module("analysis")
    opened = analysis.load(run, corpus)
    found = import_module("probing.exits").find_exits(
        opened,
        head,
        depths=chosen or (),
        confidence=confidence,
        margin=margin,
        corpus=corpus,
        resamples=resamples,
        seed=seed,
    )
    percent = found.leaving.set_index("depth").mul(100).round(1)
    out.print("Eval utterances that leave at each depth (%):")
    print_frame(percent)
    if len(found.by_attack):
        out.print(
            "\nBy attack: mean share of the blocks, and EER against that of the last exit (%):"
        )
        shares = ["blocks", "eer", "eer_full", "difference", "low", "high"]
        table = found.by_attack.set_index("attack").reindex(columns=["n_spoof", *shares])
        few = table[table["eer"].isna()]
        print_frame(
            table.drop(few.index).assign(**{name: (100 * table[name]).round(1) for name in shares})
        )
        if len(few):
            named = ", ".join(f"{attack} ({row.n_spoof})" for attack, row in few.iterrows())
            out.print(
                f"Without those of fewer than 5 spoofs, or bona fide trials: {named}.", markup=False
            )
    out.print(f"\n{found.sentence}", markup=False)
    picture = analysis.exit_curve(opened, found)
    with replaced_folder(folder, FILES) as partial:
        figures = import_module("probing.exits").write_exits(found, partial)
        write_about(partial, "exits", run=opened, corpus=opened.corpus, more=figures)
        for kind in ("png", "svg"):
            analysis.save_figure(picture, partial / f"exits.{kind}")
    out.print(f"\nPolicy, tables and figure: {folder}", markup=False)
