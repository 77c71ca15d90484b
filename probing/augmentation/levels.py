"""Transforms of level: gain and clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from probing.audio import Waveform
from probing.augmentation.transform import Range, Transform


@dataclass(frozen=True)
class Gain(Transform):
    """Another level: y = 10^(G/20) x, G in dB."""

    name: ClassVar[str] = "gain"
    help: ClassVar[str] = "another level"
    syntax: ClassVar[str] = "gain:DB"
    expected: ClassVar[str] = "decibels or a range of them, -60 to 60, as gain:-6"

    decibels: Range

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        return cls(Range.read(value).within(-60, 60, "the gain"))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        return waveform * np.float32(10 ** (self.decibels.draw(rng) / 20))


@dataclass(frozen=True)
class Clip(Transform):
    """Hard clipping at a share c of the peak m = max|x|: y = min(max(x, -c m), c m)."""

    name: ClassVar[str] = "clip"
    help: ClassVar[str] = "clipping at a share of the peak"
    syntax: ClassVar[str] = "clip:SHARE"
    expected: ClassVar[str] = "a share of the peak or a range, 0.01 to 1, as clip:0.3"

    share: Range

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        return cls(Range.read(value).within(0.01, 1, "the share"))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        limit = np.float32(self.share.draw(rng)) * np.abs(waveform).max(initial=np.float32(0))
        return np.clip(waveform, -limit, limit)
