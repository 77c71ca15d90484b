"""What was typed for the command that runs: each value by the name of its parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_VALUES: ContextVar[Mapping[str, Any]] = ContextVar("_VALUES")


@contextmanager
def typed(values: Mapping[str, Any]) -> Iterator[None]:
    """Have `times_named` know the values of a command while it runs."""
    before = _VALUES.set(values)
    try:
        yield
    finally:
        _VALUES.reset(before)


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
