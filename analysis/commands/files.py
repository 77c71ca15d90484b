"""Files a command writes, a picture or a table by the suffix of the name."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from analysis.commands.printing import leave_output, out
from analysis.commands.typed import same_file, times_named
from analysis.runs.kinds import RUN, kind_of
from cache.atomic import replaced
from cache.errors import OptionError, ProbeError, argument
from probing.options import check_new_file

if TYPE_CHECKING:
    import pandas as pd

PICTURES = (".png", ".svg", ".pdf")
TABLES = (".csv", ".parquet", ".tex", ".md")
OF_RUNS = ("report.html", "calibration")  # what probe report and probe calibrate leave in a run


def is_output(file: Path | None) -> bool:
    """Whether a file is `-`, standard output: a table as csv, or a picture as svg."""
    return str(file) == "-"


def check_one_output(file: Path | None, as_json: bool) -> None:
    """Refuse two things on standard output: JSON, and what `-` is asked to take."""
    if is_output(file) and as_json:
        other = argument("out", "-")
        advice = f"goes to standard output, and so does {other}. Leave one out"
        raise OptionError("json", True, advice)


def check_suffix(file: Path, suffixes: tuple[str, ...], name: str = "out") -> None:
    """Refuse a name of another suffix, or in a folder that is not there, before any work is done.

    `name` is the option's.
    """
    if name == "out" and is_output(file):
        leave_output()
        return
    if file.suffix not in suffixes and not file.is_dir():
        raise OptionError(name, file, f"expected a name that ends in {', '.join(suffixes)}")
    check_file(file, name)


def check_file(file: Path, name: str = "out") -> None:
    """Refuse a file that cannot be written, or in a run, a cache or an export."""
    check_new_file(name, file)
    check_not_given(file, name)
    check_outside(file, name)


def check_given(path: Path | None, name: str) -> None:
    """Refuse a file to be read that is not there, or is a folder; `name` is the option's."""
    if path is not None and path.is_dir():
        raise OptionError(name, path, "is a folder. Name a file")
    if path is not None and not path.exists():
        raise OptionError(name, path, "no such file. Name a file that is there")


def check_given_folder(folder: Path | None, name: str) -> None:
    """Refuse a folder to be read that is not there, or is a file; `name` is the option's."""
    if folder is not None and not folder.is_dir():
        raise OptionError(name, folder, "no such folder. Name one that is there")


def check_not_given(path: Path, name: str) -> None:
    """Refuse an output over a file that the same command names elsewhere, to be read or written.

    `name` is the option's.
    """
    if times_named(path) > 1:
        raise OptionError(
            name, path, "is named twice in this command, and would be replaced. Name another"
        )


def check_not_corpus(path: Path, name: str, corpus: str) -> None:
    """Refuse an output over the corpus that a cache was made of; `name` is the option's."""
    if same_file(path, Path(corpus)):
        raise OptionError(name, path, "is the corpus that the cache was made of. Name another")


def check_outside(path: Path, name: str | None = "out") -> None:
    """Refuse an output inside a run, a cache or an export.

    A run that the command names may hold its report and calibration. `path` is a file or a folder;
    `name` is the option's, None of an argument.
    """
    real = path.resolve()
    for folder in real.parents[:2]:
        if (kind := kind_of(folder)) is None:
            continue
        what = "folder" if path.is_dir() else "file" if path.exists() else "part"
        be = "is" if path.exists() else "would be"
        why = f"{kind}, which holds nothing else"
        if kind == RUN and real.relative_to(folder).parts[0] in OF_RUNS:
            if times_named(folder) or times_named(folder.parent):
                return
            why = "a run that this command does not name"
        advice = f"{be} a {what} of {folder.name}, {why}. Name another, outside of it"
        raise ProbeError(f"{path}: {advice}") if name is None else OptionError(name, path, advice)


def write_output(content: bytes) -> None:
    """Write to standard output what a file would hold."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


@contextmanager
def written_out(
    file: Path | None, name: str, suffixes: tuple[str, ...] = ()
) -> Iterator[Path | None]:
    """Where to write what is meant for `file`; of `-`, a file `name` that is printed in the end.

    A file that cannot be written, or has none of the suffixes, if any are given, is refused.
    """
    if is_output(file):
        leave_output()
        with TemporaryDirectory() as folder:
            partial = Path(folder) / name
            yield partial
            write_output(partial.read_bytes())
        return
    if file is not None and suffixes:
        check_suffix(file, suffixes)
    elif file is not None:
        check_file(file)
    yield file


def check_folder(folder: Path | None, name: str = "out", own: str | None = None) -> None:
    """Refuse a folder that is a file, a cache, a run or an export, or in one.

    `name` is the option's; `own` is the kind that the command makes, and may replace.
    """
    if folder is None:
        return
    kind = kind_of(folder)
    if kind not in (None, own):
        raise OptionError(name, folder, f"is {kind}, which holds nothing else. Name another folder")
    first = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not first.is_dir():
        raise OptionError(name, folder, f"{first} is a file. Name another folder")
    check_outside(folder, name)


def save(file: Path, draw: Any, table: pd.DataFrame) -> None:
    """Write a picture, or its table, by the suffix of the name; `-` is the table.

    The file is written whole or not at all.
    """
    if is_output(file):
        write_output(table.to_csv(index=False).encode())
        return
    if file.suffix in (".tex", ".md"):
        import_module("analysis.tables").save_table(table, file)
        out.print(f"Written: {file}", markup=False)
        return
    drawn = io.BytesIO()
    if file.suffix in PICTURES:
        draw().figure.savefig(drawn, format=file.suffix[1:], dpi=150)
    with replaced(file) as partial:
        if file.suffix in PICTURES:
            partial.write_bytes(drawn.getvalue())
        elif file.suffix == ".csv":
            table.to_csv(partial, index=False)
        else:
            table.rename(columns=str).to_parquet(partial, index=False)
    out.print(f"Written: {file}", markup=False)
