"""The command `probe tune`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import AUDIO_ROOT_HELP
from analysis.commands.files import check_folder
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import out
from analysis.commands.typed import given_by_file
from analysis.runs.companions import with_its_name
from analysis.runs.kinds import EXPORT, RUN, expect, kind_of
from cache.errors import OptionError, ProbeError
from cache.manifest import read_json
from probing.extraction.options import Options
from probing.options import check, command_line, option
from probing.progress import duration, size
from probing.runs.form import RECORD
from probing.targets.metrics import METRICS
from probing.targets.options import TargetOptions
from probing.tuning.options import TuneMachine, TuneOptions
from probing.tuning.source import OF_BACKBONE, OF_TARGET, Source

if TYPE_CHECKING:
    from probing.tuning import Tuned

LOG = "training.csv"
FirstRun = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="Folder of the run to start from.")
]
TunedFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Folder of the tuned model [default: NAME.tuned]."
    ),
]
TunedHead = Annotated[
    str | None,
    typer.Option(
        "--head",
        "--heads",
        metavar="NAME",
        help="Of the run, as weighted-sum+linear-depth-06 or its kind [default: that of its "
        "finding]; without a run a new one, MERGE+BACKEND.",
    ),
]
SkipEval = Annotated[bool, typer.Option("--skip-eval", help="Do not score eval in the end.")]
ReplaceTuned = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace a model tuned another way, or what a killed one left."
    ),
]


@dataclass(frozen=True)
class Beginning:
    """What a tuning starts from, beside a run; see `probing.tuning.source.Source`."""

    depth: int | None = option(None, "Blocks of the backbone to keep.", minimum=1)
    continued: Path | None = option(
        None,
        "Go on from a tuned or exported model, on the utterances of RUN, or else those "
        "it was tuned on. What is trained is not taken from it: all, if --train does not say.",
        metavar="DIR",
        flag="continue",
        is_path=True,
    )
    corpus: str | None = option(
        None, "Without a run: as probe extract, with splits train and dev.", metavar="SPEC"
    )
    audio_root: Path | None = option(None, AUDIO_ROOT_HELP, is_path=True)

    def __post_init__(self) -> None:
        check(self)


@with_options
def tune(
    run: FirstRun = None,
    folder: TunedFolder = None,
    *,
    head: TunedHead = None,
    start: Beginning,
    options: TuneOptions,
    machine: TuneMachine,
    backbone: Annotated[Options, Only(*OF_BACKBONE)],
    target: Annotated[TargetOptions, Only(*OF_TARGET)],
    skip_eval: SkipEval = False,
    overwrite: ReplaceTuned = False,
) -> None:
    """Fine-tune the first blocks of a backbone together with the head on them, and say what that
    gained.

    Starts from the head that a run trained on the cache of the frozen backbone, or from nothing.
    Writes a folder that probe score takes, and probe extract --backbone DIR, whose run probe
    compare puts beside the frozen one. A killed tuning goes on where it stopped. Several GPUs:
    accelerate launch -m analysis.commands.app tune ...

    \b
    probe tune results/demo.run --out tuned
    probe tune wavlm.run --depth 12 --train lora:8 --augment rawboost:5
    probe tune attm.run --recipe attm --batch 64 --accumulate 8 --precision bf16
    probe tune --backbone models/my-wavlm --corpus my.csv --heads weighted-sum+linear --depth 6
    probe tune --continue tuned --epochs 5 --out further
    """
    _check_given(run, start.continued, options)
    source = Source(run, head, options=backbone, target=target, **asdict(start))
    if folder is None:
        named = with_its_name(start.continued or run or Path(Path(backbone.backbone).name))
        folder = named.with_name(f"{named.name.removesuffix('.run')}.tuned")
    _check_place(folder, start.continued)
    source.check(given_by_file())
    tuned = import_module("probing.tuning").tune(
        source, folder, options, machine, overwrite=overwrite, with_eval=not skip_eval
    )
    if tuned is not None:
        _show(tuned, folder, run)


def _check_given(run: Path | None, continued: Path | None, options: TuneOptions) -> None:
    """Refuse what is no run or no model to go on from, and a rate of what is not trained."""
    if run is not None and kind_of(run) == EXPORT:
        again = command_line("probe", "tune", **{"continue": run})
        raise ProbeError(f"{run}: {EXPORT}, not {RUN}. To go on from it: {again}")
    for path, kind in ((run, RUN), (continued, EXPORT)):
        if path is not None:
            expect(path, kind)
    if options.trained.what == "head" and options.rate is not None:
        expected = "is of the backbone, of which nothing is trained"
        raise OptionError("rate", options.rate, expected)


def _check_place(folder: Path, continued: Path | None) -> None:
    """Refuse a folder that a tuned model cannot be written to."""
    check_folder(folder, own=EXPORT)
    if continued is not None and folder.resolve() == continued.resolve():
        raise OptionError("out", folder, "is the model to go on from. Name another folder")
    import_module("probing.serving.places").check_place(folder)


def _show(tuned: "Tuned", folder: Path, run: Path | None) -> None:
    """What it gained, and what to type next."""
    record = tuned.record
    metric = METRICS[record["dev"]["metric"]]
    before, after = (metric.text(record["dev"][name]) for name in ("started", "tuned"))
    out.print(
        f"dev {metric.called}: {before} as it started, {after} tuned; "
        f"{duration(record['seconds'])}, {size(record['memory_bytes'])} at most",
        markup=False,
    )
    if tuned.evaluated is not None:
        out.print(tuned.evaluated.sentence, markup=False)
    picture = import_module("analysis.plots.training").save_training_curve(folder)
    out.print(f"Tuned: {folder}\nTraining: {folder / LOG} and {picture}", markup=False)
    cache, of_tuned = (folder.with_name(f"{folder.name}.{kind}") for kind in ("cache", "run"))
    extract = command_line("probe", "extract", cache, backbone=folder, **tuned.how_extracted)
    frozen = run or record["source"].get("run")
    asked = _asked(record["source"].get("target") or _target_of(Path(frozen)))
    # the name of a run would have that of the target in it
    swept = {"out": of_tuned, **asked} if asked else {}
    steps = [command_line("probe", "sweep", cache, **swept)]
    if frozen is not None:
        steps.append(command_line("probe", "compare", frozen, of_tuned))
    lines = [extract, "; ".join(steps)]
    if "target" not in getattr(tuned.exported.head, "about", {}):  # else probe score refuses it
        lines.insert(0, f"{command_line('probe', 'score', folder)} AUDIO --out scores.txt")
    out.print("Next: " + "\n      ".join(lines), markup=False)


def _target_of(run: Path) -> Mapping[str, Any]:
    """What a run reads, as its record says."""
    found: Mapping[str, Any] = read_json(run / RECORD)["options"].get("target", {})
    return found


def _asked(target: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a target that are not as they are by default, as they are typed."""
    values_of = import_module("analysis.runs.rerun").values_of
    usual = values_of(TargetOptions, asdict(TargetOptions()))
    typed = values_of(TargetOptions, target)
    return {name: value for name, value in typed.items() if value != usual.get(name)}
