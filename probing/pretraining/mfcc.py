"""Mel-frequency cepstral coefficients and mel bands, on the model's own frames."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from probing.audio import SAMPLING_RATE

WINDOW, HOP, N_FFT = 400, 160, 512  # 25 ms every 10 ms; the model's frames are every second of these
N_BANDS, N_CEPSTRA, LIFTER = 40, 13, 22
Features = NDArray[np.float32]


def mfcc(waveform: NDArray[np.float32]) -> Features:
    """Compute 13 liftered MFCCs with first and second differences.

    Args:
        waveform: (samples,) at 16 kHz, normalised to mean 0 and variance 1.

    Returns:
        (frames, 39), frame k over the same 25 ms as frame k of the wav2vec 2.0 family, every 20 ms.
    """
    cepstra = dct(_log_mel(waveform), type=2, norm="ortho", axis=1)[:, :N_CEPSTRA]
    cepstra = cepstra * (1 + LIFTER / 2 * np.sin(np.pi * np.arange(N_CEPSTRA) / LIFTER))
    first = _differences(cepstra)
    return np.concatenate([cepstra, first, _differences(first)], axis=1)[::2].astype(np.float32)


def mel_bands(waveform: NDArray[np.float32]) -> Features:
    """Compute the logarithm of 40 mel bands (frames, 40) on the model's frames."""
    return _log_mel(waveform)[::2].astype(np.float32)


def _log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, N_FFT, axis=1)) ** 2
    return np.log(power @ _mel_matrix() + 1e-3)


def _differences(features: NDArray[np.float64], reach: int = 2) -> NDArray[np.float64]:
    """Regress over five frames, as HTK does."""
    n = len(features)
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    total = sum(i * (padded[reach + i : reach + i + n] - padded[reach - i : reach - i + n]) for i in (1, reach))
    return np.asarray(total / (2 * sum(i * i for i in (1, reach))))


@cache
def _mel_matrix() -> NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(_mel(20.0), _mel(SAMPLING_RATE / 2), N_BANDS + 2) / 2595) - 1)
    frequency = np.arange(N_FFT // 2 + 1) * SAMPLING_RATE / N_FFT
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))
