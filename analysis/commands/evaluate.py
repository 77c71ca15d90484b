"""The command `probe evaluate`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from analysis.commands.arguments import AsJson
from analysis.commands.folders import Outputs
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_json, print_whole
from analysis.commands.tables import TableFiles
from analysis.commands.trials import Evaluated, TrialFiles, evaluate_files
from probing.drawn import BootstrapOptions

if TYPE_CHECKING:
    import pandas as pd

OUTPUTS = Outputs(
    ("evaluation.csv", "det.png", "det.svg"),
    at_times=("det-*.png", "det-*.svg"),  # of further columns of --by
)
ScoreFile = Annotated[
    Path, typer.Argument(metavar="SCORES", help="Scores, higher for bona fide; see below.")
]
Columns = Annotated[
    str | None, typer.Option(metavar="COLUMNS", help="Decompose by these, as attack,codec.")
]
FiguresFolder = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder for evaluation.csv and DET curves."),
]


@with_options
def evaluate(
    scores: ScoreFile,
    files: TrialFiles,
    by: Columns = None,
    folder: FiguresFolder = None,
    as_json: AsJson = False,
    *,
    bootstrap: BootstrapOptions,
    tables: TableFiles,
) -> None:
    """Compute EER, t-DCF, DCF, Cllr and AUC of a score file, pooled and by attack, codec or any
    column.

    Score files: 'utterance attack key score' (ASVspoof 2019, needs neither corpus nor keys),
    'utterance score' (2021), 'filename cm-score' with tabs (5), or a csv with the columns
    utterance_id,score.

    Scores of trials that claim a speaker give a-DCF, t-EER and min t-DCF instead (ASVspoof 5 track
    2): a header with spk, filename and sasv-score (joint), asv-score and cm-score (tandem) or all
    three, with --keys whose header has asv-label; or 'speaker utterance score
    target|nontarget|spoof'. Scores of a countermeasure by utterance are one half of a tandem:
    --asv-scores names the other, with spk, filename and asv-score.

    \b
    probe evaluate results/demo.run/scores/linear-layer-06.eval.txt --by attack
    probe evaluate scores.txt --keys keys/LA/CM/trial_metadata.txt --by attack,codec --out figures
    probe evaluate mine.txt --against baseline.txt
    probe evaluate sasv.tsv --keys ASVspoof5.eval.full.tsv --by attack,codec
    probe evaluate cm.tsv --keys ASVspoof5.eval.full.tsv --asv-scores asv.tsv
    """
    OUTPUTS.check(folder)
    files.check(scores)
    tables.check()
    factors = [name for name in (by or "").split(",") if name]
    evaluated = evaluate_files(scores, files, factors, bootstrap)
    found = evaluated.found
    if as_json:
        _print_json(found, factors)
    else:
        _print(evaluated, factors)
    tables.write(found.table, _shown(found.table, factors, digits=2), scores.name)
    if folder:
        _keep(found, factors, folder=folder, title=scores.name, others=evaluated.others)


def _print_json(found: Any, factors: list[str]) -> None:
    """Print every figure of every condition as JSON, with the trials that have none."""
    print_json(
        {
            "by": factors,
            "figures": found.table,
            "left_out": found.left_out,
            "sentence": found.sentence,
        }
    )


def _print(evaluated: Evaluated, factors: list[str]) -> None:
    """Print the figures, and what is to be known of them."""
    found = evaluated.found
    is_sasv = not hasattr(found, "otherwise")
    print_whole(_shown(found.table, factors))
    if found.left_out:
        of_trials = "trials of a kind" if is_sasv else "trials of a class"
        out.print(
            f"\nNo figures for conditions of fewer than 5 {of_trials}: {_first(found.left_out)}"
        )
    if not is_sasv and found.otherwise:
        named = _first(found.otherwise)
        out.print(
            f"\nIntervals by another unit, since a class is of one cluster: {named}", markup=False
        )
    if evaluated.by_organisers and "min_tdcf" in found.table:
        out.print(
            "\nmin t-DCF with the verification system of the organisers of ASVspoof 5, as its "
            "package has it; for another name its scores: --asv-scores FILE"
        )
    out.print(f"\n{found.sentence}\n")


def _first(names: Sequence[str], most: int = 20) -> str:
    """The first of some names, and whether there are more."""
    return "; ".join(names[:most]) + ("; ..." if len(names) > most else "")


def _keep(
    found: Any, factors: list[str], folder: Path, title: str, others: dict[str, pd.DataFrame]
) -> None:
    """Write the table and a picture of DET curves for each column of `--by`, and say where."""
    most = import_module("analysis.plots.style").MOST_DRAWN
    drawn = {}
    for factor in factors or [""]:
        curves = found.curves([factor] if factor else []) | others
        if len(curves) > most:
            by = f" by {factor}" if factor else ""
            out.print(
                f"The picture{by} shows all trials together: "
                f"{len(curves) - 1:,} conditions are too many to draw."
            )
            curves = dict(list(curves.items())[:1])
        drawn[
            "det"
            if factor in factors[:1] or not factor
            else f"det-{re.sub(r'[^A-Za-z0-9_-]+', '-', factor)}"
        ] = curves
    with OUTPUTS.replaced(folder) as partial:
        found.table.to_csv(partial / "evaluation.csv", index=False)
        save = import_module("analysis.plots.det").save_det_curves
        pictures = [save(curves, partial, title, name)[0] for name, curves in drawn.items()]
    shown = " and ".join(str(folder / picture.name) for picture in pictures)
    out.print(f"Picture: {shown}\nTable:   {folder / 'evaluation.csv'}", markup=False)


def _shown(table: pd.DataFrame, factors: list[str], digits: int = 4) -> Table:
    """Every figure of every condition, as its metric shows it; per cent with so many digits."""
    metrics = import_module("probing.metrics.figures").METRICS
    percent = [name for name, metric in metrics.items() if metric.percent] + ["t_eer"]
    rates = {name + end for name in percent for end in ("", "_low", "_high")}
    shown = Table(box=None, header_style="bold")
    for name in table.columns:
        title = name.replace("_", " ") + (" %" if name in rates else "")
        shown.add_column(title, justify="left" if name in factors else "right")
    for row in table.to_dict("records"):
        shown.add_row(*(_figure(name, value, name in rates, digits) for name, value in row.items()))
    return shown


def _figure(name: str, value: Any, percent: bool, digits: int) -> str:
    """Error rates in per cent, whole numbers as they are, all else two digits longer; nothing where
    there is none.
    """
    import pandas as pd

    if isinstance(value, str) or pd.isna(value):
        return value if isinstance(value, str) else ""
    if name.startswith("n_"):
        return f"{value:,.0f}"
    return f"{100 * value:z.{digits}f}" if percent else f"{value:z.{digits + 2}f}"
