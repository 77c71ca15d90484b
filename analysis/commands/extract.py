"""The command `probe extract`."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.arguments import DEMO_CACHE, AudioRoot, CorpusSpec
from analysis.commands.files import check_outside
from analysis.commands.parameters import with_options
from analysis.commands.typed import given_by_file
from cache.errors import OptionError, ProbeError, argument, quoted
from cache.parts import Part
from probing.corpora import load_corpus
from probing.extraction.machine import Cluster, Machine
from probing.extraction.options import Options
from probing.labels import are_of_spoofing
from probing.options import command_line, one_of, option
from probing.progress import console
from probing.speakers import known_speakers

if TYPE_CHECKING:
    from cache import Cache
    from probing.corpora import Corpus

ENGINES = ("local", "ray")
MadeCache = Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the cache.")]
Splits = Annotated[
    list[str] | None,
    typer.Option("--split", help="Only this split; may be given again. Run again to add others."),
]


@dataclass(frozen=True)
class Job:
    """Which share of the utterances is extracted, by whom, and whether at all.

    >>> Job(engine="slurm")
    Traceback (most recent call last):
    cache.errors.OptionError: engine=slurm: expected local or ray
    """

    part: str | None = option(
        None,
        "Only share I of N, into DIR.part-I-of-N, for job arrays; then probe cache merge.",
        metavar="I/N",
    )
    engine: str = option(
        "local", "local, or ray: the GPUs or CPUs of a Ray cluster (pip extra 'ray')."
    )
    cluster: Cluster = field(default_factory=Cluster)
    strict: bool = option(False, "Stop at the first utterance that cannot be used.")
    dry_run: bool = option(
        False,
        "Say what it will take of disk and time on this machine; exit code 2 if too much.",
    )

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise OptionError("engine", self.engine, f"expected {one_of(ENGINES)}")
        if self.engine == "local" and self.cluster != Cluster():
            raise ProbeError(
                f"{argument('address')} and {argument('actors')} are of a Ray cluster. Add "
                f"{argument('engine', 'ray')}, or leave them out."
            )


@with_options
def extract(
    folder: MadeCache = DEMO_CACHE,
    corpus: CorpusSpec = "demo",
    audio_root: AudioRoot = None,
    split: Splits = None,
    *,
    options: Options,
    machine: Machine,
    job: Job,
) -> None:
    """Run a backbone over a corpus once and cache every hidden layer.

    The same command again goes on where it stopped, also after a kill or a full disk. Utterances
    that cannot be used go to failures.csv with the reason. Without arguments it is the demo, about
    a minute on 2 cores.

    \b
    probe extract
    probe extract wavlm.cache --backbone microsoft/wavlm-large --corpus asvspoof2019-la:/data/la
    probe extract mine.cache --backbone models/my-hubert --corpus my/manifest.csv --frames
    probe extract mine.cache --corpus my/manifest.csv --engine ray --address auto
    probe extract mine.cache --corpus my/manifest.csv --part 1/8
    """
    share = None if job.part is None else Part.parse(job.part)
    check_outside(folder, "folder")
    options.check_used(given_by_file())
    options.check_backbone()
    table = load_corpus(corpus, audio_root=audio_root, splits=split)
    import_module("probing.extraction.planning").check_place(folder, table, share)
    console.print(f"Loading {options.backbone} ...")
    from probing import extraction  # from here on it takes seconds

    if job.dry_run:
        extraction.rehearse(folder, table, options, machine, part=share)
        return
    made = _run(folder, table, options, machine, share=share, job=job)
    if share is not None:
        console.print(f"When all parts are done: probe cache merge {quoted(folder)}")
        return
    # the splits of earlier commands too
    console.print(f"Next: {next_command(folder, made if len(made) else table, options.frames)}")


def _run(
    folder: Path,
    table: "Corpus",
    options: Options,
    machine: Machine,
    *,
    share: Part | None,
    job: Job,
) -> "Cache":
    """Extract, on this machine or on a cluster."""
    from probing import extraction

    if job.engine == "ray":
        return extraction.extract_on_cluster(
            folder,
            table,
            options=options,
            machine=machine,
            cluster=job.cluster,
            part=share,
            strict=job.strict,
        )
    return extraction.extract(folder, table, options, machine, part=share, strict=job.strict)


def next_command(folder: Path, there: "Corpus | Cache", frames: bool) -> str:
    """The command that a cache is for, by the splits, labels and speakers that are there."""
    utterances = there.utterances
    target = None if are_of_spoofing(utterances["label"]) else "COLUMN"
    tier = "frames" if frames else None
    splits = set(utterances["split"])
    if "train" in splits:
        return command_line("probe", "sweep", folder, tier=tier, target=target)
    if splits & {"dev", "eval"}:
        name = "eval" if "eval" in splits else "dev"
        swept = command_line(
            "probe", "sweep", "TRAINED.cache", eval=["eval", f"{folder}:{name}"], tier=tier
        )
        return (
            f"{swept}\n      "
            f"{command_line('probe', 'score', 'RUN', folder, split=name, out='scores.txt')}"
        )
    split_by = "speaker" if known_speakers(utterances["speaker"]).all() else "utterance_id"
    return command_line("probe", "sweep", folder, split_by=split_by, tier=tier, target=target)
