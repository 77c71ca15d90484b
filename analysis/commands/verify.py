"""The command `probe verify`, of caches, runs and exports alike."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.printing import out, several
from cache.errors import ProbeError, quoted
from cache.manifest import MANIFEST
from probing.progress import progress_line, size

if TYPE_CHECKING:
    from cache.verification import Fault


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A cache, a run, or a folder of export.")
    ],
) -> None:
    """Read every byte again and name what is damaged; exit code 1 if anything is.

    Files that you added are left out, so are figures and report.html, which can be made again.

    \b
    probe verify results/demo.cache
    probe verify results/demo.run
    """
    if (folder / MANIFEST).exists() or not folder.is_dir():
        return verify_cache(folder)
    sealing = import_module("probing.sealing")
    found = [name for name in sealing.RECORDS if (folder / name).is_file()]
    if not found:
        raise ProbeError(
            f"{folder}: neither a cache nor a run nor an export ({MANIFEST}, "
            f"{', '.join(sealing.RECORDS)})"
        )
    try:
        files = sealing.read_record(folder / found[0])[1]
    except (OSError, ValueError) as error:
        raise ProbeError(
            f"{folder / found[0]}: damaged ({error}). Restore it from a copy, or make it again"
        ) from None
    if files is None:
        out.print(
            f"{folder}: made by a version that kept no checksums, so nothing can be compared",
            markup=False,
        )
        return
    total = sum(n_bytes for n_bytes, _ in files.values())
    with progress_line("Verifying", total, "bytes") as line:
        faults = sealing.faults_of(folder, found[0], line.advance) or []
    command = (
        f"probe sweep CACHE --out {quoted(folder)}"
        if found[0] == "run.json"
        else f"probe export RUN {quoted(folder)}"
    )
    _tell(folder, faults, total, f"Restore them from a copy, or make it again: {command}")


def verify_cache(folder: Path) -> None:
    """Read every byte of a cache again; see `verify`."""
    store = import_module("cache")
    total = sum(
        record.bytes for record in import_module("cache.manifest").load_manifest(folder).shards
    )
    with progress_line("Verifying", total, "bytes") as line:
        faults = store.verify(folder, line.advance)
    _tell(folder, faults, total, f"Mend them: probe cache repair {quoted(folder)}")


def _tell(folder: Path, faults: Sequence[Fault], total: int, advice: str) -> None:
    for fault in faults:
        names = ", ".join(fault.utterance_ids[:5]) + (
            " ..." if len(fault.utterance_ids) > 5 else ""
        )
        who = (
            f" ({several(len(fault.utterance_ids), 'utterance')}: {names})"
            if fault.utterance_ids
            else ""
        )
        out.print(f"{fault.file}: {fault.what}{who}", markup=False)
    if faults:
        out.print(f"{several(len(faults), 'fault')}. {advice}", markup=False)
        raise typer.Exit(1)
    out.print(f"{folder}: sound, {size(total)} read", markup=False)
