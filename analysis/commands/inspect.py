"""The command `probe inspect`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import CacheAudio, Device
from analysis.commands.files import PICTURES, TABLES, check_suffix, save
from analysis.commands.printing import out
from analysis.runs.kinds import EXPORT, RUN, expect, kind_of
from cache.errors import CacheMissing
from probing.progress import console, status_line


def inspect(
    where: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run, or a folder of probe export.")
    ],
    utterance: Annotated[
        str, typer.Argument(metavar="AUDIO_OR_ID", help="An audio file, or an id of the cache.")
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Picture (.png, .svg, .pdf) or table (.csv, .parquet); - is csv.",
        ),
    ],
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="As weighted-sum+linear-depth-06 or linear-layer-06 [default: as probe score].",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--cache", metavar="DIR", help="Where ids are looked up [default: the run's]."
        ),
    ] = None,
    audio_root: CacheAudio = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Alignments that say what is where, as of probe sweep; drawn too."
        ),
    ] = None,
    label_tier: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tier of TextGrids.")
    ] = None,
    device: Device = "cpu",
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
        _check_audio(where, folder, audio_root)
    with status_line("Inspecting"):
        module = import_module("analysis.inspection")
        found = module.inspect(
            where,
            utterance,
            head=head,
            cache=folder,
            audio_root=audio_root,
            labels=labels,
            label_tier=label_tier,
            device=device,
        )
    out.print(
        f"{found.head}: {found.utterance}, log odds of bona fide {found.score:z.2f}", markup=False
    )
    if found.note:
        console.print(f"Note: {found.note}.", markup=False)
    save(file, lambda: module.activation_picture(found)[0], found.activation)


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
