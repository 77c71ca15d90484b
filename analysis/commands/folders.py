"""Folders that a command writes: what it finds about a run, a run, a model, and a second one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from analysis.commands.files import check_folder, check_outside
from analysis.runs.companions import ABOUT, Companion, companion_folder
from analysis.runs.kinds import CACHE, RUN, kind_of
from cache.atomic import PARTIAL
from cache.errors import OptionError


def check_model_folder(folder: Path, name: str = "out") -> None:
    """Refuse a place for an exported model that is a cache or a run, or in one, or in an export.

    `name` is the parameter's.
    """
    kind = kind_of(folder)
    if kind in (CACHE, RUN):
        raise OptionError(name, folder, f"is {kind}, which holds nothing else. Name another folder")
    check_outside(folder, name)


def check_companion(folder: Path, run: Path, kind: str, files: Collection[str] = ()) -> None:
    """Refuse a folder for what a command finds about a run if it holds something else already.

    Args:
        folder: `--out`, or where such folders are put.
        run: the run; what an earlier one of this name left is replaced.
        kind: of companion, as `exits`.
        files: of a folder that an earlier version wrote, which did not say what it is of.

    Raises:
        OptionError: it is a cache, a run or an export, or in one; or it holds the findings of
            another run, or files of somebody else.
    """
    check_folder(folder)
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if ABOUT in names:
        about = Companion.read(folder).about
        is_own = folder == companion_folder(run, kind) or about["run"] == run.resolve().name
        if about["kind"] != kind or not is_own:
            advice = f"holds what probe {about['kind']} found of {about['run']}"
            raise OptionError("out", folder, f"{advice}. Name another folder")
    elif foreign := names - {*files}:
        advice = f"holds other files, as {min(foreign)}. Name another folder"
        raise OptionError("out", folder, advice)


def check_run_place(folder: Path) -> None:
    """Refuse a folder for a run that holds something else, before any work is done."""
    is_free = not any(folder.iterdir()) if folder.is_dir() else not folder.exists()
    if not is_free and kind_of(folder) != RUN:
        raise OptionError("out", folder, "is there and is no run. Name another folder")


def check_second_folder(
    folder: Path | None, name: str, first: Path, own: Callable[[Path], Collection[str]]
) -> None:
    """Refuse a further folder of outputs that cannot be one, is the first, or holds something else.

    Args:
        folder: the one that was typed; None is the usual place.
        name: the option's.
        first: the folder of the tables.
        own: gives the names of what an earlier command wrote to such a folder.
    """
    check_folder(folder, name)
    if folder is None:
        return
    if folder.resolve() == first.resolve():
        raise OptionError(name, folder, "is the folder of the tables. Name another")
    if folder.is_dir():
        names = {path.name for path in folder.iterdir() if path.suffix != PARTIAL}
        strangers = names - {*own(folder)}
        if strangers:
            raise OptionError(
                name, folder, f"holds {min(strangers)}. Name a new or an empty folder"
            )
