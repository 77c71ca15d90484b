"""The command `probe score`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import AUDIO_ROOT_HELP, check_audio_root
from analysis.commands.files import check_one_output, is_output, written_out
from analysis.commands.parameters import with_options
from analysis.commands.printing import out, print_json
from analysis.commands.verdicts import print_threshold, print_verdicts, rates_in_words
from analysis.runs.kinds import CACHE, EXPORT, RUN, expect, refuse_other
from cache.errors import ProbeError
from cache.manifest import MANIFEST
from probing.devices import HELP as DEVICE_HELP
from probing.devices import find_device
from probing.options import option
from probing.progress import console
from probing.scores.names import VERDICT_FILES, check_output
from probing.scores.options import ScoreOptions

if TYPE_CHECKING:
    from probing.serving.inputs import Result


ModelFolder = Annotated[
    Path, typer.Argument(metavar="WHERE", help="A run, or a folder of probe export.")
]
Inputs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[INPUT...]",
        help="One cache, or audio files and folders of them; or give --corpus.",
    ),
]
ScoreFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Score file; of audio also .csv or .json, of verdicts; - prints scores.",
    ),
]
ScoresAsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print as JSON: verdicts on audio, or else the figures of each split."
    ),
]


@dataclass(frozen=True)
class Source:
    """A corpus to score instead of inputs, and where audio is run.

    spec: of the corpus, as `probing.corpora.load_corpus` takes it.

    >>> Source(spec="demo").device
    'cpu'
    """

    spec: str | None = option(
        None,
        "Score the audio of a corpus, as probe extract --corpus, under its ids.",
        metavar="SPEC",
        flag="corpus",
    )
    audio_root: Path | None = option(None, AUDIO_ROOT_HELP, is_path=True)
    device: str = option("cpu", DEVICE_HELP)

    def score(
        self, where: Path, inputs: Sequence[Path], place: Path | None, options: ScoreOptions
    ) -> "Result":
        """Score the inputs, or the corpus, with a model, and say what cannot be used."""
        check_audio_root(self.audio_root, self.spec)
        # refuses what the records rule out before PyTorch is loaded
        source = import_module("probing.serving.source").read_source(
            where, inputs, place, options, corpus=self.spec, audio_root=self.audio_root
        )
        find_device(self.device)
        found: Result = import_module("probing.serving.inputs").score_source(
            where,
            source,
            place,
            options,
            device=self.device,
            on_failure=lambda name, reason: console.print(
                f"{name}: {reason}; left out", markup=False
            ),
        )
        return found


@with_options
def score(
    where: ModelFolder,
    inputs: Inputs = None,
    file: ScoreFile = None,
    *,
    options: ScoreOptions,
    as_json: ScoresAsJson = False,
    source: Source,
) -> None:
    """Score audio, a corpus or a cache with a trained head, higher for bona fide.

    Audio has a verdict: likelihood ratio, probability and decision, beside the errors measured on
    dev and eval, and a warning where a clip is unlike the training clips. With labels, the errors
    of each split are printed. Audio that cannot be used is named and left out.

    \b
    probe score results/demo.run clip.wav
    probe score small recordings extra.wav --false-alarm 1% --out verdicts.csv
    probe score results/demo.run results/demo.cache --split eval --out scores.txt
    probe score small --corpus asvspoof2019-la:/data/asvspoof2019 --split eval --out scores.txt
    probe score results/demo.run clip.wav --smooth 8 --noise-snr 20
    """
    on_audio = not source.spec and not any((path / MANIFEST).is_file() for path in inputs or ())
    check_one_output(file, as_json)
    check_output(file, options.form, verdicts=on_audio)
    _check_there(where, inputs or ())
    with written_out(file, "scores.txt") as place:
        found = source.score(where, inputs or [], place, options)
    if as_json:
        _print_json(found)
        return
    _print(found)
    if file is not None and not is_output(file):
        kind = "Verdicts" if on_audio and file.suffix.lower() in VERDICT_FILES else "Scores"
        out.print(f"{kind}: {file}", markup=False)


def _check_there(where: Path, inputs: Sequence[Path]) -> None:
    """Refuse what is no run or export, and inputs that are not there, before a model is read."""
    expect(where, RUN, EXPORT)
    for path in inputs:
        refuse_other(path, CACHE, "audio")
        if not path.exists():
            raise ProbeError(
                f"{path}: no such file or folder. Name a cache, audio files, or folders of them"
            )


def _print(found: "Result") -> None:
    """Print verdicts on audio, or the errors of each split, and how many were scored."""
    if found.verdicts is not None:
        print_verdicts(found.verdicts)
        out.print("")
    elif found.rates and found.threshold is not None:
        print_threshold(found.threshold)
    for name, evaluation in found.evaluations.items():
        out.print(f"EER of {name}: {evaluation.sentence.removeprefix('EER ')}", markup=False)
        if name in found.rates:
            out.print(
                f"  At the threshold of dev: {rates_in_words(found.rates[name])}", markup=False
            )
    if found.left:
        counted = ", ".join(f"{n:,} at {depth}" for depth, n in sorted(found.left.items()))
        mean = sum(depth * n for depth, n in found.left.items()) / sum(found.left.values())
        out.print(f"Blocks after which clips left: {mean:.1f} on average ({counted})")
    left = f", {found.left_out} left out" if found.left_out else ""
    out.print(f"{found.head}: {found.scored} scored{left}", markup=False)


def _print_json(found: "Result") -> None:
    """Print verdicts on audio, or the figures of each split at the threshold and without."""
    if found.verdicts is not None:
        out.print(found.verdicts.json(), markup=False, soft_wrap=True)
        return
    rates = {
        name: {"miss": one.miss, "false_alarm": one.false_alarm, **asdict(one)}
        for name, one in found.rates.items()
    }
    threshold = found.threshold
    shown = threshold and {
        "score": threshold.value,
        "ratio": threshold.ratio,
        "chosen": threshold.chosen,
    }
    splits = {
        name: {"figures": one.table, "sentence": one.sentence, "at_threshold": rates.get(name)}
        for name, one in found.evaluations.items()
    }
    counts = {
        "head": found.head,
        "scored": found.scored,
        "left_out": found.left_out,
        "exits": found.left,
    }
    print_json({**counts, "threshold": shown, "splits": splits})
