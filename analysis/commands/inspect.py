"""The command `probe inspect`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import CACHE_AUDIO_HELP, Pictured
from analysis.commands.files import PICTURES, TABLES, check_suffix, save
from analysis.commands.parameters import with_options
from analysis.commands.printing import out
from analysis.commands.typed import refuse_idle
from analysis.runs.kinds import EXPORT, RUN, expect
from cache.errors import argument
from probing.devices import HELP as DEVICE_HELP
from probing.devices import find_device
from probing.options import option
from probing.progress import console, status_line

if TYPE_CHECKING:
    from analysis.inspection import Inspection


@dataclass(frozen=True)
class InspectOptions:
    """Which head speaks, where an id is looked up, and what is drawn beside.

    named: the head, see `probing.serving.choose_head`.
    folder: of the cache.

    >>> InspectOptions(named="linear-layer-06").device
    'cpu'
    """

    named: str | None = option(
        None,
        "As weighted-sum+linear-depth-06 or linear-layer-06 [default: as probe score].",
        metavar="NAME",
        flag="head",
    )
    folder: Path | None = option(
        None,
        "Where ids are looked up [default: the run's].",
        metavar="DIR",
        flag="cache",
        is_path=True,
    )
    audio_root: Path | None = option(None, CACHE_AUDIO_HELP, is_path=True)
    labels: Path | None = option(
        None,
        "Alignments that say what is where, as of probe sweep; drawn too.",
        metavar="FILE",
        is_path=True,
    )
    label_tier: str | None = option(None, "Tier of TextGrids.", metavar="NAME")
    device: str = option("cpu", DEVICE_HELP)

    def find(self, where: Path, utterance: str) -> "Inspection":
        """What the head of a run or an exported model says of an utterance."""
        if self.labels is None:
            labels = argument("labels")
            refuse_idle(
                "label_tier", self.label_tier, f"is of alignments, and no {labels} is given"
            )
        if Path(utterance).is_file():
            for name, value in (("folder", self.folder), ("audio_root", self.audio_root)):
                refuse_idle(name, value, f"is for an id, and {utterance} is a file")
        # refuses what cannot be inspected before PyTorch is loaded
        subject = import_module("analysis.inspection.subject").read_subject(
            where,
            utterance,
            head=self.named,
            cache=self.folder,
            audio_root=self.audio_root,
            labels=self.labels,
            label_tier=self.label_tier,
        )
        find_device(self.device)
        inspect_subject = import_module("analysis.inspection.utterance").inspect_subject
        with status_line("Inspecting"):
            found: Inspection = inspect_subject(subject, self.device)
        return found


@with_options
def inspect(
    where: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run, or a folder of probe export.")
    ],
    utterance: Annotated[
        str, typer.Argument(metavar="AUDIO_OR_ID", help="An audio file, or an id of the cache.")
    ],
    file: Pictured,
    options: InspectOptions,
) -> None:
    """Show which part of an utterance speaks for bona fide or for spoof.

    It is drawn under the waveform and the spectrogram.

    \b
    probe inspect results/demo.run recording.wav --out recording.png
    probe inspect results/demo.run SOME_ID --head linear-layer-04 --out some.png
    probe inspect ps.run SOME_ID --labels stretches.csv --out where.png
    """
    check_suffix(file, (*PICTURES, *TABLES))
    expect(where, RUN, EXPORT)
    found = options.find(where, utterance)
    out.print(
        f"{found.head}: {found.utterance}, log odds of bona fide {found.score:z.2f}", markup=False
    )
    if found.note:
        console.print(f"Note: {found.note}.", markup=False)
    picture = import_module("analysis.inspection").activation_picture
    save(file, lambda: picture(found)[0], found.activation)
