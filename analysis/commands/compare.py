"""The command `probe compare`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analysis.commands.arguments import (
    AsJson,
    CorpusName,
    RunFolders,
)
from analysis.commands.files import check_folder
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_json
from analysis.commands.tables import TableFiles
from analysis.runs.kinds import expect_runs
from cache.atomic import replaced_folder
from probing.progress import console, status_line

if TYPE_CHECKING:
    from analysis.runs.comparison import Comparison


@with_options
def compare(
    runs: RunFolders,
    head: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What to compare: linear, the probe at the layer chosen on dev, or a head at "
            "full depth, as weighted-sum+linear.",
        ),
    ] = "linear",
    corpus: CorpusName = None,
    resamples: Annotated[
        int | None,
        typer.Option(min=100, help="Bootstrap resamples [default: as many as the first run's]."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the bootstrap [default: that of the first run].")
    ] = None,
    as_json: AsJson = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder for the tables as csv and the figures."
        ),
    ] = None,
    *,
    tables: TableFiles,
) -> None:
    """Compare backbones on the same trials: ranking, paired tests, compute.

    Runs of other corpora, splits, utterances, cropping or strengths are refused, with the reason.

    \b
    probe compare embedded.run random.run log-mel.run
    probe compare results --head weighted-sum+linear --out comparison
    """
    expect_runs(runs)
    check_folder(folder)
    tables.check()
    with status_line("Comparing"):
        analysis = import_module("analysis")
        several = runs[0] if len(runs) == 1 else runs
        found = analysis.compare(several, head, corpus=corpus, resamples=resamples, seed=seed)
    if as_json:
        first = found.runs[0]
        runs_found = found.table.rename_axis("run").reset_index()
        print_json(
            {
                "corpus": first.corpus,
                "runs": runs_found,
                "pairs": found.pairs,
                "sentence": found.sentence,
            }
        )
    else:
        _show(found)
    tables.write(
        found.table.reset_index(), found.ranked.reset_index(), f"On {found.runs[0].corpus}"
    )
    if folder:
        pictures = [
            f"{name}.{kind}"
            for name in ("ranking", "layer-curve", "pareto")
            for kind in ("png", "svg")
        ]
        files = ("comparison.csv", "pairs.csv", *pictures)
        with status_line("Drawing"), replaced_folder(folder, files) as partial:
            drawn = {"ranking": found.ranking(), "layer-curve": found.layer_curve()}
            if found.table["gmacs"].notna().any():
                drawn["pareto"] = found.pareto()
            found.table.to_csv(partial / "comparison.csv")
            found.pairs.to_csv(partial / "pairs.csv", index=False)
            for name, ax in drawn.items():
                for kind in ("png", "svg"):
                    analysis.save_figure(ax, partial / f"{name}.{kind}")
        for text in import_module("analysis.plots.pareto").not_drawn(found.runs):
            console.print(f"pareto: {text}", markup=False)
        out.print(f"\nTables and figures: {folder}", markup=False)


def _show(found: "Comparison") -> None:
    """Ranking, differences and the sentence on the terminal."""
    shown = Table(
        box=None,
        padding=(0, 1, 0, 0),
        header_style="bold",
        title=f"On {found.runs[0].corpus}",
        title_justify="left",
    )
    number_of = {name: str(number) for number, name in enumerate(found.table.index, 1)}
    for name, number in number_of.items():
        out.print(f"{number}  {name}", markup=False)
    for column in ("", *found.ranked.columns):
        shown.add_column(column.removesuffix(" of these"), justify="right", no_wrap=True)
    for name, row in found.ranked.iterrows():
        shown.add_row(
            number_of[name], *row.str.replace("not measured", "-").str.replace("none shown", "-")
        )
    out.print(shown)
    out.print(import_module("analysis.runs.comparison").LEGEND)
    below = "above" if found.metric.higher_is_better else "below"
    step = f" {found.metric.step}" if found.metric.step else ""
    for row in found.differences.itertuples(index=False):
        told = f"by {row[2]}{step} [{row[3]}], p {row[4]}: {row[5]}"
        out.print(f"{number_of[row[0]]} {below} {number_of[row[1]]} {told}", markup=False)
    out.print(f"\n{found.sentence}", markup=False)
