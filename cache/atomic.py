"""Files that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from zlib_ng.zlib_ng import crc32

from cache.bounds import open_regular
from cache.errors import ProbeError

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
PARTIAL = ".partial"
# of linux/fcntl.h and linux/fs.h
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     replace_file(Path(folder, "a.txt"), b"new")
    ...     Path(folder, "a.txt").read_bytes()
    b'new'
    """
    with _replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    fsync_folder(path.parent)


@contextmanager
def replaced(path: Path, advice: str = "name another") -> Iterator[Path]:
    """An output of a command, whole or not at all.

    Yields a path beside it to write to, which then takes its place.

    Args:
        path: the output; its folder is made, what is there is replaced. If it is a link, what it
            leads to is.
        advice: what to do about a disk that takes no more, beside making room.

    Raises:
        ProbeError: it cannot be written; what was there is still there, and nothing else.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replaced(Path(folder, "table.csv")) as partial:
    ...         _ = partial.write_text("a,b")
    ...     Path(folder, "table.csv").read_text()
    'a,b'
    """
    with _explained(path, advice):
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(real) as partial:
            yield partial


@contextmanager
def replaced_folder(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """As `replaced`, of a folder of outputs: yields an empty folder to write them to.

    Args:
        folder: where to. One that holds nothing but `names` is replaced as a whole; where there is
            something else in it, that is kept, and each of the files written takes its place.
        names: of all files that the command could write.

    Raises:
        ProbeError: as `replaced`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with replaced_folder(Path(place, "out"), {"a.csv"}) as partial:
    ...         _ = (partial / "a.csv").write_text("a,b")
    ...     [path.name for path in Path(place, "out").iterdir()]
    ['a.csv']
    """
    with _explained(folder, "name another folder"):
        real = Path(os.path.realpath(folder))
        put_back(real)
        there = {path.name for path in real.iterdir()} if real.exists() else set()
        shared = real.exists() and (
            not there <= {*names} or os.path.ismount(real) or real == Path.cwd()
        )
        partial = real / f"outputs{PARTIAL}" if shared else real.with_name(real.name + PARTIAL)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if shared:
                for path in sorted(partial.iterdir()):
                    with open(path, "rb") as handle:
                        os.fsync(handle.fileno())
                    os.replace(path, real / path.name)
                fsync_folder(real)
            else:
                replace_folder(partial, real)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


class Unwritten(ProbeError):
    """An output that the disk did not take; `why` in words."""

    def __init__(self, path: Path, why: str, advice: str) -> None:
        super().__init__(f"{path}: cannot be written to ({why}). Make room, or {advice}")
        self.why = why


@contextmanager
def _explained(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except Unwritten as error:  # of a file in a folder beside the one that the user named
        raise Unwritten(path, error.why, advice) from error
    except OSError as error:
        if isinstance(error, ProbeError):
            raise
        why = error.strerror or str(error)  # pandas raises some without a number
        raise Unwritten(path, why, advice) from error


def replace_folder(partial: Path, folder: Path) -> None:
    """Give a finished folder its name, in the place of what is there.

    A reader sees the old one or the new one, never a part; where the system cannot exchange two
    names, for a moment neither, and a kill in that moment is made good by `put_back`.
    """
    for path in partial.rglob("*"):
        if path.is_file():
            with open(path, "rb") as handle:
                os.fsync(handle.fileno())
    put_back(folder)
    old = _old(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists() and not exchange(partial, folder):
        folder.rename(old)
    if folder.exists():
        partial.rename(old)  # its name is free for the next
    else:
        partial.rename(folder)
    fsync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def put_back(folder: Path) -> None:
    """Give a folder its name again that a killed `replace_folder` put aside."""
    if not folder.exists() and _old(folder).exists():
        _old(folder).rename(folder)


def _old(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.old{PARTIAL}")


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; gives whether that was done.

    Some systems and file systems cannot, and then nothing is done; Linux can.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    done = renameat2(
        AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), ctypes.c_uint(RENAME_EXCHANGE)
    )
    return bool(done == 0)


def crc32_outside(path: Path, runs: Iterable[Sequence[int]]) -> int:
    """CRC-32 of the bytes of a file that are in none of `runs`, ascending, each (start, stop)."""
    crc = 0
    at = 0
    size = path.stat().st_size
    with open_regular(path) as handle:
        for start, stop in [*runs, (size, size)]:
            handle.seek(at)
            crc = crc32(handle.read(max(0, start - at)), crc)
            at = max(at, stop)
    return crc


def link_or_copy(source: Path, target: Path, block: int = 1 << 22) -> int | None:
    """Give a file that will not be changed a second name, or copy it.

    It is copied if the file system has no links, and then its CRC-32 is returned; else None.
    """
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        crc = 0
        with open(source, "rb", buffering=0) as old, open(target, "wb") as new:
            while chunk := old.read(block):
                crc = crc32(chunk, crc)
                new.write(chunk)
            new.flush()
            os.fsync(new.fileno())
        return crc
    return None


def crc32_of_file(path: Path, block: int = 1 << 22) -> int:
    """CRC-32 of every byte of a file, read in blocks of `block` bytes.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     replace_file(Path(folder, "a.txt"), b"123456789")
    ...     hex(crc32_of_file(Path(folder, "a.txt")))
    '0xcbf43926'
    """
    crc = 0
    with open_regular(path) as handle:
        while chunk := handle.read(block):
            crc = crc32(chunk, crc)
    return crc
