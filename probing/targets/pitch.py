"""Pitch: F0 and voicing by Praat's autocorrelation (Boersma 1993), in praat-parselmouth.

Chosen by measurement (`tests/benchmarks/pitch_trackers.py`). On tones of known F0 it is as exact as
Harvest of WORLD; in noise Harvest is more exact, but it calls 5 % of noise and 7 % of pauses
voiced, and takes 40 times as long. DIO with StoneMask of WORLD is right about these, and less exact
on clean tones.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.audio import SAMPLING_RATE, Waveform

# Praat's own settings for speech, with the range of adults and children
FLOOR_HZ = 60.0
CEILING_HZ = 500.0
STEP_S = 0.01
WINDOW_S = 3 / FLOOR_HZ  # the shortest sound that has a pitch


class Pitch:
    """The pitch of a clip: candidates every 10 ms of 60 to 500 Hz, and the best path through them.

    Args:
        samples: (n,) at 16 kHz.

    Attributes:
        f0: (n_frames,) in Hz, 0 where unvoiced; none if the clip is shorter than 50 ms, Praat's
            window.

    Raises:
        ProbeError: praat-parselmouth is not installed.

    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> round(Pitch(tone).mean_f0()), Pitch(tone).share_voiced()
    (200, 1.0)
    """

    def __init__(self, samples: Waveform) -> None:
        library = praat()
        self.f0 = np.zeros(0)
        self._pitch: Any = None
        if len(samples) < WINDOW_S * SAMPLING_RATE + 2:
            return
        sound = library.Sound(samples.astype(np.float64), SAMPLING_RATE)
        self._pitch = sound.to_pitch_ac(
            time_step=STEP_S, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ
        )
        self.f0 = np.array(self._pitch.selected_array["frequency"], np.float64)

    def mean_f0(self) -> float:
        """Mean F0 of the voiced frames in Hz; NaN if none is."""
        voiced = self.f0[self.f0 > 0]
        return float(voiced.mean()) if len(voiced) else np.nan

    def share_voiced(self) -> float:
        """Share of the frames that are voiced; NaN if there is no frame."""
        return float((self.f0 > 0).mean()) if len(self.f0) else np.nan

    def f0_at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """F0 in Hz at times in s, between frames by a line.

        NaN where the nearest frame is unvoiced, or there is none.

        The first and the last 25 ms have no frame: half a window.
        """
        if self._pitch is None:
            return np.full(len(times), np.nan)
        return np.array([self._pitch.get_value_at_time(time) for time in times], np.float64)

    def voicing_at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 if the frame nearest to a time in s is voiced, else 0; NaN if there is none."""
        if self._pitch is None:
            return np.full(len(times), np.nan)
        index = np.rint((times - self._pitch.x1) / self._pitch.dx)
        inside = (index >= 0) & (index < len(self.f0))
        voiced = self.f0[np.clip(index, 0, len(self.f0) - 1).astype(np.int64)] > 0
        return np.where(inside, voiced, np.nan)


def praat() -> Any:
    """The package parselmouth; ProbeError if it is not installed."""
    try:
        import parselmouth
    except ImportError as error:
        raise ProbeError(
            f"f0 and voicing need praat-parselmouth, which cannot be imported ({error}). Install "
            "it: pip install -c constraints.txt -e '.[pitch]'"
        ) from None
    return parselmouth
