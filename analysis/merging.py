"""`probe cache merge`: one cache of the parts that the jobs of an array made."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from probing.progress import console, progress_line, size


def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the cache to make.")],
    parts: Annotated[
        list[Path] | None, typer.Argument(metavar="[PART]...", help="Its parts [default: DIR.part-* beside it].")
    ] = None,
) -> None:
    """Make one cache of the parts that `probe extract DIR --part I/N` made.

    It is the cache that a single job would have made. Shards are linked, which takes no space and no time, or copied
    where the file system has no links. Parts of other models, options or corpora are refused, so are unfinished ones.

    \b
    probe cache merge wavlm.cache                                            the parts are beside it
    probe cache merge wavlm.cache /scratch/a/wavlm.cache.part-*              or elsewhere
    """
    merging, manifest = import_module("cache.merging"), import_module("cache.manifest")
    found = list(parts or merging.parts_beside(folder))
    total = sum(record.bytes for part in found for record in manifest.load_manifest(part).shards)
    with progress_line("Merging", total, "bytes") as line:
        merging.merge(folder, found, line.advance)
    console.print(f"{folder}: {len(found)} parts, {size(total)}. The parts are no longer needed: {found[0]} and so on.")
    console.print(f"Check every byte: probe cache verify {folder}\nNext: probe sweep {folder}")
