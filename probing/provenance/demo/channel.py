"""The channel every clip goes through, bona fide or not: nothing here can see a label.

A clip is stored once as Opus at about 32 or 16 kbit/s (as the human recordings already are), then
takes two passes of `channel_pass`, then is stored as Opus at about 24 kbit/s. All randomness comes
from the generator passed in.
"""

import io
import zlib
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfiltfilt

RATE = 16_000
FRAME = 320  # 20 ms


@dataclass(frozen=True)
class Channel:
    """Bounds of what one pass may do; levels in dBFS (RMS), frequencies in Hz."""

    low_cut: float = 60.0
    high_cut: float = 7000.0
    level: tuple[float, float] = (-32.0, -18.0)
    noise: tuple[float, float] = (-72.0, -60.0)
    peak: float = 0.97
    codecs: tuple[str, ...] = ("none", "adpcm", "vorbis", "mp3")
    effort: tuple[float, float] = (0.35, 0.75)
    trim_below_peak: float = 38.0


STORED_LEVEL = 0.9  # compression_level of libsndfile: about 32 kbit/s for speech at 16 kHz
READER_LEVEL = 0.96  # about 16 kbit/s
FINAL_LEVEL = 0.93  # about 24 kbit/s
_CODECS = {
    "adpcm": ("WAV", "IMA_ADPCM"),
    "vorbis": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def to_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return `samples` at 16 kHz as float64."""
    samples = np.asarray(samples, dtype=np.float64)
    return samples if rate == RATE else soxr.resample(samples, rate, RATE, quality="VHQ")


def frame_db(samples: np.ndarray) -> np.ndarray:
    """Energy of each 20 ms frame in dB of full scale; a shorter clip has one frame."""
    n_frames = max(1, len(samples) // FRAME)
    frames = (
        np.resize(samples, n_frames * FRAME)
        if len(samples) < FRAME
        else samples[: n_frames * FRAME]
    )
    return 10 * np.log10(np.mean(frames.reshape(n_frames, FRAME) ** 2, axis=1) + 1e-12)


def trim_edges(samples: np.ndarray, below_peak: float = Channel.trim_below_peak) -> np.ndarray:
    """Cut outer frames more than `below_peak` dB under the loudest one, but for 40 ms."""
    db = frame_db(samples)
    loud = np.flatnonzero(db > db.max() - below_peak)
    return samples[max(0, loud[0] - 2) * FRAME : min(len(samples), (loud[-1] + 3) * FRAME)]


def set_level(samples: np.ndarray, level: float, peak: float = Channel.peak) -> np.ndarray:
    """Scale to `level` dBFS RMS, or as near to it as `peak` permits."""
    gain = 10 ** (level / 20) / (np.sqrt(np.mean(samples**2)) + 1e-12)
    return samples * min(gain, peak / (np.max(np.abs(samples)) + 1e-12))


def through_codec(samples: np.ndarray, codec: str, effort: float) -> np.ndarray:
    """Encode and decode in memory; the length does not change.

    `adpcm` is 4-bit ADPCM at 16 kHz (64 kbit/s, the rate and kind of G.722). `effort` is
    libsndfile's compression level, 0 to 1, used by Vorbis and MP3.
    """
    if codec == "none":
        return samples
    container, subtype = _CODECS[codec]
    level = None if codec == "adpcm" else effort
    buffer = io.BytesIO()
    soundfile.write(
        buffer, samples, RATE, format=container, subtype=subtype, compression_level=level
    )
    buffer.seek(0)
    decoded = soundfile.read(buffer, dtype="float64")[0][: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def channel_pass(
    samples: np.ndarray, rng: np.random.Generator, channel: Channel = Channel()
) -> np.ndarray:
    """Trim, band-limit, set a random level, run a random codec, add low noise.

    At 16 kHz in and out, |x| <= 1.
    """
    band = butter(4, (channel.low_cut, channel.high_cut), "bandpass", fs=RATE, output="sos")
    level = rng.uniform(*channel.level)
    noise_level = rng.uniform(*channel.noise)
    codec = str(rng.choice(channel.codecs))
    effort = float(rng.uniform(*channel.effort))
    samples = sosfiltfilt(band, trim_edges(samples, channel.trim_below_peak))
    samples = through_codec(set_level(samples, level, channel.peak), codec, effort)
    noise = rng.standard_normal(len(samples)) * 10 ** (noise_level / 20)
    return np.clip(samples + noise, -1.0, 1.0)


def crop(samples: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Give `seconds` of the clip from a random place, with 5 ms fades; all of a shorter clip.

    A place where the reader pauses is drawn again: one without a frame within 30 dB of the clip's
    loudest.
    """
    length = min(len(samples), round(seconds * RATE))
    loudest = frame_db(samples).max()
    while True:
        start = int(rng.integers(0, len(samples) - length + 1))
        if frame_db(samples[start : start + length]).max() > loudest - 30:
            break
    fade = np.minimum(1.0, np.minimum(np.arange(length) + 1, np.arange(length, 0, -1)) / 80)
    return samples[start : start + length] * fade


def encode_opus(samples: np.ndarray, level: float = FINAL_LEVEL, serial: int = 0) -> bytes:
    """Encode as Ogg Opus, with a given serial, so that the same samples give the same bytes.

    Without one, libsndfile draws it at random.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="OGG", subtype="OPUS", compression_level=level)
    return _with_serial(buffer.getvalue(), serial)


def decode(data: bytes) -> np.ndarray:
    """Decode what `encode_opus` wrote; float64, 16 kHz."""
    return soundfile.read(io.BytesIO(data), dtype="float64")[0]


def stored(samples: np.ndarray, level: float = STORED_LEVEL) -> np.ndarray:
    """Return the clip after one storage as Opus, as the human recordings were stored."""
    return decode(encode_opus(set_level(samples, -23.0), level))


def _with_serial(ogg: bytes, serial: int) -> bytes:
    """Set the stream serial of every Ogg page and its checksum (RFC 3533, section 6)."""
    pages = []
    start = 0
    while start < len(ogg):
        n_segments = ogg[start + 26]
        end = start + 27 + n_segments + sum(ogg[start + 27 : start + 27 + n_segments])
        page = bytearray(ogg[start:end])
        page[14:18], page[22:26] = serial.to_bytes(4, "little"), bytes(4)
        page[22:26] = _ogg_crc(page).to_bytes(4, "little")
        pages.append(bytes(page))
        start = end
    return b"".join(pages)


_FLIP = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_crc(page: bytes | bytearray) -> int:
    """CRC-32 with zlib's polynomial, most significant bit first, without inversions."""
    mirrored = zlib.crc32(bytes(page).translate(_FLIP), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
