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
from cache.errors import CacheCorrupt, CacheMissing, ProbeError, quoted
from cache.manifest import MANIFEST, Manifest, load_manifest
from probing.corpora import load_corpus, read_corpus
from probing.devices import find_device
from probing.extraction.machine import Machine
from probing.extraction.options import Options
from probing.progress import console, duration, progress_line, several, size

if TYPE_CHECKING:
    import pandas as pd

    from cache import Cache
    from probing.corpora import Corpus

cache_app = typer.Typer(
    cls=InterruptibleGroup,
    help="Look at, check and mend a cache.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
MOST_NAMED = 3  # caches that a refusal names
CacheFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the cache.")]


def _expect_cache(folder: Path) -> None:
    """Raise ProbeError where there is no cache to look at or to mend, and name those beside it."""
    try:
        expect(folder, CACHE)
    except CacheMissing:
        there = sorted(path.parent.name for path in folder.absolute().parent.glob(f"*/{MANIFEST}"))
        beside = ", ".join(quoted(folder.parent / name) for name in there[:MOST_NAMED])
        advice = f"Name a cache, as {beside}" if there else "Name a cache, which probe extract made"
        raise CacheMissing(f"{folder}: no cache here (no {MANIFEST}). {advice}") from None


@cache_app.command()
def info(folder: CacheFolder, as_json: AsJson = False) -> None:
    """Say what is in a cache and how it was made.

    \b
    probe cache info results/demo.cache
    probe cache info results/demo.cache --json
    """
    _expect_cache(folder)
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

    \b
    probe cache verify results/demo.cache
    """
    _expect_cache(folder)
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
    """Extract again what is missing, damaged or failed before, and nothing else.

    \b
    probe cache repair results/demo.cache
    probe cache repair mine.cache --audio-root /data/mine
    probe cache repair la.cache --corpus asvspoof2019-la:/data/asvspoof2019
    """
    _expect_cache(folder)
    manifest = load_manifest(folder)  # a damaged one is refused before a model is loaded
    found = load_corpus(corpus, audio_root=audio_root) if corpus else None
    spec = manifest.about.get("corpus_spec")
    if spec == "demo" and not corpus:
        read_corpus(spec, audio_root=audio_root)  # refuses audio elsewhere
    _check_made(folder, manifest)
    _check_corpus(folder, manifest, found, audio_root)
    find_device(machine.device)
    import_module("probing.extraction").repair(folder, found, machine, audio_root=audio_root)


def _check_made(folder: Path, manifest: Manifest) -> None:
    """Refuse a cache whose model is not there, or that does not say how it was extracted."""
    if not (made := manifest.about.get("options")):
        raise ProbeError(
            f"{folder}: does not say how it was extracted, so that nothing of it can be extracted "
            "again. Restore it from a copy"
        )
    Options(**made).check_backbone()


def _check_corpus(
    folder: Path, manifest: Manifest, found: "Corpus | None", audio_root: Path | None
) -> None:
    """Refuse a corpus that is another than the cache has, or whose audio is not there."""
    table = import_module("cache.table")  # which imports pandas
    if not table.table_is_whole(folder, manifest):
        return
    known = table.load_table(folder, manifest)
    if found is None:
        find_audio = import_module("probing.corpora.cached").find_audio
        find_audio(folder, manifest.about, known, audio_root)
        return
    table.check_unchanged(known, found.utterances)


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
    probe cache merge wavlm.cache
    probe cache merge wavlm.cache /scratch/a/wavlm.cache.part-* /scratch/b/wavlm.cache.part-*
    """
    merging = import_module("cache.merging")
    manifest = import_module("cache.manifest")
    refuse_other(folder, CACHE)
    found = list(parts or merging.parts_beside(folder))
    for part in found:
        _expect_cache(part)
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
