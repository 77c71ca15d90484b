"""Levels: duration, energy, tilt and signal-to-noise ratio of a clip, or around points in time."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from probing.audio import SAMPLING_RATE, Waveform

Values = NDArray[np.float64]

WINDOW = 400  # samples around a point in time: 25 ms, about what a frame of speech models sees
FLOOR_FRAME = 320  # samples: 20 ms, as those of audio_noise_floor_db
FLOOR_PERCENTILE = 10
LEAST_POWER = 1e-12  # -120 dB
TILT_WINDOW = 512  # samples: 32 ms
TILT_OCTAVES = 250.0 * 2.0 ** np.arange(5)  # centres in Hz: each has a harmonic for F0 up to 350 Hz
BLOCK = 4096  # windows that are transformed together


def decibel(power: Values | float) -> Values:
    """Power in dB of full scale, at least -120.

    >>> decibel(np.array([1.0, 0.01])).tolist()
    [0.0, -20.0]
    """
    return np.asarray(10 * np.log10(np.maximum(power, LEAST_POWER)))


def duration(samples: Waveform) -> float:
    """Length in s.

    >>> duration(np.zeros(8000, np.float32))
    0.5
    """
    return len(samples) / SAMPLING_RATE


def energy(samples: Waveform) -> float:
    """Mean power in dB of full scale.

    >>> round(energy(np.full(16000, 0.1, np.float32)), 3)
    -20.0
    """
    return float(decibel(float(np.mean(samples.astype(np.float64) ** 2))))


def energy_at(samples: Waveform, times: Values) -> Values:
    """Mean power of the 25 ms around times in s, in dB of full scale; NaN outside the clip."""
    return np.where(_inside(samples, times), decibel(_power_at(samples, times)), np.nan)


def tilt(samples: Waveform) -> float:
    """Slope of the long-term spectrum in dB an octave: a line through the power per Hz of five
    octaves, 177 to 5657 Hz.

    White noise has 0, pink noise -3, a glottal source about -12. NaN where there is no sound at
    all.
    """
    n = max(1, (len(samples) - TILT_WINDOW) // (TILT_WINDOW // 2) + 1)
    starts = np.arange(n) * (TILT_WINDOW // 2)
    total = np.zeros(len(TILT_OCTAVES))
    for i in range(0, n, BLOCK):
        total += _octaves(samples, starts[i : i + BLOCK]).sum(axis=0)
    return float(_slopes(total[None])[0])


def tilt_at(samples: Waveform, times: Values) -> Values:
    """As `tilt`, of the 32 ms around times in s.

    NaN outside the clip and where there is no sound.
    """
    starts = np.rint(times * SAMPLING_RATE).astype(np.int64) - TILT_WINDOW // 2
    found = [
        _slopes(_octaves(samples, starts[i : i + BLOCK])) for i in range(0, len(starts), BLOCK)
    ]
    return np.where(_inside(samples, times), np.concatenate([np.zeros(0), *found]), np.nan)


def noise_floor(samples: Waveform) -> float:
    """10th percentile of the power of 20 ms frames, not in dB."""
    n = len(samples) // FLOOR_FRAME
    if not n:
        return float(np.mean(samples.astype(np.float64) ** 2))
    frames = samples[: n * FLOOR_FRAME].astype(np.float64).reshape(n, FLOOR_FRAME)
    return float(np.percentile(np.mean(frames**2, axis=1), FLOOR_PERCENTILE))


def snr(samples: Waveform) -> float:
    """Signal-to-noise ratio in dB: the noise is the 10th percentile of the power of 20 ms frames,
    the signal the rest.

    It needs a pause: a clip without any looks noisier than it is, and none has more than its pauses
    allow. On speech with white noise added at 0 to 15 dB it is 0.3 to 1.3 dB off (root mean
    square), where WADA-SNR (Kim and Stern 2008) is 1.5 to 4.9 dB off. NaN if no frame is below the
    mean.
    """
    noise = max(noise_floor(samples), LEAST_POWER)
    signal = float(np.mean(samples.astype(np.float64) ** 2)) - noise
    return float(10 * np.log10(signal / noise)) if signal > 0 else np.nan


def snr_at(samples: Waveform, times: Values) -> Values:
    """Level of the 25 ms around times in s above the noise floor of the clip, in dB.

    NaN outside the clip.
    """
    return energy_at(samples, times) - decibel(noise_floor(samples))


def _inside(samples: Waveform, times: Values) -> NDArray[np.bool_]:
    return np.asarray((times >= 0) & (times <= len(samples) / SAMPLING_RATE))


def _power_at(samples: Waveform, times: Values) -> Values:
    """Mean power of the part of the window that lies in the clip; 0 where none does."""
    sums = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    centre = np.rint(times * SAMPLING_RATE).astype(np.int64)
    start = np.clip(centre - WINDOW // 2, 0, len(samples))
    end = np.clip(centre + WINDOW // 2, 0, len(samples))
    return np.asarray((sums[end] - sums[start]) / np.maximum(end - start, 1))


def _octaves(samples: Waveform, starts: NDArray[np.int64]) -> Values:
    """Power per Hz (windows, octaves) of Hann windows that begin at samples.

    What lies outside the clip is 0.
    """
    index = starts[:, None] + np.arange(TILT_WINDOW)
    inside = (index >= 0) & (index < len(samples))
    windows = np.where(inside, samples[np.clip(index, 0, len(samples) - 1)], 0).astype(np.float64)
    power = np.abs(np.fft.rfft(windows * np.hanning(TILT_WINDOW), 2 * TILT_WINDOW, axis=1)) ** 2
    hertz = np.fft.rfftfreq(2 * TILT_WINDOW, 1 / SAMPLING_RATE)
    edges = np.searchsorted(hertz, [*(TILT_OCTAVES / np.sqrt(2)), TILT_OCTAVES[-1] * np.sqrt(2)])
    return np.stack([power[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)


def _slopes(octaves: Values) -> Values:
    """Slopes in dB an octave of power (rows, octaves); NaN in rows without any."""
    level = 10 * np.log10(np.maximum(octaves, LEAST_POWER))
    x = np.arange(octaves.shape[1]) - (octaves.shape[1] - 1) / 2
    return np.where(octaves.max(axis=1) > LEAST_POWER, level @ x / (x @ x), np.nan)
