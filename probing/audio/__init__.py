"""Audio as a speech model takes it: 16 kHz mono float32, whatever the file holds, or the reason it cannot be used."""

from probing.audio.containers import UnusableAudio
from probing.audio.waveform import (
    MEASURES,
    SAMPLING_RATE,
    STAMPS,
    SUFFIXES,
    Cropping,
    Waveform,
    fit_audio,
    load_audio,
    measure,
    stamp,
    stated_seconds,
)

__all__ = [
    "MEASURES",
    "SAMPLING_RATE",
    "STAMPS",
    "SUFFIXES",
    "Cropping",
    "UnusableAudio",
    "Waveform",
    "fit_audio",
    "load_audio",
    "measure",
    "stamp",
    "stated_seconds",
]
