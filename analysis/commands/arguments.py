"""Options of the commands that read a corpus or run a backbone."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.completion import corpora, corpora_of_run, devices
from analysis.commands.typed import refuse_idle
from cache.errors import argument
from probing.devices import HELP as DEVICE_HELP

DEMO_CACHE = Path("results/demo.cache")

CorpusSpec = Annotated[
    str,
    typer.Option(
        "--corpus",
        metavar="SPEC",
        autocompletion=corpora,
        help="'demo' (embedded); a manifest .csv, .tsv, .parquet or .jsonl with the column path "
        "and optionally label,utterance_id,speaker,attack,split and any others; NAME:ROOT, "
        "as asvspoof2019-la:ROOT; a folder of audio, with or without real and fake in it; or "
        "hf:NAME of Hugging Face; probe corpus list has the names.",
    ),
]
AUDIO_ROOT_HELP = "Folder that the paths of a manifest start from [default: the manifest's own]."
CACHE_AUDIO_HELP = "Folder of the cache's audio [default: where it was]."
CORPUS_NAME_HELP = "Of the corpora evaluated on, which [default: the first]."

AudioRoot = Annotated[
    Path | None,
    typer.Option("--audio-root", help=AUDIO_ROOT_HELP),
]
Device = Annotated[
    str,
    typer.Option(autocompletion=devices, help=DEVICE_HELP),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="Wait so long for another process that writes to this cache."
    ),
]
CorpusName = Annotated[
    str | None,
    typer.Option(metavar="NAME", autocompletion=corpora_of_run, help=CORPUS_NAME_HELP),
]

RunFolders = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or one folder with runs.")
]

CacheAudio = Annotated[
    Path | None,
    typer.Option("--audio-root", help=CACHE_AUDIO_HELP),
]

Seed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")]

CacheFolder = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of the cache.")]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, as analysis/README.md says, and no tables.")
]

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]

TableFile = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Table: .csv, .parquet, .tex or .md; - is csv."
    ),
]

Pictured = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Picture (.png, .svg, .pdf) or table (.csv, .parquet, .tex, .md); - is csv.",
    ),
]


def check_audio_root(audio_root: Path | None, corpus: str | None) -> None:
    """Refuse a folder of audio beside no corpus; `load_corpus` refuses one that has its own."""
    if corpus is None:
        why = f"is where the paths of {argument('corpus')} start, and there is none"
        refuse_idle("audio_root", audio_root, why)
