"""The command `probe verify`, of caches, runs and exports alike."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.printing import out
from cache.errors import CacheCorrupt, ProbeError, as_flag, quoted
from cache.manifest import MANIFEST, load_manifest
from probing.progress import progress_line, several, size

if TYPE_CHECKING:
    from cache.verification import Fault

SHOWN = 5  # utterances that a fault names


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
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no such folder"
        raise ProbeError(f"{folder}: {what}. Name a cache, a run or a folder of probe export")
    if (folder / MANIFEST).exists():
        return verify_cache(folder)
    record = _record_of(folder)
    advice = _how_to_mend(folder, record)
    files = _files_of(folder, record, advice)
    if files is None:
        out.print(
            f"{folder}: made by a version that kept no checksums, so nothing can be compared",
            markup=False,
        )
        return
    total = sum(n_bytes for n_bytes, _ in files.values())
    with progress_line("Verifying", total, "bytes") as line:
        faults = import_module("probing.sealing").faults_of(folder, record, line.advance) or []
    _conclude(folder, faults, total, advice)


def _record_of(folder: Path) -> str:
    """The name of the file that records what a run or an export is made of."""
    records = import_module("probing.sealing").RECORDS
    found = [name for name in records if (folder / name).is_file()]
    if not found:
        raise ProbeError(
            f"{folder}: neither a cache nor a run nor an export ({MANIFEST}, {', '.join(records)})"
        )
    return str(found[0])


def _how_to_mend(folder: Path, record: str) -> str:
    """What to do about a damaged run or export."""
    again = (
        f"probe sweep CACHE {as_flag('out', str(folder))}"
        if record == "run.json"
        else f"probe export RUN {quoted(folder)}"
    )
    return f"Restore them from a copy, or make it again: {again}"


def _files_of(folder: Path, record: str, advice: str) -> dict[str, Any] | None:
    """Size and checksum of each file, as recorded, None if none are; exit where it is damaged."""
    sealing = import_module("probing.sealing")
    try:
        files: dict[str, Any] | None = sealing.read_record(folder / record)[1]
    except (OSError, ValueError, sealing.Damaged) as error:
        what = getattr(error, "what", error)
        out.print(f"{folder / record}: damaged ({what}). {advice}", markup=False)
        raise typer.Exit(1) from None
    return files


def verify_cache(folder: Path) -> None:
    """Read every byte of a cache again; see `verify`."""
    try:
        total = sum(record.bytes for record in load_manifest(folder).shards)
    except CacheCorrupt as error:
        out.print(str(error), markup=False)
        raise typer.Exit(1) from None
    with progress_line("Verifying", total, "bytes") as line:
        faults = import_module("cache").verify(folder, line.advance)
    _conclude(folder, faults, total, f"Mend them: probe cache repair {quoted(folder)}")


def _conclude(folder: Path, faults: Sequence[Fault], total: int, advice: str) -> None:
    """Print the faults that were found, with what mends them, or that there are none."""
    for fault in faults:
        whose = ""
        if fault.utterance_ids:
            names = ", ".join(fault.utterance_ids[:SHOWN])
            more = " ..." if len(fault.utterance_ids) > SHOWN else ""
            whose = f" ({several(len(fault.utterance_ids), 'utterance')}: {names}{more})"
        out.print(f"{fault.file}: {fault.what}{whose}", markup=False)
    if faults:
        out.print(f"{several(len(faults), 'fault')}. {advice}", markup=False)
        raise typer.Exit(1)
    out.print(f"{folder}: sound, {size(total)} read", markup=False)
