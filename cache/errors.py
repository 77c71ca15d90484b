"""Errors that a user can meet: what was found, what was expected, and what to type next."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

# of private use in Unicode: no name that a person gives has them
BEGIN = "\ue000"
END = "\ue001"
MARKED = re.compile(f"{BEGIN}(\\w+)(?:=(.*?))?{END}", re.DOTALL)


def argument(name: str, value: object = None) -> str:
    """Name an argument in the message of a ProbeError, with its value or without.

    A message reads `seconds=0.01` for who calls a function; a command line spells it as a flag.

    >>> str(ProbeError(f"{argument('seconds', 0.01)}: expected 0.05 to 3600"))
    'seconds=0.01: expected 0.05 to 3600'
    """
    if value is None:
        return f"{BEGIN}{name}{END}"
    return (
        f"{BEGIN}{name}={value:g}{END}"
        if isinstance(value, float)
        else f"{BEGIN}{name}={value}{END}"
    )


def quoted(*words: object) -> str:
    """Words as a shell takes them, since names of folders may have spaces.

    >>> quoted("my cache", 3)
    "'my cache' 3"
    >>> print(quoted("split == 'dev'"))
    "split == 'dev'"
    """
    return " ".join(map(_quoted, map(str, words)))


def _quoted(word: str) -> str:
    """A word as a shell takes it, without a break at each apostrophe if that can be."""
    if "'" in word and not set('"$`\\!') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def as_keyword(name: str, value: str | None) -> str:
    """Spell an argument as Python does."""
    return name if value is None else f"{name}={value}"


def as_flag(name: str, value: str | None = None, flags: Mapping[str, str] | None = None) -> str:
    """Spell an argument as a command line does.

    `flags` are those of the command, by the name of the argument.

    >>> as_flag("max_seconds", "30").removeprefix("-")
    '-max-seconds 30'
    """
    flag = (flags or {}).get(name) or f"--{name.replace('_', '-')}"
    return flag if value in (None, "True") else f"{flag} {quoted(value)}"


def spelled(text: str, spell: Callable[[str, str | None], str] = as_keyword) -> str:
    """A text in which `argument` named some, each spelled.

    >>> spelled(f"{argument('seed', 3)} is odd", as_flag)
    '--seed 3 is odd'
    """
    return MARKED.sub(lambda found: spell(found[1], found[2]), text)


class ProbeError(Exception):
    """Base of every error this project raises on bad input.

    Attributes:
        spell: (name, value) -> how the message spells an argument; a command line puts its own
            there.
    """

    spell: Callable[[str, str | None], str] = staticmethod(as_keyword)

    def __str__(self) -> str:
        return spelled(super().__str__(), self.spell)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def field(self) -> str | None:
        """Name of the argument that the message begins with, which is the one at fault; or None."""
        found = MARKED.match(super().__str__())
        return found[1] if found else None


class OptionError(ProbeError, ValueError):
    """An option that has a value it cannot have.

    Attributes:
        value: what was found.
        expected: what was expected, in words.

    >>> OptionError("seed", -1, "expected 0 or more").field
    'seed'
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{argument(field, value)}: {expected}")
        self.value, self.expected = value, expected

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.expected)


class CacheMissing(ProbeError, FileNotFoundError):
    """There is no cache in the folder named."""


class CacheCorrupt(ProbeError, ValueError):
    """What is on disk is not what was written.

    Attributes:
        what: what is wrong, without the name of the file and without advice.
    """

    def __init__(self, message: str, what: str | None = None) -> None:
        super().__init__(message)
        self.what = message if what is None else what


class CacheBusy(ProbeError, RuntimeError):
    """Another process is writing to this cache, or run."""


class FingerprintMismatch(ProbeError, ValueError):
    """The cache was made with other weights, conventions or preprocessing."""
