"""The command `probe sweep`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import DEMO_CACHE
from analysis.commands.files import check_outside
from analysis.commands.folders import check_run_place
from analysis.commands.parameters import with_options
from analysis.commands.printing import layers_shown, out, print_corpora, print_layers, print_plan
from analysis.commands.tables import TableFiles
from analysis.runs.companions import with_its_name
from analysis.runs.kinds import CACHE, RUN, expect
from cache.errors import OptionError, quoted
from probing.devices import HELP as DEVICE_HELP
from probing.heads.kinds import import_heads
from probing.options import option
from probing.progress import status_line
from probing.sweep.options import SweepOptions
from probing.targets.metrics import BINARY
from probing.targets.options import TargetOptions

if TYPE_CHECKING:
    from cache import Cache
    from probing.runs import Run
    from probing.sweep.split import Split

DEMO_RUN = Path("results/demo.run")
SweptCache = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CACHE]",
        help="Folder of the cache [default: that of --train, else results/demo.cache].",
    ),
]
RunPlace = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="The run's [default: beside the cache, NAME[.TARGET].run].",
    ),
]
SweepMemory = Annotated[
    float, typer.Option(min=0.5, help="Most memory for features and heads, beside the program.")
]


@dataclass(frozen=True)
class Course:
    """How a sweep is run, and what is shown beside its result."""

    device: str = option("cpu", DEVICE_HELP)
    compare: tuple[Path, ...] = option(
        (),
        "Draw this run on the same utterances beside it; may be given again.",
        metavar="RUN",
        many=True,
        is_path=True,
    )
    plan: bool = option(False, "Only say what this corpus can show about depth; trains nothing.")
    overwrite: bool = option(False, "Train anew; replaces any run.")
    track: str = option(
        "none",
        "tensorboard: also write the training of heads by epoch there, in RUN.tracking; or none.",
        metavar="NAME",
    )
    strict: bool = option(
        False, "Refuse parts that share a speaker or a recording, before training."
    )

    def sweep(self, cache: "Cache", folder: Path, options: SweepOptions, **how: Any) -> "Run":
        """Sweep a cache, anew if asked for; else what is finished is kept."""
        module = import_module("probing.sweep")
        how |= {"device": self.device, "strict": self.strict}
        if self.overwrite:
            made: Run = module.sweep(cache, folder, options, overwrite=True, **how)
        else:
            made = module.sweep_once(cache, folder, options, **how)
        return made


@with_options
def sweep(
    folder: SweptCache = None,
    run: RunPlace = None,
    *,
    options: SweepOptions,
    tables: TableFiles,
    memory_gb: SweepMemory = 2.0,
    course: Course,
) -> None:
    """Train a linear probe per layer and heads on the first k layers, and draw the curves.

    What is read: bona fide against spoof, or any --target: two classes, many, or a number.
    Probes: class-balanced logistic regression (ridge regression of numbers) on mean and standard
    deviation over time, strength chosen on dev, with two controls: shuffled labels, and features
    that say nothing about speech. Heads: merges of layers 1..k for every k, all trained from one
    read of the cache; the smallest depth that is not worse than full depth is named. A killed sweep
    goes on where it stopped, and a finished one is shown again. Writes a run folder: results.csv,
    scores, heads, figures, report.html.

    \b
    probe sweep
    probe sweep mine.cache --target speaker --split-by utterance_id
    probe sweep mine.cache --labels ages.csv --target age --split-by speaker --folds 5
    probe sweep mine.cache --target gender --positive F
    probe sweep mine.cache --heads none --strengths 0.001,0.1
    probe sweep mine.cache --plan --margin 2pt
    probe sweep mine.cache --tier frames --recipe attm --heads attentive-compact+lstm --depths 6,12
    probe sweep wavlm.cache --out wavlm.run --compare random.run
    probe sweep la19.cache --by attack --unseen-attacks
    probe sweep la19.cache --eval eval --eval la21.cache --eval df21.cache:eval --by attack,codec
    """
    if folder is None:
        folder = Path(options.train.rpartition(":")[0]) if ":" in options.train else DEMO_CACHE
    run = run or _run_of(folder, options.target)
    _check_given(run, options, course, tables)
    expect(folder, CACHE)
    others = _open_runs(course.compare)
    from cache import Cache

    cache = Cache(folder)
    tables.check_not_corpus(cache.about.get("corpus_spec", ""))
    splits = options.splits(cache)
    options.depths.check(splits["train"].cache)
    if course.plan:
        return _print_plan(options, splits["eval"])
    _check_same_utterances(splits, others)
    made = course.sweep(cache, run, options, splits=splits, memory_gb=memory_gb)
    _show(made, others, tables)
    _track(made, course)


def _check_given(run: Path, options: SweepOptions, course: Course, tables: TableFiles) -> None:
    """Refuse places, heads and a tracker that cannot be, before a cache is opened."""
    check_outside(run)
    if not course.plan:
        check_run_place(run)
    import_heads(options.depths.heads)
    if course.track != "none":
        import_module("probing.sweep.training_log").check_tracker(course.track)
    tables.check()


def _track(made: "Run", course: Course) -> None:
    """Write how heads were trained for the tracker that was named."""
    if course.track != "none":
        place = made.folder.with_name(f"{made.folder.name}.tracking")
        import_module("probing.sweep.training_log").track(made.folder, place)
        out.print(f"Training: tensorboard --logdir {quoted(place)}", markup=False)


def _run_of(cache: Path, target: TargetOptions) -> Path:
    """Where the run of a cache is written if nothing else was typed."""
    if cache == DEMO_CACHE:
        run = DEMO_RUN
    else:
        cache = with_its_name(cache)
        run = cache.parent / f"{cache.name.removesuffix('.cache')}.run"
    if target != TargetOptions():
        run = run.with_name(f"{run.stem}.{_as_name(target.target)}.run")
    return run


def _check_same_utterances(splits: "dict[str, Split]", others: "Sequence[Run]") -> None:
    """Refuse runs to draw beside this one that are of other utterances, before any training."""
    if others:
        from analysis.runs.protocols import check_same_utterances
        from probing.sweep.split import identity

        for other in others:
            check_same_utterances(identity(splits), other)


def _as_name(target: str) -> str:
    """The name of a target as part of the name of a folder."""
    return re.sub(r"[^\w-]+", "-", target)


def _open_runs(folders: Sequence[Path]) -> "list[Run]":
    for folder in folders:
        expect(folder, RUN)
    from probing.runs import Run

    return [Run(folder) for folder in folders]


def _print_plan(options: SweepOptions, split: "Split") -> None:
    """What the corpus can show, on the terminal."""
    from probing.sweep.planning import plan

    if split.task.name != BINARY:
        raise OptionError(
            "plan",
            True,
            f"speaks of error rates of two classes, and the target is {split.task.target}",
        )
    print_plan(
        plan(split.bonafide, split.clusters(options.interval_by), options.margin, seed=options.seed)
    )


def _show(run: "Run", others: "Sequence[Run]", tables: TableFiles) -> None:
    """The result on the terminal, and the files it is in."""
    from analysis.plots import terminal
    from analysis.reports import report

    with status_line("Drawing"):
        pictures, page = report.save_all(run, others)
    layers, chosen = report.layer_table(run), str(run.record.finding.layer)
    print_layers(layers, chosen, run.metric)
    if len(run.corpora) > 1:
        print_corpora(report.corpora_table(run), run.metric)
    ascii_only = not terminal.shows_lines(out.encoding)
    out.print(
        f"\n{terminal.text_curve(run, width=min(80, out.width), ascii_only=ascii_only)}",
        markup=False,
    )
    out.print(f"\n{run.sentence}\n", markup=False)
    tables.write(
        layers.reset_index(),
        layers_shown(layers, chosen, run.metric),
        f"{run.metric.axis} of linear probes",
    )
    shown = [path for path in pictures if path.endswith(".png")]
    out.print(
        f"Picture: {' and '.join(shown)}\nReport:  {page}\nResults: {run.folder / 'results.csv'}"
    )
