"""When the frames of a cache are: the time of the middle of what each one sees of the waveform."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import CacheCorrupt, ProbeError
from cache.manifest import Manifest

ENTRY = "frame_timing"  # of a manifest's `about`
SAMPLING_RATE = 16000
RULE = re.compile(r"floor\(\(n_samples - (-?\d+)\) / (\d+)\) \+ 1")
# Families whose front ends pad, for caches of versions before 0.2, which say no more than the
# family.
PADDED = {"whisper": 0.0, "moonshine_streaming": -440.0}
# of a hop; times are decimals of seconds, so that a centre can be off a boundary by rounding
NEAR = 1e-6


@dataclass(frozen=True)
class FrameTiming:
    """When frames are: frame j is centred `centre + j * hop` samples after the beginning.

    Sample i is the stretch from i to i + 1, so that a window of samples 0 to 399 has its centre at
    200. What counts is the front end; positional convolutions and attention see more, on both
    sides.

    Args:
        hop: samples from one frame to the next.
        centre: samples from the beginning of the clip to the centre of frame 0; negative if a
            causal front end pads the beginning.
        sampling_rate: in Hz.

    >>> FrameTiming(320, 200).times(3).tolist()
    [0.0125, 0.0325, 0.0525]
    """

    hop: int
    centre: float
    sampling_rate: int = SAMPLING_RATE

    @property
    def seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop / self.sampling_rate

    def times(self, n_frames: int) -> NDArray[np.float64]:
        """The centres (n_frames,) of the first frames, in seconds."""
        return np.asarray(
            (self.centre + self.hop * np.arange(n_frames)) / self.sampling_rate, np.float64
        )

    def first_at(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The first frame whose centre is not before each time (seconds).

        If these are a and b of start and end, frames a to b - 1 are centred in [start, end).

        A frame before the first or behind the last of a clip is not left out here.

        >>> FrameTiming(320, 200).first_at(np.array([0.0, 0.0125, 0.02])).tolist()
        [0, 0, 1]
        """
        frames = (np.asarray(seconds, np.float64) * self.sampling_rate - self.centre) / self.hop
        return np.ceil(frames - NEAR).astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """The entry of a manifest's `about`."""
        return asdict(self)


def timing_in(fingerprint: Mapping[str, Any]) -> FrameTiming | None:
    """The timing that a fingerprint implies; None if the front end pads in an unknown way.

    >>> timing_in(
    ...     {"backbone_family": "wavlm", "backbone_frames": "floor((n_samples - 400) / 320) + 1"}
    ... )
    FrameTiming(hop=320, centre=200.0, sampling_rate=16000)
    """
    found = RULE.fullmatch(str(fingerprint.get("backbone_frames")))
    if found is None:
        return None
    window, hop = map(int, found.groups())
    family = fingerprint.get("backbone_family")
    centre = PADDED[family] if isinstance(family, str) and family in PADDED else middle(window, hop)
    return None if centre is None or hop < 1 else FrameTiming(hop, centre)


def middle(window: int, hop: int) -> float | None:
    """Half a window, the centre of frame 0; None if the front end pads or skips samples.

    A front end that pads gives its first frame for fewer samples than a hop.

    >>> middle(400, 320)
    200.0
    """
    return window / 2 if window >= hop else None


def timing_of(manifest: Manifest, folder: object) -> FrameTiming:
    """The timing of the frames of a cache: as extraction noted it, or as its fingerprint implies.

    Raises:
        CacheCorrupt: what is noted is no timing.
        ProbeError: nothing says when the frames are.
    """
    if ENTRY not in manifest.about:
        found = timing_in(manifest.fingerprint)
        if found is None:
            raise ProbeError(
                f"{folder}: nothing in it says when its frames are: the front end of "
                f"{manifest.about.get('backbone', 'its backbone')} pads, or has a frame rule of "
                "its own. Give its family a `centre` (CONTRIBUTING.md) "
                "and extract again into another folder."
            )
        return found
    entry = manifest.about[ENTRY]
    if (
        isinstance(entry, dict)
        and set(entry) == {"hop", "centre", "sampling_rate"}
        and all(type(entry[name]) is int and entry[name] > 0 for name in ("hop", "sampling_rate"))
        and type(entry["centre"]) in (int, float)
        and math.isfinite(entry["centre"])
    ):
        return FrameTiming(entry["hop"], float(entry["centre"]), entry["sampling_rate"])
    raise CacheCorrupt(
        f"{folder}: damaged ({ENTRY} is {entry!r}, expected hop, centre "
        "and sampling_rate). Restore it from a copy."
    )
