"""Registries: entries by name, each declared once, and the modules of a user that add to them.

An entry is a frozen dataclass with a `name` and a one-line `help`. Command lines, checks, messages
and tables are made from the entries. The library imports no module that a run, an export or an
option names: the command line does so for what its user typed, and in Python its user does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from cache.errors import ProbeError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # part of file names, and of lists with , and +
PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Entry(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """What it is asked for by."""

    @property
    def help(self) -> str:
        """What it is, in one line."""


E = TypeVar("E", bound=Entry)


class RegistryError(ProbeError, ValueError):
    """A name that is not known, or cannot be given to an entry of one's own."""


class NotImported(RegistryError):
    """A module that is named and not imported, since code is run only if its user says so.

    Attributes:
        module: its name.
    """

    def __init__(self, path: str) -> None:
        self.module = path.partition(":")[0]
        super().__init__(
            f"{path}: the module {self.module} is not imported, and code that something names is "
            f"run only if you say so. If you trust it, import {self.module} first"
        )


class Registry(dict[str, E], Generic[E]):
    """Entries by name, in the order in which they are declared.

    Args:
        noun: what an entry is, for messages.
        entries: those of this package.
        reserved: names that mean something else where these are used.
    """

    def __init__(self, noun: str, *entries: E, reserved: tuple[str, ...] = ()) -> None:
        super().__init__({entry.name: entry for entry in entries})
        self.noun = noun
        self.built_in = frozenset(self)
        self.reserved = frozenset(reserved)

    def register(self, entry: E) -> E:
        """Add an entry of one's own; one of the same name that is not of this package is replaced.

        Raises:
            RegistryError: a name of this package, or one that cannot be part of a file name.
        """
        if not NAME.fullmatch(entry.name):
            raise RegistryError(
                f"{self.noun} {entry.name!r}: expected a name of letters, digits, dots, _ and -"
            )
        if entry.name in self.built_in | self.reserved:
            raise RegistryError(
                f"{self.noun} {entry.name!r}: the name is taken. Give yours another"
            )
        self[entry.name] = entry
        return entry

    def is_own(self, entry: E) -> bool:
        """Whether an entry is of a user and not of this package."""
        return entry.name not in self.built_in

    def listed(self) -> str:
        """Every name with its help, for the command line."""
        return ", ".join(f"{name} ({entry.help})" for name, entry in self.items())


@contextmanager
def own_code(what: str, is_own: bool = True) -> Iterator[None]:
    """Code of a user: whatever it raises is told as what it is, in one message.

    Args:
        what: what fails, for the message.
        is_own: whether it is of a user; of this package everything is raised as it is.

    Raises:
        RegistryError: it failed otherwise than by an error of this package or of the file system.
    """
    try:
        yield
    except (ProbeError, OSError):
        raise
    except Exception as error:
        if not is_own:
            raise
        raise RegistryError(f"{what}: fails ({type(error).__name__}: {error}). Mend it") from error


def import_own(module: str) -> ModuleType:
    """Import a module that the user of the command line named: installed, or in the current folder.

    Raises:
        RegistryError: there is none, or it fails.
    """
    # At the end, so that a file beside the user's data never stands for an installed package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        with own_code(f"import {module}"):
            return import_module(module)
    except RegistryError as error:
        cause = error.__cause__
        if (
            isinstance(cause, ModuleNotFoundError)
            and cause.name
            and f"{module}.".startswith(f"{cause.name}.")
        ):
            raise RegistryError(
                f"{module}: no such module, neither in this folder nor installed"
            ) from None
        raise


def imported(path: str) -> Any:
    """What `module:Name` is, of a module that has been imported.

    Raises:
        NotImported: the module has not been imported.
        RegistryError: it has nothing of that name.
    """
    module, _, name = path.partition(":")
    if module not in sys.modules:
        raise NotImported(path)
    try:
        return getattr(sys.modules[module], name)
    except AttributeError:
        raise RegistryError(f"{path}: the module {module} has no {name}") from None
