"""Audio as a speech model takes it: 16 kHz mono float32, whatever the file holds, or the reason it cannot be used."""

import os
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft

from cache.bounds import check_regular, open_regular

SAMPLING_RATE = 16_000
RESAMPLER_QUALITY = "HQ"
MEASURES = ("audio_seconds", "audio_level_db", "audio_bandwidth_hz", "audio_noise_floor_db")
STAMPS = ("file_bytes", "file_mtime_us", "file_crc32")  # which file it was, kept beside the measures
HASHED = 1 << 24  # bytes of a file, from its start, that the checksum is of; its size is known beside
_ONE_STEP_OF_16_BITS = 1 / 32768

Waveform = NDArray[np.float32]


class UnusableAudio(Exception):
    """A file that cannot be used; the message is the reason written to failures.csv."""


@dataclass(frozen=True)
class Cropping:
    """How much of a clip the model sees.

    max_seconds: longer clips are cut to their beginning.
    seconds: if given, every clip is made exactly this long: its beginning, or the clip repeated from its start (the
        64,600 samples of Pan et al. 2024 are 4.0375 s).
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
        rule = f"first {self.max_seconds:g} s" if self.seconds is None else f"exactly {self.seconds:g} s, repeated"
        return {
            "crop": rule,
            "decoder": f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}",
            "resampler": f"soxr {soxr.__version__} {RESAMPLER_QUALITY} to {SAMPLING_RATE} Hz, mean of channels",
        }


def load_audio(path: Path, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Decode a file (wav, flac, ogg, opus, mp3, ...; any rate and channels) to 16 kHz mono float32, cropped.

    Args:
        path: the file.
        cropping: how much of it is wanted.
        min_samples: fewest 16 kHz samples the model can take.

    Raises:
        UnusableAudio: missing, not audio, truncated, or as `fit_audio`.
    """
    try:
        check_regular(path)
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            n_wanted = min(file.frames, int(np.ceil((cropping.n_samples() / SAMPLING_RATE + 0.1) * rate)))
            samples = file.read(n_wanted, dtype="float32", always_2d=True)
            kind = file.format
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError) as error:
        raise UnusableAudio(_why_unreadable(path, error)) from None
    if kind in ("WAV", "WAVEX", "OGG"):
        _check_whole(path, kind)
    if len(samples) < n_wanted:
        raise UnusableAudio(f"truncated: {len(samples)} of {n_wanted} samples could be decoded")
    return fit_audio(samples, rate, cropping, min_samples)


def fit_audio(samples: Waveform, rate: int, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Bring decoded samples (n, channels) at any rate to 16 kHz mono float32, cropped.

    Raises:
        UnusableAudio: empty, NaN or infinite, silent, or too short.
    """
    if not len(samples):
        raise UnusableAudio("empty: no samples")
    if not np.isfinite(samples).all():
        raise UnusableAudio(f"{int((~np.isfinite(samples)).sum())} samples are NaN or infinite")
    waveform = samples.mean(axis=1)
    if rate != SAMPLING_RATE:
        waveform = soxr.resample(waveform, rate, SAMPLING_RATE, quality=RESAMPLER_QUALITY)
    if len(waveform) < min_samples:
        raise UnusableAudio(f"too short: {len(waveform)} samples at 16 kHz, the model needs {min_samples}")
    waveform = np.ascontiguousarray(cropping.apply(waveform), dtype=np.float32)
    if np.abs(waveform).max() < _ONE_STEP_OF_16_BITS:
        raise UnusableAudio("silent: no sample above one 16-bit step")
    return waveform


def stamp(path: Path) -> dict[str, float]:
    """What tells the content of a file from another: bytes, microseconds of its last change, CRC-32 of its beginning.

    All are whole numbers that a float64 holds. Raises OSError where the file cannot be read.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        content = file.read(HASHED)
        while len(content) < min(HASHED, status.st_size) and (more := file.read(HASHED - len(content))):
            content += more
    return dict(zip(STAMPS, map(float, (status.st_size, status.st_mtime_ns // 1000, crc32(content))), strict=True))


def measure(waveform: Waveform) -> dict[str, float]:
    """Features that say nothing about speech, to compare probes with: they should not separate the classes.

    Returns:
        audio_seconds; audio_level_db: RMS in dB of full scale; audio_bandwidth_hz: frequency below which 95 % of the
        power lies; audio_noise_floor_db: 10th percentile of the level of 20 ms frames in dB of full scale.
    """
    samples = waveform.astype(np.float64)  # float32 overflows on absurdly loud files
    n_fft = next_fast_len(len(samples), real=True)
    power = np.abs(rfft(samples - samples.mean(), n_fft)) ** 2
    cumulative = np.cumsum(power)
    rolloff = int(np.searchsorted(cumulative, 0.95 * cumulative[-1]))
    n = max(1, len(waveform) // 320)
    frames = np.resize(samples, (n, 320)) if len(samples) < 320 else samples[: n * 320].reshape(n, 320)
    energy = np.mean(frames**2, axis=1)
    return {
        "audio_seconds": len(waveform) / SAMPLING_RATE,
        "audio_level_db": _decibel(np.mean(samples**2)),
        "audio_bandwidth_hz": rolloff * SAMPLING_RATE / n_fft,
        "audio_noise_floor_db": _decibel(np.percentile(energy, 10)),
    }


def _decibel(power: float | np.floating) -> float:
    return float(10 * np.log10(max(power, 1e-12)))


def _why_unreadable(path: Path, error: Exception) -> str:
    if not path.exists():
        return "missing: no such file"
    if path.is_dir():
        return "a folder, not a file"
    if not path.is_file():
        return f"{getattr(error, 'strerror', None) or error}"
    if path.stat().st_size == 0:
        return "empty: the file has no bytes"
    text = str(error).rsplit(": ", 1)[-1].strip().rstrip(".")
    return f"not decodable: {text}"


def _check_whole(path: Path, kind: str) -> None:
    """Find a WAV or Ogg file that was cut: libsndfile reads what is left of it without a word."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if kind.startswith("WAV"):
            _check_whole_wav(file.read(1 << 16), size)
            return
        file.seek(max(0, size - 66_000))
        tail = file.read()
    last = tail.rfind(b"OggS")
    segments = tail[last + 27 : last + 27 + tail[last + 26]] if last >= 0 and len(tail) > last + 27 else b""
    if not segments or last + 27 + len(segments) + sum(segments) != len(tail):
        raise UnusableAudio("truncated: the last Ogg page is not complete")


def _check_whole_wav(head: bytes, size: int) -> None:
    at = 12
    while head[:4] == b"RIFF" and at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            streamed = length in (0, 0x7FFFFFFF, 0xFFFFFFFF)
            if not streamed and at + 8 + length > size:
                raise UnusableAudio(f"truncated: {size - at - 8} of {length} bytes of samples are there")
            return
        at += 8 + length + length % 2
