"""The folder of checkpoints beside a tuned model's place, for one process at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cache.atomic import PARTIAL, replace_file
from cache.errors import ProbeError, argument
from cache.lock import LOCK, OWNER, lock_folder
from cache.manifest import canonical_json, read_json
from probing.options import differences
from probing.runs.writer import CONFIGURATION
from probing.tuning.checkpoints import CHECKPOINT
from probing.tuning.engine import Engine

# how names begin in the folder of checkpoints before its configuration is there
OWN = (LOCK, CONFIGURATION + PARTIAL)


def work_of(folder: Path) -> Path:
    """The folder of checkpoints, beside the model's place.

    >>> str(work_of(Path("models/tuned")))
    'models/tuned.partial'
    """
    return folder.with_name(folder.name + PARTIAL)


def _identity(configuration: Mapping[str, Any]) -> bytes:
    return canonical_json(configuration).encode()


def check_work(work: Path) -> None:
    """Refuse what is in the place of checkpoints and is no tuning's; nothing is touched."""
    if not work.exists() and not work.is_symlink():
        return
    known = work / CONFIGURATION
    if work.is_dir() and (
        _is_tuning(known) or all(path.name.startswith(OWN) for path in work.iterdir())
    ):
        return
    raise ProbeError(
        f"{work}: is there and is nothing that a tuning left, and checkpoints go there. Move it, "
        f"or name another folder ({argument('out', 'DIR')})"
    )


def _check_left(work: Path, configuration: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse to lose what a killed tuning with other options left."""
    if overwrite or not (work / CHECKPOINT).is_file():
        return
    if (work / CONFIGURATION).read_bytes() != _identity(configuration):
        wanted = json.loads(_identity(configuration))
        changed = differences(read_json(work / CONFIGURATION), wanted)
        raise ProbeError(
            f"{work}: holds a tuning that was killed, made with other options or from something "
            f"else ({changed}). Give its options to go on with it, name another folder "
            f"({argument('out', 'DIR')}), or replace it ({argument('overwrite', True)})"
        )


def _is_tuning(path: Path) -> bool:
    """Whether a file is the configuration of a tuning."""
    try:
        found = json.loads(path.read_bytes())
        return "eval" in found and {"train", "recipe", "layer_decay"} <= found["options"].keys()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


@contextmanager
def workplace(
    folder: Path, configuration: Mapping[str, Any], engine: Engine, overwrite: bool
) -> Iterator[Path]:
    """The folder of checkpoints, locked.

    It is gone in the end, unless there is a checkpoint to go on from.
    """
    work = work_of(folder)
    if not engine.is_main:
        yield work
        return
    lock = lock_folder(
        work, advice=f"Wait for it to end, or name another folder: {argument('out', 'DIR')}"
    )
    nothing_to_lose = False
    try:
        check_work(work)
        try:
            _check_left(work, configuration, overwrite)
            yield work
        finally:
            nothing_to_lose = not (work / CHECKPOINT).is_file()
    finally:
        lock.release()
        if nothing_to_lose:
            shutil.rmtree(work, ignore_errors=True)


def take_over(work: Path, configuration: Mapping[str, Any], engine: Engine) -> None:
    """Remove what another tuning left, and write whose the folder is from now on."""
    known = work / CONFIGURATION
    if engine.is_main and not (known.is_file() and known.read_bytes() == _identity(configuration)):
        # killed here, there is nothing to go on from with files lacking
        (work / CHECKPOINT).unlink(missing_ok=True)
        for path in [
            path for path in work.iterdir() if path.name not in (LOCK, OWNER, CONFIGURATION)
        ]:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        replace_file(known, _identity(configuration))
    engine.wait()
