"""Fingerprints compared: which entries of two differ; what that means, the caller decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """An entry that two fingerprints do not have alike.

    Attributes:
        name: of the entry.
        first, second: its values, None if a fingerprint does not have it.
        in_both: whether both have the entry.
    """

    name: str
    first: Any
    second: Any
    in_both: bool


def differences(
    first: Mapping[str, Any], second: Mapping[str, Any], names: Sequence[str] | None = None
) -> list[Difference]:
    """The entries in which two fingerprints differ, by name.

    Args:
        first: a fingerprint.
        second: another one.
        names: entries to compare; by default all that either has. One that neither has is no
            difference.

    >>> [
    ...     (difference.name, difference.first, difference.second)
    ...     for difference in differences({"crop": 4, "seed": 0}, {"crop": 30, "seed": 0})
    ... ]
    [('crop', 4, 30)]
    """
    compared = sorted({*first, *second} if names is None else names)
    return [
        Difference(name, first.get(name), second.get(name), name in first and name in second)
        for name in compared
        if first.get(name) != second.get(name)
    ]
