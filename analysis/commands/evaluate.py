"""The command `probe evaluate`."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from analysis.commands.arguments import AsJson
from analysis.commands.files import check_folder
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_json, print_whole
from analysis.commands.tables import TableFiles
from analysis.runs.kinds import expect_file
from cache.atomic import replaced_folder
from cache.errors import OptionError, ProbeError, argument
from probing.progress import console

if TYPE_CHECKING:
    import pandas as pd


@with_options
def evaluate(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="Scores, higher for bona fide; see below.")],
    corpus: Annotated[
        str | None, typer.Option(metavar="SPEC", help="What the utterances are, as probe extract --corpus.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The same from a protocol or key table of ASVspoof 2019, 2021, 5, or a csv: utterance_id,label.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only this split or subset [default: eval if scored, else all scored].")
    ] = None,
    asv_scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Speaker verification scores, for the t-DCF (and a tandem).")
    ] = None,
    asv_keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Their trial_metadata.txt, for those of ASVspoof 2021.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Decompose by these, as attack,codec.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="SCORES", help="Scores of another system on the same trials, to compare with."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for evaluation.csv and DET curves.")
    ] = None,
    as_json: AsJson = False,
    interval_by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="What the bootstrap draws whole: a column or several, as speaker,attack (for attacks like these), or "
            "utterance [auto: speaker, if known].",
        ),
    ] = "auto",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    audio_root: Annotated[
        Path | None,
        typer.Option(help="Folder that the paths of a manifest start from [default: the manifest's own]."),
    ] = None,
    *,
    tables: TableFiles,
) -> None:
    """Compute EER, t-DCF, DCF, Cllr and AUC of a score file, pooled and by attack, codec or any column.

    Score files: 'utterance attack key score' (ASVspoof 2019, needs neither corpus nor keys), 'utterance score' (2021),
    'filename cm-score' with tabs (5), or a csv with the columns utterance_id,score.

    Scores of trials that claim a speaker give a-DCF, t-EER and min t-DCF instead (ASVspoof 5 track 2): a header with
    spk, filename and sasv-score (joint), asv-score and cm-score (tandem) or all three, with --keys whose header has
    asv-label; or 'speaker utterance score target|nontarget|spoof'. Scores of a countermeasure by utterance are one half
    of a tandem: --asv-scores names the other, with spk, filename and asv-score.

    \b
    probe evaluate results/demo.run/scores/linear-layer-06.eval.txt --by attack
    probe evaluate scores.txt --keys keys/LA/CM/trial_metadata.txt --by attack,codec --out evaluation
    probe evaluate mine.txt --against baseline.txt
    probe evaluate sasv.tsv --keys ASVspoof5.eval.full.tsv --by attack,codec
    probe evaluate cm.tsv --keys ASVspoof5.eval.full.tsv --asv-scores asv.tsv
    """
    check_folder(folder)
    for one in (scores, *([against] if against else [])):
        expect_file(one)
    if keys and not keys.exists():
        raise OptionError("keys", keys, "no such file. Name a file that is there")
    tables.check()
    evaluation = import_module("probing.evaluation")
    if corpus and keys:
        raise ProbeError(f"{argument('corpus')} and {argument('keys')}: expected one of them")
    known = evaluation.read_keys(keys) if keys else None
    if corpus:
        known = import_module("probing.corpora").load_corpus(corpus, audio_root=audio_root).utterances
    read = evaluation.read_trials(scores)
    factors = [name for name in (by or "").split(",") if name]
    drawing = {"interval_by": interval_by, "resamples": resamples, "seed": seed}
    of_trials = asv_scores and (evaluation.are_of_sasv(read) or (known is not None and "asv_label" in known))
    by_trial = evaluation.read_verification_trials(asv_scores) if of_trials else None
    if evaluation.are_of_sasv(read, known, by_trial):
        if asv_keys:
            raise ProbeError(f"{argument('asv_keys')}: expected with scores of a countermeasure of ASVspoof 2021 only")
        trials = evaluation.sasv_trials(read, known, by_trial, split, console.print)
        other = evaluation.sasv_trials(evaluation.read_trials(against), known, by_trial, split) if against else None
        asv = evaluation.read_verification(asv_scores) if asv_scores and by_trial is None else None
        asv = asv if by_trial is None else evaluation.verification_of(trials)
        with console.status("Evaluating"):
            found = evaluation.evaluate_sasv(trials, factors, asv, against=other, **drawing)
        if as_json:
            _print_json(found, factors)
        else:
            _print_sasv(found, factors, asv is None)
        tables.write(found.table, _shown(found.table, factors), scores.name)
        if folder:
            _keep(found, factors, folder, scores.name, {})
        return
    known = None if known is None else evaluation.utterances_of(known, console.print)
    trials = evaluation.join(read, known, split, console.print)
    chosen = split or ("eval" if "split" in trials and set(trials["split"]) == {"eval"} else None)
    asv = evaluation.read_verification(asv_scores, asv_keys, chosen) if asv_scores else None
    other = evaluation.join(evaluation.read_scores(against), known, split) if against else None
    with console.status("Evaluating"):
        found = evaluation.evaluate(trials, factors, asv, against=other, **drawing)
    if as_json:
        _print_json(found, factors)
    else:
        _print(found, factors)
    tables.write(found.table, _shown(found.table, factors), scores.name)
    if folder:
        _keep(found, factors, folder, scores.name, {against.stem: other} if against else {})


def _print_json(found: Any, factors: list[str]) -> None:
    """Print every figure of every condition as JSON, with the trials that have none."""
    print_json({"by": factors, "figures": found.table, "left_out": found.left_out, "sentence": found.sentence})


def _print(found: Any, factors: list[str]) -> None:
    """Print figures of trials of a countermeasure."""
    print_whole(_shown(found.table, factors))
    if found.left_out:
        named = "; ".join(found.left_out[:20]) + ("; ..." if len(found.left_out) > 20 else "")
        out.print(f"\nNo figures for conditions of fewer than 5 trials of a class: {named}")
    if found.otherwise:
        named = "; ".join(found.otherwise[:20]) + ("; ..." if len(found.otherwise) > 20 else "")
        out.print(f"\nIntervals by another unit, since a class is of one cluster: {named}", markup=False)
    out.print(f"\n{found.sentence}\n")


def _keep(found: Any, factors: list[str], folder: Path, title: str, others: dict[str, pd.DataFrame]) -> None:
    """Write the table and a picture of DET curves for each column of `--by`, and say where."""
    most = import_module("analysis.plots.style").MOST_DRAWN
    drawn = {}
    for factor in factors or [""]:
        curves = found.curves([factor] if factor else []) | others
        if len(curves) > most:
            by = f" by {factor}" if factor else ""
            out.print(
                f"The picture{by} shows all trials together: {len(curves) - 1:,} conditions are too many to draw."
            )
            curves = dict(list(curves.items())[:1])
        drawn["det" if factor in factors[:1] or not factor else f"det-{re.sub(r'[^A-Za-z0-9_-]+', '-', factor)}"] = (
            curves
        )
    files = {"evaluation.csv", "det.png", "det.svg", *(f"{name}.{kind}" for name in drawn for kind in ("png", "svg"))}
    with replaced_folder(folder, files) as partial:
        found.table.to_csv(partial / "evaluation.csv", index=False)
        save = import_module("analysis.plots.det").save_det_curves
        pictures = [save(curves, partial, title, name)[0] for name, curves in drawn.items()]
    shown = " and ".join(str(folder / picture.name) for picture in pictures)
    out.print(f"Picture: {shown}\nTable:   {folder / 'evaluation.csv'}", markup=False)


def _print_sasv(found: Any, factors: list[str], by_organisers: bool) -> None:
    """Print figures of trials that claim a speaker; `by_organisers`: whether the t-DCF is with their verification."""
    print_whole(_shown(found.table, factors))
    if found.left_out:
        named = "; ".join(found.left_out[:20]) + ("; ..." if len(found.left_out) > 20 else "")
        out.print(f"\nNo figures for conditions of fewer than 5 trials of a kind: {named}")
    if by_organisers and "min_tdcf" in found.table:
        out.print(
            "\nmin t-DCF with the verification system of the organisers of ASVspoof 5, as its package has it; for "
            "another name its scores: --asv-scores FILE"
        )
    out.print(f"\n{found.sentence}\n")


def _shown(table: pd.DataFrame, factors: list[str]) -> Table:
    """Every figure of every condition, as its metric says that it is shown."""
    metrics = import_module("probing.metrics.figures").METRICS
    percent = [name for name, metric in metrics.items() if metric.percent] + ["t_eer"]
    rates = {name + end for name in percent for end in ("", "_low", "_high")}
    shown = Table(box=None, header_style="bold")
    for name in table.columns:
        title = name.replace("_", " ") + (" %" if name in rates else "")
        shown.add_column(title, justify="left" if name in factors else "right")
    for row in table.to_dict("records"):
        shown.add_row(*(_figure(name, value, name in rates) for name, value in row.items()))
    return shown


def _figure(name: str, value: Any, percent: bool) -> str:
    """Error rates in per cent, whole numbers as they are, all else to six digits; nothing where there is no figure."""
    import pandas as pd

    if isinstance(value, str) or pd.isna(value):
        return value if isinstance(value, str) else ""
    if name.startswith("n_"):
        return f"{value:,.0f}"
    return f"{100 * value:z.4f}" if percent else f"{value:z.6f}"
