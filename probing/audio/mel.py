"""Mel bands on the model's own frames."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from probing.audio.waveform import SAMPLING_RATE

# 25 ms every 10 ms; the model's frames are every second of these
WINDOW = 400
HOP = 160
N_FFT = 512
N_BANDS = 40


def mel_bands(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the logarithm of 40 mel bands (frames, 40) on the model's frames.

    >>> mel_bands(np.zeros(16_000, np.float32)).shape
    (49, 40)
    """
    return log_mel(waveform)[::2].astype(np.float32)


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the logarithm of 40 mel bands every 10 ms, (frames, 40).

    >>> log_mel(np.zeros(16_000, np.float32)).shape
    (98, 40)
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, N_FFT, axis=1)) ** 2
    return np.log(power @ _mel_matrix() + 1e-3)


@cache
def _mel_matrix() -> NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(_mel(20.0), _mel(SAMPLING_RATE / 2), N_BANDS + 2) / 2595) - 1)
    frequency = np.arange(N_FFT // 2 + 1) * SAMPLING_RATE / N_FFT
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))
