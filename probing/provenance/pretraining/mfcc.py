"""Mel-frequency cepstral coefficients, on the model's own frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from probing.audio.mel import log_mel

N_CEPSTRA = 13
LIFTER = 22
Features = NDArray[np.float32]


def mfcc(waveform: NDArray[np.float32]) -> Features:
    """Compute 13 liftered MFCCs with first and second differences.

    Args:
        waveform: (samples,) at 16 kHz, normalised to mean 0 and variance 1.

    Returns:
        (frames, 39), frame k over the same 25 ms as frame k of the wav2vec 2.0 family, every 20 ms.
    """
    cepstra = dct(log_mel(waveform), type=2, norm="ortho", axis=1)[:, :N_CEPSTRA]
    cepstra = cepstra * (1 + LIFTER / 2 * np.sin(np.pi * np.arange(N_CEPSTRA) / LIFTER))
    first = _differences(cepstra)
    return np.concatenate([cepstra, first, _differences(first)], axis=1)[::2].astype(np.float32)


def _differences(features: NDArray[np.float64], reach: int = 2) -> NDArray[np.float64]:
    """Regress over five frames, as HTK does."""
    n = len(features)
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    total = sum(
        i * (padded[reach + i : reach + i + n] - padded[reach - i : reach - i + n])
        for i in (1, reach)
    )
    return np.asarray(total / (2 * sum(i * i for i in (1, reach))))
