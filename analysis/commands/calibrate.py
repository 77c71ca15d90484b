"""The command `probe calibrate`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from analysis.commands.arguments import AUDIO_ROOT_HELP, check_audio_root
from analysis.commands.files import check_given
from analysis.commands.folders import Outputs
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_whole
from analysis.commands.typed import refuse_idle
from analysis.runs.kinds import RUN, expect_file, kind_of
from cache.errors import OptionError, ProbeError, argument
from probing.options import option
from probing.progress import console, status_line

if TYPE_CHECKING:  # at run time it costs torch
    from probing.calibration.systems import Calibrated, System

PICTURES = ("reliability.png", "reliability.svg")
OUTPUTS = Outputs(
    ("calibration.json", "calibration.csv", *PICTURES, "dev.txt"),
    at_times=("eval.txt", "eval.*.txt"),  # of further corpora
)


SystemPaths = Annotated[
    list[Path],
    typer.Argument(metavar="SYSTEM...", help="Runs, or score files of dev; several are fused."),
]
CalibrationFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Folder to write [default: of one run, RUN/calibration/HEAD].",
    ),
]


@dataclass(frozen=True)
class Systems:
    """What is known of the systems that are calibrated, and the prior that they are for."""

    head: tuple[str, ...] = option(
        (),
        "Of runs, which head, as probe score; once for all, or once "
        "for each [default: that of the finding].",
        metavar="NAME",
        many=True,
    )
    eval: tuple[Path, ...] = option(
        (),
        "Scores of eval, once for each score file of dev.",
        metavar="SCORES",
        many=True,
        is_path=True,
    )
    corpus: str | None = option(
        None, "What the utterances are, as probe extract --corpus.", metavar="SPEC"
    )
    keys: Path | None = option(
        None, "The same from a protocol, as probe evaluate.", metavar="FILE", is_path=True
    )
    prior: float = option(0.5, "Probability of bona fide at which errors are to cost least.")
    audio_root: Path | None = option(None, AUDIO_ROOT_HELP, is_path=True)

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            expected = "expected the probability of bona fide, between 0 and 1, as 0.5"
            raise OptionError("prior", self.prior, expected)

    def check_runs(self, n_runs: int) -> None:
        """Refuse options for score files; heads that are neither one in all nor one a run."""
        for name in ("eval", "corpus", "keys"):
            if getattr(self, name):
                raise ProbeError(
                    f"{argument(name)}: is for score files; a run has its own. Leave it out"
                )
        refuse_idle("audio_root", self.audio_root, "is for score files; a run reads no audio")
        if len(self.head) not in (0, 1, n_runs):
            raise OptionError(
                "head",
                self.head[-1],
                f"given {len(self.head)} times; expected once, or once for each run",
            )

    def check_files(self, files: list[Path]) -> None:
        """Refuse options for runs, missing files, and other than one file of eval a file of dev."""
        if self.head:
            raise OptionError("head", self.head[0], "is for runs; a score file is of one system")
        for path in (*files, *self.eval):
            expect_file(path)
        check_given(self.keys, "keys")
        if len(self.eval) not in (0, len(files)):
            raise OptionError(
                "eval", self.eval[-1], f"given {len(self.eval)} times for {len(files)} files of dev"
            )
        if self.corpus and self.keys:
            raise ProbeError(f"{argument('corpus')} and {argument('keys')}: expected one of them")
        check_audio_root(self.audio_root, self.corpus)


@with_options
def calibrate(systems: SystemPaths, options: Systems, folder: CalibrationFolder = None) -> None:
    """Turn scores into log-likelihood ratios: scale and offset from dev, several systems fused,
    measured on eval.

    Of one run they are left in it, for probe export and probe score. Prior-weighted logistic
    regression.

    \b
    probe calibrate results/demo.run
    probe calibrate wavlm.run hubert.run --out fused
    probe calibrate mine.dev.txt --eval mine.eval.txt --out calibrated
    """
    OUTPUTS.check(folder)
    are_runs = _are_runs(systems)
    if are_runs:
        options.check_runs(len(systems))
    else:
        options.check_files(systems)
    with status_line("Calibrating"):
        opened = (_of_runs if are_runs else _of_files)(systems, options)
        calibration = import_module("probing.calibration.systems")
        found = calibration.calibrate_systems(opened, options.prior)
    _print(found)
    if are_runs and len(systems) == 1 and folder is None:
        folder = import_module("probing.calibration.stored").place(systems[0], found.heads[0])
    if folder is not None:
        _write(found, folder)
        out.print(f"Picture: {folder / PICTURES[0]}", markup=False)
        out.print(f"Calibration: {folder / 'calibration.json'}", markup=False)


def _are_runs(systems: list[Path]) -> bool:
    """Whether the systems are runs; if not, all are score files."""
    runs = [path for path in systems if kind_of(path) == RUN]
    others = [path for path in systems if path not in runs]
    if runs and others:
        raise ProbeError(f"{runs[0]} is a run, and {others[0]} is none. Name runs, or score files")
    return bool(runs)


def _of_runs(folders: list[Path], options: Systems) -> list[System]:
    module = import_module("probing.calibration.systems")
    candidate = import_module("probing.serving.candidates").candidate
    heads: list[str | None] = [*options.head] or [None]
    if len(heads) == 1:
        heads *= len(folders)
    found = []
    for folder, head in zip(folders, heads, strict=True):
        run = import_module("probing.runs").Run(folder)
        found.append(module.system_of_run(run, candidate(run, name=head).name))
    return found


def _of_files(files: list[Path], options: Systems) -> list[System]:
    known = None
    if options.keys:
        known = import_module("probing.evaluation").read_keys(options.keys)
    if options.corpus:
        load_corpus = import_module("probing.corpora").load_corpus
        known = load_corpus(options.corpus, audio_root=options.audio_root).utterances
    system_of_files = import_module("probing.calibration.systems").system_of_files
    of_eval: list[Path | None] = [*options.eval] or [None] * len(files)
    return [system_of_files(*pair, known) for pair in zip(files, of_eval, strict=True)]


def _print(found: Calibrated) -> None:
    """Print what calibration changes, the ratio as a sum, and what is to be known of it."""
    print_whole(_shown(found))
    scales = zip(found.calibration.scales, found.systems, strict=True)
    terms = " ".join(f"{scale:+z.4g} x {name}" for scale, name in scales)
    out.print(f"\nLog-likelihood ratio: {found.calibration.offset:z.4g} {terms}", markup=False)
    for note in found.notes:
        console.print(f"Note: {note}.", markup=False)


def _write(found: Calibrated, folder: Path) -> None:
    """Write the calibration, its table, its picture and the calibrated scores."""
    stored = import_module("probing.calibration.stored")
    plots = import_module("analysis.plots.reliability")
    save_figure = import_module("analysis.plots.saving").save_figure
    write_scores = import_module("probing.scores.files").write_scores
    scores = {part: f"{part}.txt" for part in found.trials}
    with OUTPUTS.replaced(folder) as partial:
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


def _shown(found: Calibrated) -> Table:
    """A row for each system and part: what calibration keeps, and what it changes."""
    shown = Table(box=None, header_style="bold")
    shown.add_column("system")
    shown.add_column("part")
    for title in ("EER %", "minCllr", "Cllr", "calibrated", "minDCF", "actDCF", "calibrated"):
        shown.add_column(title, justify="right")
    for (name, part), rows in found.table.groupby(["system", "part"], sort=False):
        by = rows.set_index("of")
        after = by.loc["calibrated"]
        before = by.loc["scores"] if "scores" in by.index else None
        either = after if before is None else before
        shown.add_row(
            str(name),
            str(part),
            f"{100 * either['eer']:.2f}",
            f"{either['min_cllr']:.4f}",
            "" if before is None else f"{before['cllr']:.4f}",
            f"{after['cllr']:.4f}",
            f"{either['min_dcf']:.4f}",
            "" if before is None else f"{before['act_dcf']:.4f}",
            f"{after['act_dcf']:.4f}",
        )
    return shown
