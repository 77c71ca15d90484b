"""Files mapped into memory: how much of them counts as memory, and how many may be open."""

import errno
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError

T = TypeVar("T")
MOST_BYTES = 1 << 29  # read through maps before they are let go
MOST_FILES = 10_240  # asked for where the system sets no limit of its own; more is an error on some


class Mapped:
    """The files of a cache that are mapped into memory.

    What was read through a map counts as memory of this process until it is let go, though the
    system could take it back, and a scheduler may end a job for it: a pass over a cache of 100 GB
    would count as 100 GB. What is let go stays in the system's own memory as long as it has room,
    so that reading it again costs little.
    """

    def __init__(self) -> None:
        self._maps: list[mmap.mmap] = []
        self._n_bytes = 0

    def map(self, path: Path) -> NDArray[Any]:
        """The bytes of a file, none of which is read before it is indexed."""
        with open(path, "rb") as file:
            found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(found)
        return np.frombuffer(found, np.uint8)

    def count(self, n_bytes: int) -> None:
        """Count bytes that are read next; maps are let go if all would be more than MOST_BYTES."""
        self._n_bytes += n_bytes
        if self._n_bytes > MOST_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            for mapped in list(self._maps):
                mapped.madvise(mmap.MADV_DONTNEED)
            self._n_bytes = n_bytes


def with_more_files(work: Callable[[], T], folder: Path, n: int) -> T:
    """What `work` gives; if it finds too many files open, more are allowed and it is done again.

    It opens one of the `n` files of a folder, which stays open as long as it is mapped.

    Mostly a process may have 1,024 files open without asking; it is let have as many as the system
    lets it.

    Raises:
        ProbeError: the system lets it have no more.
    """
    while True:
        try:
            return work()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            if not _more_files():
                raise ProbeError(
                    f"{folder}: this process may have no more files open, and each of its {n} "
                    f"shards is one. Allow more: ulimit -n {n + 1024}"
                ) from None


def _more_files() -> bool:
    """Let this process have as many files open as it may; gives whether that is more."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else most
    if now == resource.RLIM_INFINITY or now >= wanted:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (OSError, ValueError):
        return False
    return True
