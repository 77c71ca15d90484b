"""What was typed for the command that runs: each value by the name of its parameter, and which
values a file of `--config` gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cache.errors import OptionError

_VALUES: ContextVar[Mapping[str, Any]] = ContextVar("_VALUES")
_OF_FILE: ContextVar[frozenset[str]] = ContextVar("_OF_FILE", default=frozenset())


@contextmanager
def typed(values: Mapping[str, Any]) -> Iterator[None]:
    """Have `times_named` know the values of a command while it runs."""
    before = _VALUES.set(values)
    try:
        yield
    finally:
        _VALUES.reset(before)


@contextmanager
def of_file(names: Iterable[str]) -> Iterator[None]:
    """Have `refuse_idle` know which values a file of options gave while a command runs."""
    before = _OF_FILE.set(frozenset(names))
    try:
        yield
    finally:
        _OF_FILE.reset(before)


def given_by_file() -> frozenset[str]:
    """The parameters of the command that runs whose values a file of options gave.

    >>> with of_file(["seed"]):
    ...     sorted(given_by_file())
    ['seed']
    """
    return _OF_FILE.get()


def refuse_idle(name: str, value: object, why: str, advice: str = "Leave it out") -> None:
    """Refuse an option that would do nothing beside the others, unless it was left out.

    A file of options may hold more than a command needs, as several commands may share it.

    Args:
        name: of the option's parameter.
        value: what was given; None and False are nothing.
        why: it would do nothing.
        advice: what to type next.

    >>> refuse_idle("seed", 3, "is of cka")
    Traceback (most recent call last):
    cache.errors.OptionError: seed=3: is of cka. Leave it out
    >>> with of_file(["seed"]):
    ...     refuse_idle("seed", 3, "is of cka")
    """
    if value not in (None, False) and name not in given_by_file():
        raise OptionError(name, value, f"{why}. {advice}")


def times_named(path: Path) -> int:
    """How often the command names a file or folder that is there, whatever it is for.

    >>> with typed({"runs": ["a.run", "b.run"], "seed": 0, "out": Path("./.")}):
    ...     times_named(Path())
    1
    """
    values = _VALUES.get({}).values()
    lists = (value if isinstance(value, list | tuple) else [value] for value in values)
    named = [text for texts in lists for text in texts if isinstance(text, str | Path)]
    return sum(same_file(path, Path(text)) for text in named)


def same_file(one: Path, two: Path) -> bool:
    """Whether both lead to one file or folder that is there."""
    try:
        return one.samefile(two)
    except (OSError, ValueError):  # not every text is the name of a file
        return False
