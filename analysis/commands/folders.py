"""Folders that a command writes: outputs, what it finds about a run, a run, a model, a second one.

A folder is written to if it is new, is empty, or holds what the command wrote there before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from analysis.commands.files import check_folder
from analysis.commands.typed import times_named
from analysis.runs.companions import Companion, companion_folder
from analysis.runs.kinds import RUN, kind_of
from cache.atomic import PARTIAL, replaced_folder
from cache.errors import OptionError, ProbeError


@dataclass(frozen=True)
class Outputs:
    """The files that a command writes to a folder, by which it knows one that it wrote before.

    always: names of those that it always writes.
    at_times: names, or patterns of names, of the others.

    >>> Outputs(("evaluation.csv",), ("det-*.png",)).owns("det-codec.png")
    True
    """

    always: tuple[str, ...]
    at_times: tuple[str, ...] = ()

    def owns(self, name: str) -> bool:
        """Whether the command gives a file this name."""
        return any(fnmatchcase(name, pattern) for pattern in (*self.always, *self.at_times))

    def check(self, folder: Path | None, name: str = "out") -> None:
        """Refuse a folder that cannot be one, or that the command did not write.

        Such a folder holds nothing but files of these names, and all that are always written, as
        some of them alone may be somebody else's; and files that the command names elsewhere.
        `name` is the option's.
        """
        check_folder(folder, name)
        if folder is None:
            return
        files = _files_in(folder)
        own = {file for file in files if self.owns(file) and files[file]}
        if foreign := [file for file in {*files} - own if not times_named(folder / file)]:
            advice = f"holds other files, as {min(foreign)}. Name another folder"
            raise OptionError(name, folder, advice)
        if own and (lacking := {*self.always} - own):
            advice = f"holds {min(own)} and no {min(lacking)}, which would be written with it"
            raise OptionError(name, folder, f"{advice}. Name another folder")

    @contextmanager
    def replaced(self, folder: Path) -> Iterator[Path]:
        """As `cache.atomic.replaced_folder`, of a folder that `check` let pass."""
        before = [name for name, is_file in _files_in(folder).items() if is_file]
        with replaced_folder(folder, {*self.always, *filter(self.owns, before)}) as partial:
            yield partial


def _files_in(folder: Path) -> dict[str, bool]:
    """Name -> whether it is a file, of what a folder holds; nothing that a kill left half."""
    if not folder.is_dir():
        return {}
    return {path.name: path.is_file() for path in folder.iterdir() if path.suffix != PARTIAL}


def check_companion(folder: Path, run: Path, kind: str, outputs: Outputs) -> None:
    """Refuse a folder for what a command finds about a run if it holds something else already.

    Args:
        folder: `--out`, or where such folders are put.
        run: the run; what an earlier one of this name left is replaced.
        kind: of companion, as `exits`.
        outputs: of the command, by which a folder is known that does not say what it is of, as
            earlier versions wrote them.

    Raises:
        OptionError: it is a cache, a run or an export, or in one; or it holds the findings of
            another run, or files of somebody else.
    """
    check_folder(folder)
    try:
        about = Companion.read(folder).about
    except ProbeError:
        outputs.check(folder)
        return
    is_own = folder == companion_folder(run, kind) or about["run"] == run.resolve().name
    if about["kind"] != kind or not is_own:
        advice = f"holds what probe {about['kind']} found of {about['run']}"
        raise OptionError("out", folder, f"{advice}. Name another folder")


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
    strangers = {*_files_in(folder)} - {*own(folder)}
    if strangers:
        raise OptionError(name, folder, f"holds {min(strangers)}. Name a new or an empty folder")
