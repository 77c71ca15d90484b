"""What Ctrl-C and SIGTERM do: the command stops, keeps what was finished, and says how to go on.

Exit code 130 after Ctrl-C, 143 after SIGTERM, as batch systems and `kill` send it.
"""

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import typer
from typer.core import TyperGroup

from analysis.commands.printing import leave_output
from analysis.commands.suggestions import commands_meant, is_of_parser, refusal, typed_as
from analysis.commands.typed import typed
from cache.errors import OptionError, ProbeError, as_flag
from probing.devices import check_device_name
from probing.options import one_of
from probing.progress import console

# keep what is finished and take it up again
GOES_ON = {"demo", "extract", "sweep", "tune", "repair", "merge", "attm"}
AGAIN_S = 0.01


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in the way that Ctrl-C does."""

    exit_code = 143


class InterruptibleGroup(TyperGroup):
    """Commands that Ctrl-C and SIGTERM end well, and that take no NaN for a number."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.commands.values():
            if not isinstance(command, TyperGroup):
                command.callback = with_flags(command)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Read what was typed before the command."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            if is_of_parser(error):
                raise refusal(error, typed_as(parent, info_name)) from error
            raise

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in their order."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was typed; of one that is not there, say what may be meant."""
        known = args[0] in self.commands or args[0].startswith("-")
        meant = [] if known or ctx.resilient_parsing else commands_meant(args[0], self.commands)
        if meant:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {typed_as(ctx)} {one_of(meant)}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            with _terminable(), _never_lost():
                return super().invoke(ctx)
        except Exception as error:
            if is_of_parser(error):
                raise refusal(error, typed_as(ctx, ctx.invoked_subcommand)) from error
            raise
        except KeyboardInterrupt as error:
            what, code = (
                ("Ended by SIGTERM", 143) if isinstance(error, Terminated) else ("Interrupted", 130)
            )
            if ctx.invoked_subcommand in GOES_ON:
                console.print(f"{what}. The same command goes on where it stopped.")
            else:
                console.print(f"{what}; nothing was changed. The same command begins again.")
            raise typer.Exit(code) from None


def with_flags(command: Any) -> Callable[..., Any]:
    """The function of a command, whose errors name flags; no NaN or unknown device reaches it."""
    function = command.callback
    named = {param.name: param.opts for param in command.params if param.opts[0].startswith("-")}
    flags = {
        name: next((flag for flag in opts if flag.startswith("--")), opts[0])
        for name, opts in named.items()
    }
    if "split" in flags:
        flags.setdefault("where", flags["split"])  # by which these commands choose utterances
    for param in command.params:
        if param.param_type_name == "argument" and param.metavar:
            flags.setdefault(param.name, param.metavar.strip("[]."))

    @wraps(function)
    def checked(**values: Any) -> Any:
        leave_output(False)
        try:
            for name, value in values.items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise OptionError(name, value, "expected a finite number")
                if name == "device":
                    check_device_name(value)
            with typed(values):
                return function(**values)
        except ProbeError as error:
            error.spell = partial(as_flag, flags=flags)
            raise

    return checked


def terminate(*_: object) -> None:
    """What SIGTERM does while a command runs."""
    # Ray's handler of failures comes first, and has the process aborted three seconds later (absl,
    # SIGALRM)
    signal.alarm(0)
    raise Terminated


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM raise Terminated; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _never_lost() -> Iterator[None]:
    """Press a Ctrl-C (or send a SIGTERM) again that Python would only have reported.

    It fell into a destructor or the callback of a weak reference. Python only reports exceptions
    there, and HDF5's objects have many such callbacks: one Ctrl-C in five was lost.
    """
    before = sys.unraisablehook
    pressed = list[threading.Timer]()

    def again(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            return before(lost)
        sent = signal.SIGTERM if issubclass(lost.exc_type, Terminated) else signal.SIGINT
        press = partial(signal.pthread_kill, threading.get_ident(), sent)
        pressed.append(threading.Timer(AGAIN_S, press))  # later: here it would be lost once more
        pressed[-1].start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in pressed:
            timer.cancel()
