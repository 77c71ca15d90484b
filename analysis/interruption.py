"""What Ctrl-C does: the command stops with exit code 130, keeps what was finished, and says how to go on."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from probing.progress import console

GOES_ON = {"extract", "sweep", "repair", "merge", "attm"}  # keep what is finished and take it up again
AGAIN_S = 0.01


class InterruptibleGroup(TyperGroup):
    """Commands that Ctrl-C ends as a person expects."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        try:
            with _never_lost():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.invoked_subcommand in GOES_ON:
                console.print("Interrupted. The same command goes on where it stopped.")
            else:
                console.print("Interrupted; nothing was changed. The same command begins again.")
            raise typer.Exit(130) from None


@contextmanager
def _never_lost() -> Iterator[None]:
    """Press a Ctrl-C again that fell into a destructor or the callback of a weak reference.

    Python only reports exceptions there, and HDF5's objects have many such callbacks: one Ctrl-C in five was lost.
    """
    before, pressed = sys.unraisablehook, list[threading.Timer]()

    def again(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            return before(lost)
        press = partial(signal.pthread_kill, threading.get_ident(), signal.SIGINT)
        pressed.append(threading.Timer(AGAIN_S, press))  # later: here it would be lost once more
        pressed[-1].start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in pressed:
            timer.cancel()
