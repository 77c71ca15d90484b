"""The commands of `probe cache`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import AsJson, AudioRoot, Wait
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import out, print_counts, print_json
from analysis.commands.verify import verify_cache
from analysis.runs.kinds import CACHE, expect, refuse_other
from cache.errors import CacheCorrupt, quoted
from cache.manifest import load_manifest
from probing.corpora import load_corpus
from probing.extraction.machine import Machine
from probing.progress import console, duration, progress_line, several, size

if TYPE_CHECKING:
    import pandas as pd

    from cache import Cache

cache_app = typer.Typer(
    cls=InterruptibleGroup,
    help="Look at, check and mend a cache.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
CacheFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the cache.")]


@cache_app.command()
def info(folder: CacheFolder, as_json: AsJson = False) -> None:
    """Say what is in a cache and how it was made."""
    expect(folder, CACHE)
    opened = import_module("cache").Cache(folder)
    damage = _damage(opened)
    counts = _counts(opened)
    if as_json:
        print_json(_for_json(folder, opened, damage, counts))
        return
    out.print(f"{folder}: {_state(opened, damage)}")
    for name, value in _for_terminal(opened).items():
        out.print(f"{name:<14} {value}", markup=False)
    if counts is not None:
        print_counts(counts)
    if damage:
        console.print(damage, style="red", markup=False)


def _state(opened: "Cache", damage: str) -> str:
    """Whether a cache is whole, in words."""
    if damage:
        return "damaged"
    if opened.finished:
        return "finished"
    left = opened.n_planned - len(opened) - len(opened.failures)
    return f"unfinished: {left} to go"


def _counts(opened: "Cache") -> "pd.DataFrame | None":
    """The utterances of each split and label; None where a corpus has no such columns."""
    if not {"split", "label"} <= set(opened.utterances.columns):
        return None
    sizes = opened.utterances.astype(str).groupby(["split", "label"]).size()
    return sizes.rename("utterances").reset_index()


def _seconds(opened: "Cache") -> float:
    """Seconds of audio in a cache."""
    return float(opened.utterances["n_samples"].sum()) / 16_000


def _for_json(
    folder: Path, opened: "Cache", damage: str, counts: "pd.DataFrame | None"
) -> dict[str, Any]:
    """What `--json` prints of a cache."""
    return {
        "folder": str(folder),
        "id": opened.id,
        "finished": opened.finished,
        "damage": damage or None,
        "backbone": opened.about.get("backbone"),
        "corpus": opened.about.get("corpus"),
        "spec": opened.about.get("corpus_spec"),
        "utterances": len(opened),
        "planned": opened.n_planned,
        "failures": len(opened.failures),
        "seconds": _seconds(opened),
        "layers": list(opened.layers),
        "dim": opened.dim,
        "tiers": opened.tiers,
        "bytes": opened.n_bytes,
        "counts": [] if counts is None else counts,
        "fingerprint": opened.fingerprint,
    }


def _for_terminal(opened: "Cache") -> dict[str, Any]:
    """What the terminal shows of a cache, by the name of each row."""
    about = opened.about
    layers = import_module("cache.manifest").describe_layers(opened.layers)
    return {
        "backbone": about.get("backbone"),
        "corpus": f"{about.get('corpus')} ({about.get('corpus_spec')})",
        "utterances": f"{len(opened)} of {opened.n_planned}, "
        f"{len(opened.failures)} could not be used",
        "audio": duration(_seconds(opened)),
        "layers": f"{layers}, {opened.dim} wide",
        "tiers": ", ".join(f"{tier} ({dtype})" for tier, dtype in opened.tiers.items()),
        "size": f"{size(opened.n_bytes)} in {several(len(opened.manifest.shards), 'shard')}",
        "fingerprint": opened.id,
        **{f"  {key}": value for key, value in opened.fingerprint.items()},
    }


def _damage(opened: "Cache") -> str:
    """What is wrong with the size of a shard, which costs no read; empty if nothing is."""
    try:
        import_module("cache.places").check_shards(opened.folder, opened.manifest)
    except CacheCorrupt as error:
        return str(error)
    return ""


@cache_app.command()
def verify(folder: CacheFolder) -> None:
    """Read every byte of a cache again and name what is damaged; exit code 1 if anything is.

    Also: probe verify.
    """
    expect(folder, CACHE)
    verify_cache(folder)


@cache_app.command()
@with_options
def repair(
    folder: CacheFolder,
    corpus: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Where the corpus is now [default: where it was]."),
    ] = None,
    audio_root: AudioRoot = None,
    *,
    machine: Annotated[Machine, Only("device", "batch_size", "workers", "wait", "on_nonfinite")],
) -> None:
    """Extract again what is missing, damaged or failed before, and nothing else."""
    expect(folder, CACHE)
    load_manifest(folder)  # a damaged one is refused before a model is loaded
    found = load_corpus(corpus, audio_root=audio_root) if corpus else None
    import_module("probing.extraction").repair(folder, found, machine, audio_root=audio_root)


@cache_app.command()
def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the cache to make.")],
    parts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PART]...", help="Its parts [default: DIR.part-* beside it]."),
    ] = None,
    wait: Wait = 0,
) -> None:
    """Make one cache of the parts that `probe extract DIR --part I/N` made.

    It is the cache that a single job would have made. Shards are linked, which takes no space and
    no time, or copied where the file system has no links. Parts of other models, options or corpora
    are refused, so are unfinished ones.

    \b
    probe cache merge wavlm.cache                                            the parts are beside it
    probe cache merge wavlm.cache /scratch/a/wavlm.cache.part-*              or elsewhere
    """
    merging = import_module("cache.merging")
    manifest = import_module("cache.manifest")
    found = list(parts or merging.parts_beside(folder))
    for one in (folder, *found):
        refuse_other(one, CACHE)
    total = sum(record.bytes for part in found for record in manifest.load_manifest(part).shards)
    with progress_line("Merging", total, "bytes") as line:
        merging.merge(folder, found, line.advance, wait=wait, say=console.print)
    console.print(
        f"{folder}: {several(len(found), 'part')}, {size(total)}. The parts are no longer "
        f"needed: {found[0]} and so on."
    )
    console.print(
        f"Check every byte: probe cache verify {quoted(folder)}\nNext: probe sweep {quoted(folder)}"
    )
