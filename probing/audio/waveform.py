"""Waveforms as a speech model takes them: 16 kHz, one channel, float32, cropped."""

from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from probing.audio.containers import UnusableAudio

SAMPLING_RATE = 16_000
RESAMPLER_QUALITY = "HQ"
_ONE_STEP_OF_16_BITS = 1 / 32768

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Cropping:
    """How much of a clip the model sees.

    Attributes:
        max_seconds: longer clips are cut to their beginning.
        seconds: if given, every clip is made exactly this long: its beginning, or the clip repeated
            from its start (the 64,600 samples of Pan et al. 2024 are 4.0375 s).

    >>> Cropping(seconds=0.5).n_samples()
    8000
    """

    max_seconds: float = 30.0
    seconds: float | None = None

    def n_samples(self) -> int:
        """The most samples a clip can have."""
        return round((self.max_seconds if self.seconds is None else self.seconds) * SAMPLING_RATE)

    def apply(self, waveform: Waveform) -> Waveform:
        """Crop, or repeat, a waveform (n,)."""
        n = self.n_samples()
        if self.seconds is not None and len(waveform) < n:
            waveform = np.tile(waveform, -(-n // len(waveform)))
        return waveform[:n]

    def fingerprint(self) -> dict[str, str]:
        """What changes a number here."""
        rule = (
            f"first {self.max_seconds:g} s"
            if self.seconds is None
            else f"exactly {self.seconds:g} s, repeated"
        )
        return {
            "crop": rule,
            "decoder": f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}",
            "resampler": f"soxr {soxr.__version__} {RESAMPLER_QUALITY} to "
            f"{SAMPLING_RATE} Hz, mean of channels",
        }


def fit_audio(samples: Waveform, rate: int, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Bring decoded samples (n, channels) at any rate to 16 kHz mono float32, cropped.

    Raises:
        UnusableAudio: empty, NaN or infinite, silent, or too short.

    >>> fit_audio(np.ones((48_000, 2), np.float32), 48_000, Cropping(seconds=0.5)).shape
    (8000,)
    """
    if not len(samples):
        raise UnusableAudio("empty: no samples")
    if not np.isfinite(samples).all():
        raise UnusableAudio(f"{int((~np.isfinite(samples)).sum())} samples are NaN or infinite")
    waveform = samples.mean(axis=1)
    if rate != SAMPLING_RATE:
        waveform = soxr.resample(waveform, rate, SAMPLING_RATE, quality=RESAMPLER_QUALITY)
    if len(waveform) < min_samples:
        raise UnusableAudio(
            f"too short: {len(waveform)} samples at 16 kHz, the model needs {min_samples}"
        )
    waveform = np.ascontiguousarray(cropping.apply(waveform), dtype=np.float32)
    if np.abs(waveform).max() < _ONE_STEP_OF_16_BITS:
        raise UnusableAudio("silent: no sample above one 16-bit step")
    return waveform
