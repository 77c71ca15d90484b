"""RawBoost: convolutive, impulsive and stationary noise made from equations alone.

Source: Tak et al. 2022, *RawBoost: a raw data boosting and augmentation method applied to automatic
speaker verification anti-spoofing*, with the ranges of the released code
(TakHemlata/SSL_Anti-spoofing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from probing.audio import SAMPLING_RATE, Waveform
from probing.augmentation.transform import Samples, Transform

N_BANDS = 5  # of a notch filter
CENTRES_HZ = (20.0, 8000.0)
WIDTHS_HZ = (100.0, 1000.0)
TAPS = (10.0, 100.0)
EDGE_HZ = 1e-3  # how near a band may come to 0 and half the rate
N_POWERS = 5  # of the signal, in the convolutive noise
POWERS_DB = (-20.0, -5.0)  # gain of the second power and higher
MOST_TOUCHED = 0.10  # share of samples, of the impulsive noise
IMPULSE_GAIN = 2.0
SNR_DB = (10.0, 40.0)  # of the stationary noise
N_FREQUENCIES = 512  # at which the peak of a filter's response is looked for


def notch_filter(rng: np.random.Generator, gain_db: tuple[float, float] = (0.0, 0.0)) -> Samples:
    """Coefficients of a random FIR filter with five notches.

    Five Hamming band-stop filters, each of centre U(20, 8000) Hz, width U(100, 1000) Hz and int
    U(10, 100) taps made odd, are convolved: b <- 10^(G/20) b / max|H|, G ~ U(gain_db). Edges of
    bands are kept within 0 and half the rate.
    """
    from scipy.signal import firwin  # slow to import

    b = np.ones(1)
    for _ in range(N_BANDS):
        centre, width = rng.uniform(*CENTRES_HZ), rng.uniform(*WIDTHS_HZ)
        n_taps = int(rng.uniform(*TAPS)) | 1
        low = max(centre - width / 2, EDGE_HZ)
        high = min(centre + width / 2, SAMPLING_RATE / 2 - EDGE_HZ)
        b = np.convolve(b, firwin(n_taps, [low, high], window="hamming", fs=SAMPLING_RATE))
    response = np.fft.rfft(b, 2 * N_FREQUENCIES)[:N_FREQUENCIES]
    return np.asarray(10 ** (rng.uniform(*gain_db) / 20) * b / np.abs(response).max())


def filtered(x: Samples, b: Samples) -> Samples:
    """The signal (n,) behind the FIR filter b, from output sample (len(b) + 1) / 2 on.

    It is padded with zeros, so that (n,) are left.
    """
    from scipy.signal import oaconvolve

    cut = (len(b) + 1) // 2
    return np.asarray(np.append(oaconvolve(x, b), 0.0)[cut : cut + len(x)])


def norm1(x: Samples) -> Samples:
    """The signal, divided by max|x| if that is above 1."""
    return x / max(1.0, float(np.abs(x).max(initial=0.0)))


def convolutive(x: Samples, rng: np.random.Generator) -> Samples:
    """Linear and non-linear convolutive noise (LnL).

    y = sum over j = 1..5 of b_j * x^j, each b_j a notch filter, of 0 dB for j = 1 and U(-20, -5) dB
    above; y - mean(y) is brought to a peak of 1 if it is louder.
    """
    y = filtered(x, notch_filter(rng))
    power = x
    for _ in range(2, N_POWERS + 1):
        power = power * x  # `x**j` takes ten times as long
        y += filtered(power, notch_filter(rng, POWERS_DB))
    return norm1(y - y.mean())


def impulsive(x: Samples, rng: np.random.Generator) -> Samples:
    """Impulsive noise that depends on the signal (ISD).

    y[p] = x[p] (1 + 2 u1 u2) at a share U(0, 10 %) of the samples p, without repetition; u1, u2 ~
    U(-1, 1).
    """
    n = int(len(x) * rng.uniform(0, MOST_TOUCHED))
    where = rng.permutation(len(x))[:n]
    y = x.copy()
    y[where] += IMPULSE_GAIN * x[where] * rng.uniform(-1, 1, n) * rng.uniform(-1, 1, n)
    return norm1(y)


def stationary(x: Samples, rng: np.random.Generator) -> Samples:
    """Stationary noise that does not depend on the signal (SSI).

    y = x + w |x| / (|w| 10^(SNR/20)): w is N(0, 1) behind a notch filter, SNR ~ U(10, 40) dB.
    """
    noise = filtered(rng.normal(0, 1, len(x)), notch_filter(rng))
    snr = rng.uniform(*SNR_DB)
    norm = np.linalg.norm(noise)
    return x + noise * (np.linalg.norm(x) / norm / 10 ** (snr / 20) if norm > 0 else 0.0)


SERIES: dict[int, tuple[Callable[[Samples, np.random.Generator], Samples], ...]] = {
    0: (),
    1: (convolutive,),
    2: (impulsive,),
    3: (stationary,),
    4: (convolutive, impulsive, stationary),
    5: (convolutive, impulsive),
    6: (convolutive, stationary),
    7: (impulsive, stationary),
}
PARALLEL = 8  # norm1(convolutive(x) + impulsive(x))


@dataclass(frozen=True)
class RawBoost(Transform):
    """RawBoost by the number of its algorithm.

    The equations are in `convolutive`, `impulsive` and `stationary`.

    0 none; 1 LnL; 2 ISD; 3 SSI; 4 = 1, 2, 3 in series; 5 = 1, 2; 6 = 1, 3; 7 = 2, 3; 8 =
    norm1(LnL(x) + ISD(x)). Published systems train with 5 for logical access and 3 for deepfakes.
    """

    name: ClassVar[str] = "rawboost"
    help: ClassVar[str] = "convolutive, impulsive and stationary noise of Tak et al. 2022"
    syntax: ClassVar[str] = "rawboost:0..8"
    expected: ClassVar[str] = "one of 0 to 8, as rawboost:5"

    algorithm: int = 5

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        if value not in {str(number) for number in (*SERIES, PARALLEL)}:
            raise ValueError(f"there is no algorithm {value!r}")
        return cls(int(value))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        x = waveform.astype(np.float64)
        if self.algorithm == PARALLEL:
            x = norm1(convolutive(x, rng) + impulsive(x, rng))
        else:
            for step in SERIES[self.algorithm]:
                x = step(x, rng)
        return x.astype(np.float32)

    def depends_on(self) -> dict[str, Any]:
        """See `Transform`."""
        import scipy

        return {"scipy": scipy.__version__}
