"""Audio as a speech model takes it: 16 kHz mono float32, whatever the file holds, or the reason it
cannot be used.
"""

from typing import TYPE_CHECKING

from cache.lazy import lazy
from probing.audio.columns import MEASURES, STAMPS

if TYPE_CHECKING:
    from probing.audio.containers import UnusableAudio
    from probing.audio.waveform import (
        SAMPLING_RATE,
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

_LATER = [name for name in __all__ if name not in globals()]
_HOME = dict.fromkeys(_LATER, "waveform") | {"UnusableAudio": "containers"}

__getattr__, __dir__ = lazy(__name__, _HOME)
