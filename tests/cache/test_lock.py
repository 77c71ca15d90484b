"""One writer at a time, also where the file system has no locks, and nobody locked out by a writer
that is gone.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import random_store
from random_store import Recipe, names

import cache.lock
from cache import Cache, CacheBusy, ProbeError, verify
from cache.lock import LOCK, OWNER, lock_folder
from cache.writer import CacheWriter

SCRIPT = Path(random_store.__file__)
WITHOUT_FLOCK = """
import errno, fcntl, os, runpy, sys
import cache.lock
cache.lock.BEAT_S = 0.2
def flock(handle, how):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = flock
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
MANY = 4000


@pytest.fixture(autouse=True)
def _asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.lock, "POLL_S", 0.05)


@pytest.fixture
def without_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system whose `flock` fails in some way."""

    def flock(handle: int, how: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.fixture
def others(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process that writes the cache `c` slowly, of a file system without locks."""
    command = [
        sys.executable,
        "-c",
        WITHOUT_FLOCK,
        str(SCRIPT),
        str(tmp_path / "c"),
        str(MANY),
        "100",
    ]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def writer(folder: Path, n: int = MANY, **how: object) -> CacheWriter:
    return CacheWriter(folder, Recipe().manifest(), Recipe().corpus(names(n)), 100, **how)  # type: ignore[arg-type]


def marker_of(host: str, token: str = "t", pid: int = 7) -> str:
    """What the owner's file holds while a process of `host` writes."""
    lease = cache.lock.LEASE_S
    return (
        f"filelock/2\npid={pid}\nhost={host}\nmode=lease\ntoken={token}\n"
        f"duration={lease!r}\nstart=9\n"
    )


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an owner to be gone after about half a second."""
    monkeypatch.setattr(cache.lock, "LEASE_S", 0.6)
    monkeypatch.setattr(cache.lock, "BEAT_S", 0.2)


def test_who_is_refused_is_told_who_writes(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "c")
    with pytest.raises(CacheBusy) as refused:
        lock_folder(tmp_path / "c")
    assert (
        f"another process is writing to it, pid {os.getpid()} on {socket.gethostname()} ("
        in str(refused.value)
    )
    assert "wait=SECONDS" in str(refused.value)
    lock.release()
    lock_folder(tmp_path / "c").release()
    assert not (tmp_path / "c" / OWNER).exists()


@pytest.mark.parametrize(
    "without_flock", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], indirect=True
)
def test_without_locks_of_the_file_system_a_second_writer_is_refused_too(
    without_flock: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache.lock, "BEAT_S", 0.2)
    lock = lock_folder(tmp_path / "c")
    with pytest.raises(CacheBusy, match=rf"pid {os.getpid()} on {socket.gethostname()} \("):
        lock_folder(tmp_path / "c")
    lock.release()
    lock_folder(tmp_path / "c").release()


@pytest.mark.parametrize("without_flock", [errno.ENOLCK], indirect=True)
def test_without_locks_a_writer_that_was_killed_locks_nobody_out(
    without_flock: None, others: subprocess.Popen, tmp_path: Path
) -> None:
    with pytest.raises(CacheBusy, match=f"pid {others.pid} on"):
        writer(tmp_path / "c")
    others.send_signal(signal.SIGKILL)
    others.wait()
    started = time.monotonic()
    with writer(tmp_path / "c") as mine:
        assert list(mine.pending())
    assert time.monotonic() - started < cache.lock.LEASE_S / 2
    assert verify(tmp_path / "c") == []


def test_a_lock_that_only_one_machine_sees_does_not_let_two_write(
    others: subprocess.Popen, tmp_path: Path
) -> None:
    """As on Lustre with `localflock`: here `flock` is granted at once, and only the owner's file
    says no.
    """
    with pytest.raises(CacheBusy, match=f"pid {others.pid} on"):
        writer(tmp_path / "c")


def test_a_writer_of_another_machine_that_lives_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / OWNER).write_text(marker_of("elsewhere"))
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.3):
            os.utime(tmp_path / OWNER)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(CacheBusy, match="pid 7 on elsewhere"):
            lock_folder(tmp_path)
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("left", ["killed", "killed before it wrote who it is"])
def test_a_writer_of_another_machine_without_a_sign_of_life_is_taken_over(
    left: str, tmp_path, monkeypatch
) -> None:
    shorten(monkeypatch)
    (tmp_path / OWNER).write_text(marker_of("elsewhere") if left == "killed" else "")
    said: list[str] = []
    started = time.monotonic()
    lock = lock_folder(tmp_path, say=said.append)
    assert time.monotonic() - started >= cache.lock.LEASE_S
    assert "watching up to 1 s for a sign of life" in said[0]
    lock.check()
    lock.release()


def test_a_writer_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    lock, said = lock_folder(tmp_path / "c"), list[str]()
    timer = threading.Timer(0.5, lock.release)
    timer.start()
    with writer(tmp_path / "c", 4, wait=60.0, say=said.append):
        timer.join()
    assert f"waiting up to 60 s for pid {os.getpid()}" in said[0]


def test_a_writer_that_was_asleep_and_taken_over_records_nothing_more(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    asleep = writer(folder, 200)
    (index, rows), (other, _) = asleep.pending()
    Recipe().write_shard(asleep, index, list(rows["utterance_id"]), {})
    (tmp_path / "other").write_text(marker_of("elsewhere"))
    os.replace(tmp_path / "other", folder / OWNER)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for go_on in (lambda: asleep.finish_shard(other, None, {}), asleep.close):
        with pytest.raises(
            CacheBusy, match="no longer has the lock: pid 7 on elsewhere took it over, as happens"
        ):
            go_on()
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before
    assert len(Cache(folder)) == 100


@pytest.mark.parametrize(
    "content", ["\x1b[31m", '{"pid": "\x1b[2J", "host": [1], "command": 7}', "[" * 60_000, "\0"]
)
def test_a_lock_that_somebody_else_wrote_is_no_way_in(
    content: str, tmp_path: Path, monkeypatch
) -> None:
    shorten(monkeypatch)
    (tmp_path / LOCK).write_text(content)
    (tmp_path / OWNER).write_text(marker_of("else\x1b[31mwhere"))
    said: list[str] = []
    lock_folder(tmp_path, say=said.append).release()
    assert said
    assert all(line.isprintable() for line in said)


@pytest.mark.parametrize("name", [LOCK, OWNER])
def test_a_lock_that_is_a_link_is_not_followed(name: str, tmp_path: Path, monkeypatch) -> None:
    shorten(monkeypatch)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / name).symlink_to(tmp_path / "mine")
    with suppress(ProbeError):
        lock_folder(tmp_path / "c").release()
    assert (tmp_path / "mine").read_text() == "mine"
