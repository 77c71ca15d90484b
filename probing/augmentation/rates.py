"""Transforms of time and bandwidth: speed, resampling, crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import soxr

from probing.audio import SAMPLING_RATE, Waveform
from probing.audio.waveform import RESAMPLER_QUALITY
from probing.augmentation.transform import Range, Transform, fitted

PUBLISHED_SAMPLES = 64_600  # the crop of most anti-spoofing systems, 4.0375 s


def resampled(waveform: Waveform, rate: float, to: float) -> Waveform:
    """A waveform at another rate; never empty."""
    made = soxr.resample(waveform, rate, to, quality=RESAMPLER_QUALITY)
    return made if len(made) else waveform[:1]


def through_rate(waveform: Waveform, rate: int) -> Waveform:
    """A waveform that has been at another rate: nothing above half of it is left.

    The length stays.
    """
    return fitted(
        resampled(resampled(waveform, SAMPLING_RATE, rate), rate, SAMPLING_RATE), len(waveform)
    )


def cropped(waveform: Waveform, n_samples: int, rng: np.random.Generator | None) -> Waveform:
    """So many samples from a random place, or from the start without a generator.

    They are tiled if there are fewer.

    >>> cropped(np.arange(3, dtype=np.float32), 5, None).tolist()
    [0.0, 1.0, 2.0, 0.0, 1.0]
    """
    if len(waveform) < n_samples:
        return np.tile(waveform, -(-n_samples // len(waveform)))[:n_samples]
    start = int(rng.integers(len(waveform) - n_samples + 1)) if rng else 0
    return waveform[start : start + n_samples]


class _BySoxr(Transform):
    """What soxr computes."""

    def depends_on(self) -> dict[str, Any]:
        """See `Transform`."""
        return {"soxr": f"{soxr.__version__} {RESAMPLER_QUALITY}"}


@dataclass(frozen=True)
class Speed(_BySoxr):
    """Speed perturbation (Ko et al. 2015): y(t) = x(s t); pitch moves, n becomes n / s.

    n is the number of samples.
    """

    name: ClassVar[str] = "speed"
    help: ClassVar[str] = "faster or slower, with the pitch"
    syntax: ClassVar[str] = "speed:FACTOR"
    expected: ClassVar[str] = "a factor or a range, 0.5 to 2, as speed:0.9-1.1"
    moves_time: ClassVar[bool] = True

    factor: Range

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        return cls(Range.read(value).within(0.5, 2, "the factor"))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length is divided by the factor."""
        factor = self.factor.draw(rng)
        return (
            waveform if factor == 1 else resampled(waveform, SAMPLING_RATE * factor, SAMPLING_RATE)
        )


@dataclass(frozen=True)
class Resample(_BySoxr):
    """Resampling to a lower rate and back, as a telephone line does: the upper band is lost.

    8000 Hz is that of a telephone line.
    """

    name: ClassVar[str] = "resample"
    help: ClassVar[str] = "to a lower rate and back"
    syntax: ClassVar[str] = "resample:HZ"
    expected: ClassVar[str] = "a rate in Hz, 1000 to 16000, as resample:8000"

    rate: int

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        if not value.isdecimal():
            raise ValueError(f"{value!r} is no whole number")
        if not 1000 <= int(value) <= SAMPLING_RATE:
            raise ValueError(f"the rate {value} is not within 1000 to {SAMPLING_RATE}")
        return cls(int(value))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        return waveform if self.rate == SAMPLING_RATE else through_rate(waveform, self.rate)


@dataclass(frozen=True)
class Crop(Transform):
    """A random piece of so many samples; 64,600 as in most published systems.

    A shorter waveform is tiled.
    """

    name: ClassVar[str] = "crop"
    help: ClassVar[str] = "a random piece, tiled if short"
    syntax: ClassVar[str] = "crop[:SAMPLES]"
    expected: ClassVar[str] = "a number of samples, 800 or more, as crop:64600"
    moves_time: ClassVar[bool] = True

    n_samples: int = PUBLISHED_SAMPLES

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        if not value:
            return cls()
        if not value.isdecimal() or int(value) < 800:
            raise ValueError(f"{value!r} is no whole number of 800 or more")
        return cls(int(value))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length is `n_samples`."""
        return cropped(waveform, self.n_samples, rng)
