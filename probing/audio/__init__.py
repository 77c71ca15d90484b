"""Audio as a speech model takes it, 16 kHz mono float32, or the reason it cannot be used."""

from typing import TYPE_CHECKING

from cache.lazy import lazy
from probing.audio.columns import MEASURES, STAMPS

if TYPE_CHECKING:
    from probing.audio.containers import UnusableAudio
    from probing.audio.decoding import load_audio, stated_seconds
    from probing.audio.formats import SUFFIXES
    from probing.audio.measures import measure, stamp
    from probing.audio.waveform import SAMPLING_RATE, Cropping, Waveform, fit_audio

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

_HOME = {
    "SAMPLING_RATE": "waveform",
    "SUFFIXES": "formats",
    "Cropping": "waveform",
    "UnusableAudio": "containers",
    "Waveform": "waveform",
    "fit_audio": "waveform",
    "load_audio": "decoding",
    "measure": "measures",
    "stamp": "measures",
    "stated_seconds": "decoding",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
