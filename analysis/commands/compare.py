"""The command `probe compare`."""

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analysis.commands.arguments import CORPUS_NAME_HELP, AsJson, RunFolders
from analysis.commands.folders import Outputs
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_json
from analysis.commands.tables import TableFiles
from analysis.runs.kinds import expect_runs
from probing.options import check, option
from probing.progress import console, status_line

if TYPE_CHECKING:
    from analysis.runs.comparison import Comparison


OUTPUTS = Outputs(
    (
        "comparison.csv",
        "pairs.csv",
        "ranking.png",
        "ranking.svg",
        "layer-curve.png",
        "layer-curve.svg",
    ),
    at_times=("pareto.png", "pareto.svg"),
)


@dataclass(frozen=True)
class Compared:
    """What of the runs is compared, and what is drawn behind each interval."""

    head: str = option(
        "linear",
        "What to compare: linear, the probe at the layer chosen on dev, or a head at "
        "full depth, as weighted-sum+linear.",
        metavar="NAME",
    )
    corpus: str | None = option(None, CORPUS_NAME_HELP, metavar="NAME")
    resamples: int | None = option(
        None, "Bootstrap resamples [default: as many as the first run's].", minimum=100
    )
    seed: int | None = option(
        None, "Seed of the bootstrap [default: that of the first run].", minimum=0
    )

    def __post_init__(self) -> None:
        check(self)


@with_options
def compare(
    runs: RunFolders,
    options: Compared,
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
    probe compare embedded.run random.run log-mel.run --out comparison
    probe compare results/demo.run results/moonshine.run --head weighted-sum+linear
    """
    expect_runs(runs)
    OUTPUTS.check(folder)
    tables.check()
    with status_line("Comparing"):
        several = runs[0] if len(runs) == 1 else runs
        found = import_module("analysis").compare(several, **asdict(options))
    if as_json:
        _print_json(found)
    else:
        _show(found)
    title = f"On {found.runs[0].corpus}"
    tables.write(found.table.reset_index(), found.ranked.reset_index(), title)
    if folder:
        _write(found, folder)


def _print_json(found: "Comparison") -> None:
    """Print the runs, their pairs and the sentence as JSON."""
    print_json(
        {
            "corpus": found.runs[0].corpus,
            "runs": found.table.rename_axis("run").reset_index(),
            "pairs": found.pairs,
            "sentence": found.sentence,
        }
    )


def _write(found: "Comparison", folder: Path) -> None:
    """Write tables and figures to a folder, and say where and what is not drawn."""
    save_figure = import_module("analysis").save_figure
    with status_line("Drawing"), OUTPUTS.replaced(folder) as partial:
        drawn = {"ranking": found.ranking(), "layer-curve": found.layer_curve()}
        if found.table["gmacs"].notna().any():
            drawn["pareto"] = found.pareto()
        found.table.to_csv(partial / "comparison.csv")
        found.pairs.to_csv(partial / "pairs.csv", index=False)
        for name, ax in drawn.items():
            for kind in ("png", "svg"):
                save_figure(ax, partial / f"{name}.{kind}")
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
        first, second, difference, interval, p, words = row
        pair = f"{number_of[first]} {below} {number_of[second]}"
        out.print(f"{pair} by {difference}{step} [{interval}], p {p}: {words}", markup=False)
    out.print(f"\n{found.sentence}", markup=False)
