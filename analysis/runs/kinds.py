"""Kinds of folders that this project writes, and what takes each."""

from collections.abc import Sequence
from pathlib import Path

from cache.errors import ProbeError, quoted
from cache.manifest import MANIFEST, load_manifest
from probing.runs.form import RECORD

EXPORTED = "serving.json"
CACHE = "a cache"
RUN = "a run"
EXPORT = "an exported model"
MARKS = {MANIFEST: CACHE, RECORD: RUN, EXPORTED: EXPORT}
MOST_NAMED = 5  # of the folders in one that is none itself
TAKEN_BY = {
    CACHE: "Sweep it first: probe sweep {0}; what is in it: probe cache info {0}",
    RUN: "What takes it: probe report {0}, probe plot {0} layers --out FILE, probe export {0} DIR",
    EXPORT: "What takes it: probe score {0} clip.wav",
}
MADE_BY = {
    CACHE: "Make one: probe extract",
    RUN: "Make one: probe sweep CACHE",
    EXPORT: "Make one: probe export RUN DIR",
}


def kind_of(path: Path) -> str | None:
    """CACHE, RUN or EXPORT, or None where a path is none of them.

    >>> kind_of(Path("results/demo.run")), kind_of(Path("results"))
    ('a run', None)
    """
    return next((kind for mark, kind in MARKS.items() if (path / mark).is_file()), None)


def expect(path: str | Path, *kinds: str) -> None:
    """Raise ProbeError where a path is none of the kinds of folder expected.

    The message says what it is, and what takes that.

    >>> expect("results/demo.run", RUN)
    """
    if kind_of(Path(path)) in kinds:
        return
    refuse_other(path, *kinds)
    if any(kind in kinds and (Path(path) / mark).exists() for mark, kind in MARKS.items()):
        return  # a pipe, say: who opens it says what it is
    name = kinds[0].split(maxsplit=1)[1]
    if within := _within(Path(path), *kinds):
        names = ", ".join(path.name for path in within[:MOST_NAMED])
        more = ", ..." if len(within) > MOST_NAMED else ""
        advice = f"Name one of those in it, as {quoted(within[0])}: {names}{more}"
        raise ProbeError(f"{path}: no {name} here. {advice}")
    if kinds == (CACHE,):
        load_manifest(Path(path))  # which says what is missing
    raise ProbeError(f"{path}: no {name} here. Expected {' or '.join(kinds)}. {MADE_BY[kinds[0]]}")


def _within(folder: Path, *kinds: str) -> list[Path]:
    """The folders of these kinds in a folder."""
    marks = [mark for mark, kind in MARKS.items() if kind in kinds]
    return sorted(path.parent for mark in marks for path in folder.glob(f"*/{mark}"))


def refuse_other(path: str | Path, *kinds: str) -> None:
    """Raise ProbeError where a path is another kind of folder; there may be nothing yet.

    >>> refuse_other("results/new.run", RUN)
    """
    found = kind_of(Path(path))
    if found is not None and found not in kinds:
        raise ProbeError(
            f"{path}: {found}, not {' or '.join(kinds)}. {TAKEN_BY[found].format(quoted(path))}"
        )


def expect_runs(paths: Sequence[Path]) -> None:
    """As `expect`, of runs, each named once, or one folder with runs in it.

    >>> expect_runs([Path("results/demo.run"), Path("results/random.run")])
    """
    if len(paths) == 1 and next(paths[0].glob(f"*/{RECORD}"), None):
        return
    expect_each(paths, RUN)


def expect_each(paths: Sequence[Path], kind: str, advice: str = "") -> None:
    """As `expect`, of several folders of one kind, each named once; `advice` if one is not.

    >>> expect_each([Path("results/demo.cache"), Path("results/random.cache")], CACHE)
    """
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        expect(path, kind)
        if places.count(place) > 1:
            advice = advice or f"Name each {kind.split(maxsplit=1)[1]} once"
            raise ProbeError(f"{path}: is there twice. {advice}")


def expect_file(path: Path) -> None:
    """Raise ProbeError where a score file was expected and there is none.

    It is raised for a folder too; the message names the score files in it.

    >>> expect_file(Path("mine.csv"))
    """
    if kind_of(path) in (CACHE, EXPORT):
        refuse_other(path, "a score file")
    if path.is_dir():
        found = [*sorted(path.glob("scores/*.eval.txt")), *sorted(path.glob("*.eval.txt"))]
        advice = f"Name a file of it, as {quoted(found[0])}" if found else "Name a file"
        raise ProbeError(f"{path}: {kind_of(path) or 'a folder'}, not a score file. {advice}")
    if not path.exists():
        raise ProbeError(
            f"{path}: no such file. Expected a score file, as "
            "probe score and probe sweep write them"
        )
