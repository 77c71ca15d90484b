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
from analysis.runs.kinds import EXPORT, RUN, expect, kind_of
from cache.errors import CacheMissing
from probing.devices import HELP as DEVICE_HELP
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
        found: Inspection = import_module("analysis.inspection").inspect(
            where,
            utterance,
            head=self.named,
            cache=self.folder,
            audio_root=self.audio_root,
            labels=self.labels,
            label_tier=self.label_tier,
            device=self.device,
        )
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
    if not Path(utterance).is_file():
        _check_audio(where, options.folder, options.audio_root)
    with status_line("Inspecting"):
        found = options.find(where, utterance)
    out.print(
        f"{found.head}: {found.utterance}, log odds of bona fide {found.score:z.2f}", markup=False
    )
    if found.note:
        console.print(f"Note: {found.note}.", markup=False)
    picture = import_module("analysis.inspection").activation_picture
    save(file, lambda: picture(found)[0], found.activation)


def _check_audio(where: Path, folder: Path | None, audio_root: Path | None) -> None:
    """Refuse a cache whose audio is not there, before a model is loaded."""
    cache = None
    if folder is not None:
        cache = import_module("cache").Cache(folder)
    elif kind_of(where) == RUN:
        runs = import_module("probing.runs")
        try:
            cache = runs.find_cache(runs.Run(where))
        except CacheMissing:
            return  # which is said with the id that needs it
    if cache is not None:
        import_module("probing.corpora.cached").audio_of(cache, audio_root)
