"""Progress that a person reads on a terminal, and a log file keeps readable."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from probing.console import PlainConsole, visible

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

console = PlainConsole(stderr=True)
LOG_EVERY_S = 15.0
CELL_EVERY_S = 0.3
_STATUSES: list[Status] = []  # what `status_line` shows, the innermost last


class ProgressLine:
    """One counted piece of work: a live bar on a terminal, a line now and then anywhere else."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0
        self.started = time.monotonic()
        self.note = ""
        self._logged = self.started
        self._bar: Progress | None = None
        self._cell = _CellLine() if console.is_jupyter else None
        self._task: Any = 0
        if console.is_terminal:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(visible(what), total=total, note="")
            for status in _STATUSES:  # a terminal shows one at a time
                status.stop()
            self._bar.start()

    def advance(self, n: int, note: str = "") -> None:
        """Count `n` more, with a remark on how it goes."""
        self.done, self.note = self.done + n, note
        if self._bar:
            self._bar.update(self._task, completed=self.done, note=visible(note))
        elif self._cell:
            self._logged = time.monotonic()
            self._cell.show(visible(f"{self.what}: {self._log_line()}"))
        elif time.monotonic() - self._logged > LOG_EVERY_S:
            self._logged = time.monotonic()
            console.print(f"{self.what}: {self._log_line()}")

    def _log_line(self) -> str:
        """How far it is, and, once something is done, how long the rest takes at that rate."""
        of_bytes = self.unit == "bytes"
        far = (
            f"{size(self.done)} of {size(self.total)}"
            if of_bytes
            else f"{self.done}/{self.total} {self.unit}"
        )
        left = (
            (self._logged - self.started) * (self.total - self.done) / self.done
            if self.done
            else None
        )
        return ", ".join(
            filter(None, (far, self.note, "" if left is None else f"{duration(left)} left"))
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
            for status in _STATUSES[-1:]:
                status.start()
        if self._cell:
            self._cell.close()


class _CellLine:
    """A line below a cell of Jupyter that is written over, and gone in the end: a notebook keeps
    none of it.
    """

    def __init__(self) -> None:
        from IPython.display import display

        self._shown = time.monotonic()
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        if time.monotonic() - self._shown > CELL_EVERY_S:
            self._shown = time.monotonic()
            self._handle.update({"text/plain": text}, raw=True)

    def close(self) -> None:
        self._handle.update({"text/plain": "", "text/html": ""}, raw=True)


@contextmanager
def progress_line(what: str, total: int, unit: str) -> Iterator[ProgressLine]:
    """A ProgressLine that is taken away at the end, whatever happens."""
    line = ProgressLine(what, total, unit)
    try:
        yield line
    finally:
        line.close()


@contextmanager
def status_line(what: str) -> Iterator[None]:
    """Say on a terminal what is being done, where it cannot be counted.

    It is gone in the end, and nothing is printed anywhere else.

    Bars of `progress_line` take its place while they are there. Print no results inside.
    """
    if not console.is_terminal or console.is_jupyter:
        yield
        return
    status = console.status(f"{visible(what)} ...")
    for other in _STATUSES:
        other.stop()
    _STATUSES.append(status)
    status.start()
    try:
        yield
    finally:
        status.stop()
        _STATUSES.remove(status)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 5 s, 2 h 10 min, 4 days.

    >>> duration(3.14159), duration(185), duration(7800)
    ('3.1 s', '3 min 5 s', '2 h 10 min')
    """
    whole = round(seconds)
    if whole < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    if whole >= 3 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(n_bytes: float) -> str:
    """Bytes as a person says them, in powers of 1000.

    >>> size(512), size(1_500_000)
    ('512 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}" if unit != "B" else f"{n_bytes:.0f} B"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def several(n: int, what: str) -> str:
    """So many of something, in words.

    >>> several(1, "fault"), several(1200, "fault")
    ('1 fault', '1,200 faults')
    """
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def limiting(seconds: Mapping[str, float]) -> str:
    """The stage that most time went to."""
    return max(seconds, key=lambda stage: seconds[stage])
