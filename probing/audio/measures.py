"""What is kept of every audio file: measures of its samples, and a stamp that says which it was."""

import os
from pathlib import Path
from zlib import crc32

import numpy as np

from cache.bounds import open_regular
from probing.audio.columns import STAMPS
from probing.audio.waveform import SAMPLING_RATE, Waveform

# bytes of a file, from its start, that the checksum is of; its size is known beside
HASHED = 1 << 24


def stamp(path: Path) -> dict[str, float]:
    """What tells a file from another: bytes, microseconds of its last change, CRC-32.

    The CRC-32 is of its first bytes only. All are whole numbers that a float64 holds. Raises
    OSError if the file cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "clip.wav").write_bytes(b"RIFF")
    ...     len(stamp(Path(folder, "clip.wav")))
    3
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        content = file.read(HASHED)
        while len(content) < min(HASHED, status.st_size) and (
            more := file.read(HASHED - len(content))
        ):
            content += more
    return dict(
        zip(
            STAMPS,
            map(float, (status.st_size, status.st_mtime_ns // 1000, crc32(content))),
            strict=True,
        )
    )


def measure(waveform: Waveform) -> dict[str, float]:
    """Features that say nothing about speech, and should not separate the classes.

    Probes are compared with a classifier of them.

    Returns:
        audio_seconds; audio_level_db: RMS in dB of full scale; audio_bandwidth_hz: frequency below
        which 95 % of the power lies; audio_noise_floor_db: 10th percentile of the level of 20 ms
        frames in dB of full scale.

    >>> found = measure(np.sin(np.arange(16_000, dtype=np.float32)))
    >>> found["audio_seconds"], round(found["audio_level_db"], 1)
    (1.0, -3.0)
    """
    samples = waveform.astype(np.float64)  # float32 overflows on absurdly loud files
    from scipy.fft import next_fast_len, rfft  # a wrong option must not wait for it

    n_fft = next_fast_len(len(samples), real=True)
    power = np.abs(rfft(samples - samples.mean(), n_fft)) ** 2
    cumulative = np.cumsum(power)
    rolloff = int(np.searchsorted(cumulative, 0.95 * cumulative[-1]))
    n = max(1, len(waveform) // 320)
    frames = (
        np.resize(samples, (n, 320)) if len(samples) < 320 else samples[: n * 320].reshape(n, 320)
    )
    energy = np.mean(frames**2, axis=1)
    return {
        "audio_seconds": len(waveform) / SAMPLING_RATE,
        "audio_level_db": _decibel(np.mean(samples**2)),
        "audio_bandwidth_hz": rolloff * SAMPLING_RATE / n_fft,
        "audio_noise_floor_db": _decibel(np.percentile(energy, 10)),
    }


def _decibel(power: float | np.floating) -> float:
    return float(10 * np.log10(max(power, 1e-12)))
