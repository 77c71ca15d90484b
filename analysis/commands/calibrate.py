"""The command `probe calibrate`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analysis.commands.arguments import AudioRoot
from analysis.commands.files import check_folder
from analysis.commands.printing import out, print_whole
from analysis.runs.kinds import RUN, expect_file, kind_of
from cache.atomic import replaced_folder
from cache.errors import OptionError, ProbeError, argument
from probing.progress import console, status_line

if TYPE_CHECKING:  # at run time it costs torch
    from probing.calibration.systems import Calibrated, System

PICTURES = ("reliability.png", "reliability.svg")


def calibrate(
    systems: Annotated[
        list[Path],
        typer.Argument(metavar="SYSTEM...", help="Runs, or score files of dev; several are fused."),
    ],
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Of runs, which head, as probe score; once for all, or once "
            "for each [default: that of the finding].",
        ),
    ] = None,
    evaluated: Annotated[
        list[Path] | None,
        typer.Option(
            "--eval", metavar="SCORES", help="Scores of eval, once for each score file of dev."
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="What the utterances are, as probe extract --corpus."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same from a protocol, as probe evaluate."),
    ] = None,
    prior: Annotated[
        float, typer.Option(help="Probability of bona fide at which errors are to cost least.")
    ] = 0.5,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder to write [default: of one run, RUN/calibration/HEAD].",
        ),
    ] = None,
    audio_root: AudioRoot = None,
) -> None:
    """Turn scores into log-likelihood ratios: scale and offset from dev, several systems fused,
    measured on eval.

    Of one run they are left in it, for probe export and probe score. Prior-weighted logistic
    regression.

    \b
    probe calibrate results/demo.run
    probe calibrate wavlm.run hubert.run --out fused
    probe calibrate mine.dev.txt --eval mine.eval.txt --out calibrated
    """
    check_folder(folder)
    runs = [path for path in systems if kind_of(path) == RUN]
    if runs and len(runs) < len(systems):
        raise ProbeError("runs and score files: expected one or the other")
    if runs and (evaluated or corpus or keys):
        given = next(
            name for name, one in (("eval", evaluated), ("corpus", corpus), ("keys", keys)) if one
        )
        raise ProbeError(f"{argument(given)}: is for score files; a run has its own. Leave it out")
    if not runs and head:
        raise OptionError("head", head[0], "is for runs; a score file is of one system")
    with status_line("Calibrating"):
        opened = (
            _of_runs(runs, head or [])
            if runs
            else _of_files(
                systems, evaluated or [], corpus=corpus, keys=keys, audio_root=audio_root
            )
        )
        found = import_module("probing.calibration.systems").calibrate_systems(opened, prior)
    print_whole(_shown(found))
    scales = zip(found.calibration.scales, found.systems, strict=True)
    terms = " ".join(f"{scale:+z.4g} x {name}" for scale, name in scales)
    out.print(f"\nLog-likelihood ratio: {found.calibration.offset:z.4g} {terms}", markup=False)
    for note in found.notes:
        console.print(f"Note: {note}.", markup=False)
    if len(runs) == 1 and folder is None:
        folder = import_module("probing.calibration.stored").place(runs[0], found.heads[0])
    if folder is None:
        return
    _write(found, folder)
    out.print(
        f"Picture: {folder / PICTURES[0]}\nCalibration: {folder / 'calibration.json'}", markup=False
    )


def _of_runs(folders: list[Path], heads: list[str]) -> list["System"]:
    module = import_module("probing.calibration.systems")
    serving = import_module("probing.serving")
    if len(heads) not in (0, 1, len(folders)):
        raise OptionError(
            "head", heads[-1], f"given {len(heads)} times; expected once, or once for each run"
        )
    named: list[str | None] = (
        [*heads] * len(folders) if len(heads) == 1 else [*heads] or [None] * len(folders)
    )
    found = []
    for folder, head in zip(folders, named, strict=True):
        run = import_module("probing.runs").Run(folder)
        found.append(module.system_of_run(run, serving.choose_head(run, name=head).about.name))
    return found


def _of_files(
    files: list[Path],
    evaluated: list[Path],
    corpus: str | None,
    keys: Path | None,
    audio_root: Path | None,
) -> list["System"]:
    for path in (*files, *evaluated):
        expect_file(path)
    if len(evaluated) not in (0, len(files)):
        raise OptionError(
            "eval", evaluated[-1], f"given {len(evaluated)} times for {len(files)} files of dev"
        )
    if corpus and keys:
        raise ProbeError(f"{argument('corpus')} and {argument('keys')}: expected one of them")
    known = import_module("probing.evaluation").read_keys(keys) if keys else None
    if corpus:
        known = (
            import_module("probing.corpora").load_corpus(corpus, audio_root=audio_root).utterances
        )
    module = import_module("probing.calibration.systems")
    others: list[Path | None] = [*evaluated] or [None] * len(files)
    return [
        module.system_of_files(dev, other, known) for dev, other in zip(files, others, strict=True)
    ]


def _write(found: "Calibrated", folder: Path) -> None:
    stored = import_module("probing.calibration.stored")
    plots = import_module("analysis.plots.reliability")
    save_figure = import_module("analysis.plots.style").save_figure
    write_scores = import_module("probing.scores.files").write_scores
    scores = {part: f"{part}.txt" for part in found.trials}
    with replaced_folder(
        folder, (stored.FILE, "calibration.csv", *PICTURES, *scores.values())
    ) as partial:
        (partial / stored.FILE).write_text(
            stored.text_of(list(found.heads), found.calibration), encoding="utf-8"
        )
        found.table.to_csv(partial / "calibration.csv", index=False)
        part = "eval" if "eval" in found.trials else "dev"
        table = found.trials[part]
        curves = {"as scored": table.assign(score=table["raw"]), "calibrated": table}
        ax = plots.reliability_curves(curves, title=f"{part}: {found.title}")
        for name in PICTURES:
            save_figure(ax, partial / name)
        for one, file in scores.items():
            rows = found.trials[one]
            write_scores(
                partial / file, rows, rows["score"], "2019" if "attack" in rows else "2021"
            )


def _shown(found: "Calibrated") -> Table:
    """A row for each system and part: what the scores tell apart, and before and after of what
    calibration changes.
    """
    shown = Table(box=None, header_style="bold")
    shown.add_column("system")
    shown.add_column("part")
    for title in ("EER %", "minCllr", "Cllr", "calibrated", "minDCF", "actDCF", "calibrated"):
        shown.add_column(title, justify="right")
    for (name, part), rows in found.table.groupby(["system", "part"], sort=False):
        by = rows.set_index("of")
        after = by.loc["calibrated"]
        before = by.loc["scores"] if "scores" in by.index else None
        told = after if before is None else before
        shown.add_row(
            str(name),
            str(part),
            f"{100 * told['eer']:.2f}",
            f"{told['min_cllr']:.4f}",
            "" if before is None else f"{before['cllr']:.4f}",
            f"{after['cllr']:.4f}",
            f"{told['min_dcf']:.4f}",
            "" if before is None else f"{before['act_dcf']:.4f}",
            f"{after['act_dcf']:.4f}",
        )
    return shown
