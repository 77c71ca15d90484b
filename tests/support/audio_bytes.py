"""Audio files as bytes, made by soundfile, and what is read of them or why not."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from probing.audio import SAMPLING_RATE, Cropping, UnusableAudio, load_audio

WHOLE = Cropping(max_seconds=60.0)


def noise(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(rate).normal(0, 0.1, (round(rate * seconds), channels))


def encoded(rate: int, seconds: float = 2.0, channels: int = 1, **how: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(rate, seconds, channels), rate, **how)
    return file.getvalue()


def mp3(rate: int, seconds: float = 2.0, channels: int = 1, mode: str = "CONSTANT") -> bytes:
    return encoded(rate, seconds, channels, format="MP3", bitrate_mode=mode, compression_level=0.6)


def without_info(content: bytes) -> bytes:
    """An MP3 from its first frame of audio on, as a stream has it."""
    at = next(at for tag in (b"Xing", b"Info") if 0 <= (at := content.find(tag)) < 4096)
    first = content.rfind(b"\xff", 0, at)
    return content[content.find(content[first : first + 2], at) :]


def seconds(path: Path, content: bytes) -> float:
    path.write_bytes(content)
    return len(load_audio(path, WHOLE)) / SAMPLING_RATE


def reason(path: Path, content: bytes, cropping: Cropping = WHOLE) -> str:
    path.write_bytes(content)
    with pytest.raises(UnusableAudio) as error:
        load_audio(path, cropping)
    return str(error.value)
