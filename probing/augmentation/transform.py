"""Transform: a change of waveforms, typed as `name:value`, and the ranges it draws from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.audio import Waveform
from probing.registry import Registry, RegistryError

NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = re.compile(f"({NUMBER})(?:-({NUMBER}))?")

Samples = NDArray[np.float64]


class TransformError(ProbeError, ValueError):
    """A transform cannot be applied: a package is missing, or a file of a folder is unusable."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, drawn uniformly; one number if both are the same.

    >>> str(Range.read("0.9-1.1")), str(Range.read("-6"))
    ('0.9-1.1', '-6')
    """

    low: float
    high: float

    @classmethod
    def read(cls, text: str) -> Range:
        """The range that a text such as `10` or `0-15` names; ValueError if it names none."""
        found = RANGE.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no number, and no range as 0-15")
        low, high = float(found[1]), float(found[2] or found[1])
        if low > high:
            raise ValueError(f"the range {text} goes down")
        return cls(low, high)

    def within(self, low: float, high: float, what: str) -> Range:
        """Itself; ValueError if it leaves low to high."""
        if not low <= self.low <= self.high <= high:
            raise ValueError(f"{what} {self} is not within {low:g} to {high:g}")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """A number of it."""
        return float(rng.uniform(self.low, self.high)) if self.low < self.high else self.low

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"


@dataclass(frozen=True)
class Transform(ABC):
    """A change of waveforms; your own is a frozen dataclass registered in `TRANSFORMS`.

    Class attributes:
        name: by which a chain names it.
        help: what it does, in one line.
        syntax: how it is typed.
        expected: what its value must be, in words.
        many: whether its value is a list with commas.
        choices: words that its value may begin with.
        moves_time: whether what was said at a time is said at another one afterwards.

    >>> from probing.augmentation import Augmentation
    >>> float(Augmentation.of("gain:-20").apply(np.ones(3, np.float32), seed=0, utterance="a")[0])
    0.10000000149011612
    """

    name: ClassVar[str]
    help: ClassVar[str]
    syntax: ClassVar[str]
    expected: ClassVar[str]
    many: ClassVar[bool] = False
    choices: ClassVar[tuple[str, ...]] = ()
    moves_time: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def read(cls, value: str) -> Self:
        """The transform of a value, as typed behind the colon; ValueError says what is wrong."""

    @abstractmethod
    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """The waveform (n,) at 16 kHz, changed; all chance comes from `rng`."""

    def check(self) -> None:  # noqa: B027
        """Raise TransformError if something that it needs, a package or a folder, is not there."""

    def identity(self) -> dict[str, Any]:
        """What decides its numbers: its name, its values, and what `depends_on` says."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {"name": self.name, **values, **self.depends_on()}

    def depends_on(self) -> dict[str, Any]:
        """What decides its numbers beside its values, as versions of libraries and files."""
        return {}


def _plain(value: Any) -> Any:
    return (
        [str(part) for part in value]
        if isinstance(value, tuple)
        else value
        if isinstance(value, int)
        else str(value)
    )


class Transforms(Registry[Any]):
    """Classes of transforms by name."""

    def own(self, kind: type[Transform]) -> type[Transform]:
        """Register a class of one's own: `@TRANSFORMS.own` above `@dataclass(frozen=True)`."""
        if not (isinstance(kind, type) and issubclass(kind, Transform)):
            raise RegistryError(
                f"{self.noun} {kind!r}: it does not inherit from {__name__}.Transform"
            )
        self.register(kind)
        return kind


def drawn_of(ranges: tuple[Range, ...], rng: np.random.Generator) -> float:
    """A number of one of the ranges, each as likely."""
    which = int(rng.integers(len(ranges))) if len(ranges) > 1 else 0
    return ranges[which].draw(rng)


def fitted(waveform: NDArray[Any], n: int) -> NDArray[Any]:
    """A waveform of n samples: cut at its end, or followed by zeros."""
    return waveform[:n] if len(waveform) >= n else np.pad(waveform, (0, n - len(waveform)))


def at_peak_one(waveform: Waveform, change: Callable[[Waveform], Waveform]) -> Waveform:
    """A change that takes only -1 to 1, as a codec, of any waveform, turned down and up."""
    peak = max(1.0, float(np.abs(waveform).max(initial=0.0)))
    return change((waveform / peak).astype(np.float32)) * np.float32(peak)
