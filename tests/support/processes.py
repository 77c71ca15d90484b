"""Commands in processes of their own, which cost no imports.

What takes a command its first seconds is importing PyTorch and transformers. A server imports them
once, computes nothing, and is copied (`fork`) for every process asked for.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "analysis.commands.app",
        "analysis.reports.report",
        "probing.backbones.loading",
        "probing.extraction.extracting",
        "probing.extraction.repairing",
        "probing.serving.score",
        "probing.sweep.sweeping",
        "transformers.models.wavlm.modeling_wavlm",
    ]
)


@dataclass
class Process:
    """A process that was started; its log is what it wrote to the terminal.

    Attributes:
        child: the process, as multiprocessing knows it.
        out, err: files of its standard output and error.
    """

    child: BaseProcess
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        assert self.child.pid
        return self.child.pid

    def wait(self, seconds: float = 600) -> int:
        """Exit code, once it has ended; that of a signal is negative. It is killed if that takes
        too long.
        """
        self.child.join(seconds)
        if self.child.exitcode is None:
            self.child.kill()
            self.child.join()
            raise AssertionError(f"still running after {seconds} s: {self.said}")
        return self.child.exitcode

    def ended(self) -> bool:
        return not self.child.is_alive()

    def send(self, sent: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        if not self.ended():
            os.kill(self.pid, sent)

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()


def start(work: Callable[..., object], *arguments: Any, folder: Path) -> Process:
    """Do work in a process of its own whose working directory is `folder`; files beside it take
    what it writes.
    """
    number = len(list(folder.parent.glob(f"{folder.name}.*.out")))
    out, err = (folder.with_name(f"{folder.name}.{number}.{ending}") for ending in ("out", "err"))
    for path in (out, err):
        path.touch()
    _begin()
    child = CONTEXT.Process(
        target=_work, args=(folder, out, err, dict(os.environ), work, arguments), daemon=False
    )
    child.start()
    return Process(child, out, err)


def _begin() -> None:
    """Start the server, on a terminal so wide that no line is broken; a console asks
    for that once.
    """
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "200"
    multiprocessing.forkserver.ensure_running()
    if before is None:
        del os.environ["COLUMNS"]
    else:
        os.environ["COLUMNS"] = before


def probe(*arguments: object, folder: Path) -> Process:
    """Start `probe ARGUMENTS`, as typed in `folder`."""
    return start(run_probe, [str(word) for word in arguments], folder=folder)


def run_probe(arguments: list[str]) -> None:
    """`probe ARGUMENTS`, in the process that calls."""
    from analysis.commands.app import main

    sys.argv = ["probe", *arguments]
    main()


def wait_for(process: Process, there: Callable[[], object]) -> None:
    """Wait until something is there, or the process has ended."""
    while not there() and not process.ended():
        time.sleep(0.002)


def _work(
    folder: Path,
    out: Path,
    err: Path,
    environment: dict[str, str],
    work: Callable[..., object],
    arguments: Any,
) -> None:
    import warnings

    # what the server imported stays shared: a collection of cycles would copy its pages
    gc.freeze()
    warnings.simplefilter("ignore")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for path, number in ((out, 1), (err, 2)):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    work(*arguments)
