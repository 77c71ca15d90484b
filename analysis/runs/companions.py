"""Companions: folders with what further commands found about a run, and clips that were kept."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.runs.kinds import refuse_other
from cache import ProbeError
from cache.errors import OptionError
from cache.manifest import read_json
from probing.options import one_of

if TYPE_CHECKING:
    from probing.runs import Run

ABOUT = "about.json"
CLIPS = "manifest.csv"  # of attacked clips
KINDS = ("robustness", "exits", "attack")  # as the commands that make them


def companion_folder(run: Path, kind: str) -> Path:
    """Where a companion of a run is by default: `NAME.robustness` beside `NAME.run`.

    >>> companion_folder(Path("results/demo.run"), "exits").as_posix()
    'results/demo.exits'
    """
    folder = with_its_name(run)
    return folder.with_name(f"{folder.name.removesuffix('.run')}.{kind}")


def with_its_name(folder: Path) -> Path:
    """A folder by a path that ends in its name, if it was typed as `.` or `..`.

    >>> with_its_name(Path("results/demo.run")).as_posix(), with_its_name(Path(".")) == Path.cwd()
    ('results/demo.run', True)
    """
    return folder if folder.name not in ("", "..") else folder.resolve()


def write_about(
    folder: Path, kind: str, run: Run, corpus: str, more: Mapping[str, Any] | None = None
) -> None:
    """Write the record of a companion: its kind, its run with id, the corpus, and more.

    >>> from analysis import load
    >>> folder = Path("mine.exits")
    >>> folder.mkdir()
    >>> write_about(folder, "exits", load("results/demo.run"), "demo")
    >>> Companion.read(folder).kind
    'exits'
    """
    about = {
        "kind": kind,
        "run": _name(run),
        "run_id": run.id,
        "corpus": corpus,
        **(more or {}),
    }
    (folder / ABOUT).write_text(
        json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def clips_in(folder: Path) -> set[str]:
    """The names of attacked clips that an earlier attack kept in a folder, and of their manifest.

    None of a folder that an attack did not write.

    >>> clips_in(Path("results"))
    set()
    """
    try:
        with (folder / CLIPS).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return set()
    if not all(row.get("attacked") is not None and row.get("path") for row in rows):
        return set()
    return {CLIPS, *(row["path"] for row in rows)}


@dataclass(frozen=True)
class Companion:
    """A companion of a run: its kind, its folder and its record.

    >>> Companion.read(Path("results/demo.exits")).about["run"]
    'demo.run'
    """

    kind: str
    folder: Path
    about: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Companion:
        """The companion in a folder.

        Raises:
            ProbeError: there is none, or its record cannot be read.
        """
        try:
            about = read_json(folder / ABOUT)
            kind = about["kind"]
            if kind not in KINDS or not all(
                isinstance(about[name], str) for name in ("run", "run_id", "corpus")
            ):
                raise ValueError(f"{ABOUT} is none that was written")
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"no {ABOUT}" if isinstance(error, FileNotFoundError) else error
            made = one_of(f"probe {kind}" for kind in KINDS)
            raise ProbeError(
                f"{folder}: no folder that says which run it is of ({why}). Make one with "
                f"{made}; one of an earlier version again"
            ) from None
        return cls(kind, folder, about)


def companions_of(
    runs: Sequence[Run], given: Iterable[str | Path] = ()
) -> tuple[list[list[Companion]], list[list[str]]]:
    """The companions of runs: those given, and of other kinds those where commands put them.

    Returns:
        Of each run its companions in the order of KINDS; and of each why a folder beside it was
        left out, a line each.

    Raises:
        ProbeError: a folder given is none, is of another run, or is there twice.

    >>> from analysis import load
    >>> found, left_out = companions_of([load("results/demo.run")])
    >>> [companion.kind for companion in found[0]], left_out
    (['robustness', 'exits', 'attack'], [[]])
    """
    ids = [run.id for run in runs]
    found: list[dict[str, Companion]] = [{} for _ in runs]
    for folder in map(Path, given):
        refuse_other(folder, f"a folder of {one_of(f'probe {kind}' for kind in KINDS)}")
        companion = Companion.read(folder)
        about = companion.about
        if about["run_id"] not in ids:
            names = ", ".join(map(_name, runs))
            advice = f"Make it of this one: probe {companion.kind}"
            other = f"{about['run']} {about['run_id']}, not of {names} {', '.join(ids)}"
            raise OptionError("beside", folder, f"is of another run, {other}. {advice}")
        mine = found[ids.index(about["run_id"])]
        if (twin := mine.get(companion.kind)) is not None:
            why = "is there twice. Name it once"
            if folder.resolve() != twin.folder.resolve():
                why = f"{twin.folder} is of the same run and kind. Give one of them"
            raise OptionError("beside", folder, why)
        mine[companion.kind] = companion
    left_out: list[list[str]] = [[] for _ in runs]
    for run, known, mine, lines in zip(runs, ids, found, left_out, strict=True):
        for kind in KINDS:
            place = companion_folder(run.folder, kind)
            if kind in mine or not place.is_dir():
                continue
            try:
                companion = Companion.read(place)
            except ProbeError:
                lines.append(
                    f"{place.name} does not say which run it is of: "
                    f"left out. Make it again: probe {kind}"
                )
                continue
            if (companion.kind, companion.about["run_id"]) != (kind, known):
                lines.append(
                    f"{place.name} is of another run: left out. Make it again: probe {kind}"
                )
            else:
                mine[kind] = companion
    return [[mine[kind] for kind in KINDS if kind in mine] for mine in found], left_out


def _name(run: Run) -> str:
    return run.folder.resolve().name
