"""Merging: shards extracted by the jobs of an array become one cache, that of a single job."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cache.errors import FingerprintMismatch, ProbeError, argument, as_flag, quoted
from cache.fingerprint import differences
from cache.manifest import MANIFEST, PLACE_COLUMNS, Manifest, load_manifest
from cache.parts import Part, plan_id
from cache.reader import Cache
from cache.shard import Shard
from cache.table import load_table
from cache.writer import CacheWriter


def parts_beside(folder: Path) -> list[Path]:
    """The parts of a cache that are in their usual places, in order."""
    found = [
        path for path in folder.parent.iterdir() if path.name.startswith(f"{folder.name}.part-")
    ]
    return sorted(path for path in found if (path / MANIFEST).exists())


def merge(
    folder: Path,
    parts: Sequence[Path] = (),
    progress: Callable[[int], None] = lambda n_bytes: None,
    *,
    wait: float = 0.0,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Make one cache of all parts of it, the same that a single job would have made.

    Shards are linked if the file system can, which takes no space and leaves the parts readable,
    else copied and compared with their checksums. A merge that was stopped goes on.

    Args:
        folder: the cache to make.
        parts: the folders of all its parts, in any order; default those beside it.
        progress: called with the bytes of each shard.
        wait: seconds to wait for another process that is writing to the cache.
        say: called with a sentence on what is waited for.

    Returns:
        The parts.

    Raises:
        ProbeError: parts are missing, unfinished, given twice, no parts, or of different corpora or
            plans.
        FingerprintMismatch: they were made in different ways.
        CacheCorrupt: a shard is not as it was written.
    """
    parts = [Path(part) for part in parts] or parts_beside(folder)
    if not parts:
        raise ProbeError(
            f"{folder}: no parts beside it ({folder.name}.part-1-of-8, say). Make them: probe "
            f"extract {quoted(folder)} "
            f"{as_flag('part', '1/8')}, and so on; or name their folders."
        )
    manifests = {part: load_manifest(part) for part in parts}
    _check(folder, manifests)
    tables = {part: _finished_table(part) for part in parts}
    whole = pd.concat(
        [table for table in tables.values() if len(table)] or list(tables.values())[:1]
    )
    whole = whole.sort_values("utterance_id", kind="stable", ignore_index=True)
    first = manifests[parts[0]]
    plan = first.about["part"]["plan"]
    for found in (
        whole,
        load_table(folder, load_manifest(folder)) if (folder / MANIFEST).exists() else whole,
    ):
        if plan_id(found, first.measures) != plan:
            raise ProbeError(
                f"{folder}: holds other utterances than these parts. Name a new folder."
            )
    about = {name: value for name, value in first.about.items() if name != "part"}
    manifest = Manifest(
        first.fingerprint,
        first.layers,
        dim=first.dim,
        tiers=first.tiers,
        measures=first.measures,
        about=about,
    )
    corpus = whole.drop(columns=[*PLACE_COLUMNS, *first.measures])
    shard_of = dict(zip(whole["utterance_id"], whole["shard"], strict=True))
    with CacheWriter(folder, manifest, corpus, shard_of=shard_of, wait=wait, say=say) as writer:
        done = {record.index for record in writer.manifest.shards}
        for part, found in manifests.items():
            for record in found.shards:
                if record.index not in done:
                    if record.file is not None:
                        Shard(part, record, found)  # laid out as written, or CacheCorrupt
                    writer.adopt_shard(record, None if record.file is None else part / record.file)
                progress(record.bytes)
            if done.isdisjoint(record.index for record in found.shards):
                writer.manifest = replace(
                    writer.manifest, history=(*writer.manifest.history, *found.history)
                )
    cache = Cache(folder)
    if not cache.finished:
        raise ProbeError(
            f"{folder}: some shards cannot be read. Extract them again: probe cache repair "
            f"{quoted(folder)}"
        )
    return parts


def _finished_table(part: Path) -> pd.DataFrame:
    """The table of a part, which must be finished."""
    cache = Cache(part)
    mark = cache.about["part"]
    if not cache.finished:
        left = cache.n_planned - len(cache) - len(cache.failures)
        raise ProbeError(
            f"{part}: part {mark['number']}/{mark['of']} is unfinished, {left} of "
            f"{cache.n_planned} utterances to go. Run its command again, then merge."
        )
    return load_table(part, cache.manifest)


def _check(folder: Path, manifests: dict[Path, Manifest]) -> None:
    """Refuse what are not all parts of one cache, each once."""
    folder_of: dict[int, Path] = {}
    first_path, first = next(iter(manifests.items()))
    for path, manifest in manifests.items():
        mark = manifest.about.get("part")
        if not (isinstance(mark, dict) and {"number", "of", "plan", "utterances"} <= mark.keys()):
            raise ProbeError(
                f"{path}: is a cache, but no part of one: it was "
                f"extracted without {argument('part')}."
            )
        if path != first_path:
            _check_alike(first_path, first, path, manifest)
        if mark["number"] in folder_of:
            raise ProbeError(
                f"{folder_of[mark['number']]} and {path}: both are part "
                f"{mark['number']}/{mark['of']}. Name one."
            )
        folder_of[mark["number"]] = path
    of = first.about["part"]["of"]
    missing = [str(Part(number, of)) for number in range(1, of + 1) if number not in folder_of]
    if missing:
        raise ProbeError(
            f"{folder}: {len(missing)} of {of} parts are missing: {', '.join(missing[:9])}"
            f"{' ...' if len(missing) > 9 else ''}. Extract them: probe extract {quoted(folder)} "
            f"{as_flag('part', missing[0])} with the "
            "options of the others; or name their folders."
        )


def _check_alike(first_path: Path, first: Manifest, path: Path, other: Manifest) -> None:
    if found := differences(first.fingerprint, other.fingerprint):
        rows = "\n".join(f"  {entry.name}: {entry.first!r} and {entry.second!r}" for entry in found)
        raise FingerprintMismatch(
            f"{first_path} and {path}: made in different ways, so their numbers cannot be "
            f"mixed.\n{rows}\nExtract one of them again with the "
            "options and versions of the other."
        )
    one = first.about["part"]
    two = other.about["part"]
    if first.measures != other.measures:
        raise ProbeError(
            f"{first_path} and {path}: made by different versions. Extract one of them again."
        )
    if (one["of"], one["plan"]) != (two["of"], two["plan"]):
        raise ProbeError(
            f"{first_path} and {path}: not parts of one cache: {_described(first.about, one)}, and "
            f"{_described(other.about, two)}. Extract all parts with the same "
            f"{argument('corpus')}, {argument('split')} and {argument('shard_size')}."
        )


def _described(about: dict[str, Any], mark: dict[str, Any]) -> str:
    return (
        f"{mark['number']}/{mark['of']} of {about.get('corpus')}, {mark['utterances']} "
        f"utterances, plan {mark['plan']}"
    )
