"""The commands of `probe corpus`."""

from importlib import import_module
from typing import Annotated

import typer

from analysis.commands.arguments import AudioRoot
from analysis.commands.files import check_given_folder
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.printing import out, print_counts
from probing.progress import progress_line, several

CheckedCorpus = Annotated[
    str, typer.Argument(metavar="SPEC", help="NAME:ROOT, or a manifest; as --corpus of extract.")
]
WithAudio = Annotated[
    bool, typer.Option("--audio", help="Also decode every file and name those of no use.")
]
DecodingThreads = Annotated[int, typer.Option(min=1, help="Decoding threads.")]

corpus_app = typer.Typer(
    cls=InterruptibleGroup,
    help="List the corpora known by name, and check one.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


@corpus_app.command("list")
def list_corpora() -> None:
    """Name the corpora that --corpus reads.

    \b
    probe corpus list
    """
    for name, known in import_module("probing.corpora").KNOWN.items():
        out.print(f"{name + ':ROOT':<21} {known.help}", markup=False)
    out.print(f"{'demo':<21} embedded, human and synthetic speech; train, dev, eval")
    out.print(
        f"{'hf:NAME or hf:FOLDER':<21} a data set of Hugging Face; "
        ",label=COLUMN behind it (extra: datasets)"
    )
    out.print(
        f"{'my/manifest.csv':<21} your own table with the "
        "column path (.csv, .tsv, .parquet, .jsonl)"
    )


@corpus_app.command()
def check(
    spec: CheckedCorpus,
    audio_root: AudioRoot = None,
    audio: WithAudio = False,
    workers: DecodingThreads = 2,
) -> None:
    """Compare a corpus with the published counts, name what is missing, and say where to get it;
    exit code 1 then.

    \b
    probe corpus check asvspoof2019-la:/data/la
    probe corpus check my/manifest.csv --audio
    """
    check_given_folder(audio_root, "audio_root")
    checking = import_module("probing.corpora.check")
    found = checking.check_corpus(spec, audio_root=audio_root)
    faults = list(found.faults)
    if audio and found.there is not None:
        with progress_line("Decoding", len(found.there), "files") as line:
            faults += checking.unusable(found.there, workers, line.advance)
    print_counts(found.counts)
    for note in found.there.notes if found.there else ():
        out.print(f"Note: {note}", markup=False)
    for fault in faults:
        out.print(fault, markup=False)
    if faults:
        get = (
            f"To get: {found.download}"
            if found.download
            else "Mend the manifest, or say --audio-root."
        )
        out.print(f"{spec}: {several(len(faults), 'fault')}. {get}", markup=False)
        raise typer.Exit(1)
    out.print(f"{spec}: all is there", markup=False)
