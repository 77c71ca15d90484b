"""Sealed folders: the record of a run or export holds size and checksum of every file.

It holds a checksum of its own content too. In run.json, serving.json and export.json:

    {..., "files": {name: [bytes, crc32]}, "checksum": sha256 of all the rest}

A file is compared when it is read. What is added to a folder later is not in its record and is
nobody's damage; pictures and pages that `probe report` and `probe plot` make again are never in it.
Records of versions that kept no checksums are read without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cache.atomic import crc32_of_file, replace_file
from cache.errors import ProbeError
from cache.manifest import canonical_json, read_json

if TYPE_CHECKING:
    from cache.verification import Fault

RECORDS = ("run.json", "serving.json", "export.json")
FILES = "files"
CHECKSUM = "checksum"
Files = dict[str, tuple[int, int]]  # name -> bytes, CRC-32


class Damaged(ProbeError):
    """A file of a run or an export is not what was written.

    Attributes:
        what: what is wrong, without the name of the file and without advice.
    """

    def __init__(self, message: str, what: str | None = None) -> None:
        super().__init__(message)
        self.what = message if what is None else what


def seal(
    folder: Path, record: str, content: Mapping[str, Any], leave_out: Collection[str] = ()
) -> None:
    """Write the record of a folder in which everything else is written, whole or not at all.

    Args:
        folder: the folder.
        record: name of the record in it.
        content: what it says, as JSON.
        leave_out: names in the folder that may change later.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "table.csv").write_text("a,b")
    3
    >>> seal(folder, "record.json", {"made": "by hand"})
    >>> read_record(folder / "record.json")[0]["made"], faults_of(folder, "record.json")
    ('by hand', [])
    """
    sealed = json.loads(json.dumps(content))  # as it will be read
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    sealed[FILES] = {
        name: [path.stat().st_size, crc32_of_file(path)]
        for name, path in names.items()
        if name != record and PurePosixPath(name).parts[0] not in leave_out
    }
    sealed[CHECKSUM] = _checksum(sealed)
    replace_file(folder / record, _text(sealed).encode())


def read_record(path: Path) -> tuple[dict[str, Any], Files | None]:
    """What a record says, and the files that it vouches for.

    None where it was written before there were checksums.

    Raises:
        OSError, ValueError: there is none, or it is no JSON object.
        Damaged: it does not match its checksum.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    if FILES not in content and CHECKSUM not in content:
        return content, None
    as_written = _text(content)
    checksum = content.pop(CHECKSUM, None)
    if checksum != _checksum(content):
        raise _damaged(path, "its content does not match its checksum")
    if path.read_bytes() != as_written.encode():
        raise _damaged(path, "it says what it should, but not in the bytes that were written")
    try:
        listed = {
            _inside(name): (int(n_bytes), int(crc))
            for name, (n_bytes, crc) in content.pop(FILES).items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(path, "its list of files is none that was written") from None
    return content, listed


def check_file(path: Path) -> None:
    """Compare a file with the record of the run or export it is in.

    Nothing is said of one that no record names.

    Raises:
        Damaged: it has another size or checksum.
    """
    for folder in (path.parent, path.parent.parent):
        for record in RECORDS:
            expected = _files_of(folder / record).get(path.relative_to(folder).as_posix())
            if expected:
                if what := _what_is_wrong(path, expected):
                    raise _damaged(path, what)
                return


def check_files(folder: Path, patterns: Iterable[str]) -> None:
    """`check_file` of every file of a folder that one of the patterns fits."""
    if any((folder / record).is_file() for record in RECORDS):
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                check_file(path)


def faults_of(
    folder: Path, record: str, progress: Callable[[int], None] = lambda n_bytes: None
) -> list[Fault] | None:
    """Read every file that a record names again and list those that are not as written.

    None for an older record.

    `progress` is called with the bytes of each.

    Raises:
        OSError, ValueError, Damaged: as `read_record`.
    """
    from cache.verification import Fault

    files = read_record(folder / record)[1]
    faults = []
    if files is None:
        return None
    for name, expected in files.items():
        if what := _what_is_wrong(folder / name, expected):
            faults.append(Fault(name, what))
        progress(expected[0])
    return faults


def _what_is_wrong(path: Path, expected: tuple[int, int]) -> str | None:
    try:
        size = path.stat().st_size
        if size != expected[0]:
            return f"{size} bytes, expected {expected[0]}"
        return (
            None if crc32_of_file(path) == expected[1] else "its bytes do not match their checksum"
        )
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _files_of(record: Path) -> Files:
    """What a record vouches for: nothing, where it is none of ours or damaged, which opening its
    folder says.
    """
    try:
        status = record.stat()
        return _files_of_one(record, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, Damaged):
        return {}


@lru_cache(64)
def _files_of_one(record: Path, mtime_ns: int, size: int) -> Files:
    return read_record(record)[1] or {}


def _inside(name: str) -> str:
    """A name that leads nowhere but into its folder; anybody can make a record."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(name)
    return name


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode("utf-8", "surrogatepass")).hexdigest()


def _damaged(path: Path, what: str) -> Damaged:
    return Damaged(
        f"{path}: damaged ({what}). Restore it from a copy, or make its folder again: probe "
        "sweep, or probe export. What else is damaged: probe verify DIR",
        what,
    )
