"""The lock of a folder: one writer at a time on any file system, and a word on who that is.

Two locks, both taken: `flock` on `.lock`, which the kernel lets go of when its process ends, where
the file system has it; and the file `.lock.owner`, created exclusively and touched every few
seconds by its owner, where it has not, or has it for each machine alone. An owner of this machine
whose process is gone, or of another one that shows no sign of life for LEASE_S, holds nothing. An
owner that was only asleep so long finds out before it records anything (`check`).
"""

import datetime
import errno
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import filelock

from cache.errors import CacheBusy, ProbeError, argument

LOCK = ".lock"
OWNER = ".lock.owner"
LEASE_S = 120.0
BEAT_S = 2.0
POLL_S = 0.2
TRIES = 5
NO_FLOCK = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
LONGEST_TEXT = 200
WAIT_FOR_IT = f"Wait for it to end ({argument('wait', 'SECONDS')} does), or name another folder."


class FolderLock:
    """The lock of a folder, held until `release`."""

    def __init__(
        self, folder: Path, kernel: filelock.BaseFileLock | None, lease: filelock.SoftFileLease
    ) -> None:
        self.folder = folder
        self._kernel = kernel
        self._lease = lease

    def check(self) -> None:
        """Raise CacheBusy if another process took the folder over while this one was asleep."""
        for _ in range(TRIES):  # a contender may put the file aside for a moment
            owner = self._lease.owner
            if owner is not None and owner.token == self._lease.token:
                return
            time.sleep(POLL_S)
        now = f"{_who(self.folder, self._lease)} took it over" if owner else f"{OWNER} is gone"
        raise CacheBusy(
            f"{self.folder}: this process no longer has the lock: {now}, as happens where a "
            f"process shows no sign of life for {LEASE_S:.0f} s or its lock is removed. What was "
            "finished is kept; the same command goes on where it stopped."
        )

    def release(self) -> None:
        """Let others write; may be called again."""
        self._lease.release()
        if self._kernel is not None:
            self._kernel.release()


def lock_folder(
    folder: Path,
    wait: float = 0.0,
    say: Callable[[str], None] = lambda text: None,
    advice: str = WAIT_FOR_IT,
) -> FolderLock:
    """Take the lock of a folder, made if need be.

    Args:
        folder: what is to be written to.
        wait: seconds to wait for another writer to end.
        say: called with a sentence on what is waited for.
        advice: what to do where it is not to be had.

    Raises:
        CacheBusy: another process has it, and which.
        ProbeError: the folder cannot be written to.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     lock = lock_folder(Path(folder))
    ...     lock.check()
    ...     lock.release()
    """
    until = time.monotonic() + wait
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lease = filelock.SoftFileLease(
            folder / OWNER, lease_duration=LEASE_S, heartbeat_interval=BEAT_S, thread_local=False
        )
        kernel = _take_kernel_lock(folder, lease, until, say)
        try:
            _take_lease(folder, lease, until, say)
            _sign(folder)
        except BaseException:
            if kernel is not None:
                kernel.release()
            raise
    except filelock.Timeout:
        raise CacheBusy(
            f"{folder}: another process is writing to it, {_who(folder, lease)}. {advice}"
        ) from None
    except OSError as error:
        if isinstance(error, ProbeError):
            raise
        raise ProbeError(
            f"{folder}: cannot be written to ({error.strerror}). Name a folder you may write to."
        ) from None
    return FolderLock(folder, kernel, lease)


def _take_kernel_lock(
    folder: Path, lease: filelock.SoftFileLease, until: float, say: Callable[[str], None]
) -> filelock.BaseFileLock | None:
    """The lock of the kernel, or None if the file system has no such thing."""
    kernel = filelock.FileLock(folder / LOCK, fallback_to_soft=False, thread_local=False)
    try:
        try:
            kernel.acquire(timeout=0)
        except filelock.Timeout:
            left = until - time.monotonic()
            if left <= 0:
                raise
            say(f"{folder}: waiting up to {left:.0f} s for {_who(folder, lease)} ...")
            kernel.acquire(timeout=left, poll_interval=POLL_S)
    except OSError as error:
        if error.errno in NO_FLOCK:
            return None
        raise
    return kernel


def _take_lease(
    folder: Path, lease: filelock.SoftFileLease, until: float, say: Callable[[str], None]
) -> None:
    """Take the lease; an owner that may be gone is watched until it shows a sign of life."""
    try:
        lease.acquire(timeout=POLL_S, poll_interval=POLL_S / 2)
    except filelock.Timeout:
        say(
            f"{folder}: held by {_who(folder, lease)}; watching up to "
            f"{LEASE_S:.0f} s for a sign of life ..."
        )
        first = _beat(folder)
        deadline = max(until, time.monotonic() + LEASE_S + BEAT_S)
        try:
            lease.acquire(
                timeout=deadline - time.monotonic(),
                poll_interval=POLL_S,
                cancel_check=lambda: _beat(folder) != first and time.monotonic() > until,
            )
        except filelock.Timeout:
            if _beat(folder) != first or lease.owner is not None:
                raise
            (folder / OWNER).unlink(missing_ok=True)  # killed before it wrote who it is
            lease.acquire(timeout=POLL_S)


def _beat(folder: Path) -> tuple[int, int] | None:
    """What changes with every sign of life."""
    try:
        # makes NFS ask its server
        handle = os.open(folder / OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    return status.st_ino, status.st_mtime_ns


def _sign(folder: Path) -> None:
    """Write into the lock who has it, for whoever is refused."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    known = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command}
    with suppress(OSError):  # no lock depends on it
        handle = os.open(
            folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644
        )
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            json.dump(known, file)


def _who(folder: Path, lease: filelock.SoftFileLease) -> str:
    """The owner in words: `pid 7 on host-a (probe extract ..., since ...)`; as much as is known."""
    owner = lease.owner
    signed = _signature(folder)
    pid = owner.pid if owner else signed.get("pid", "?")
    host = owner.hostname.partition("?")[0] if owner else signed.get("host", "?")
    text = f"pid {pid} on {host}"
    if str(signed.get("pid")) == str(pid):
        text += f" ({signed.get('command')}, since {signed.get('since')})"
    return "".join(char if char.isprintable() else "?" for char in text[:LONGEST_TEXT])


def _signature(folder: Path) -> dict[str, object]:
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            signed = json.loads(file.read(1 << 16))
    except (OSError, ValueError, RecursionError):
        return {}
    return signed if isinstance(signed, dict) else {}
