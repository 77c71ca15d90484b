"""Folders of noise and impulse responses, in one order whatever order the disk lists them in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from probing.audio import SAMPLING_RATE, SUFFIXES, Waveform
from probing.augmentation.rates import resampled
from probing.augmentation.transform import TransformError

MOST_RESPONSE_S = 20.0


@dataclass(frozen=True)
class AudioFolder:
    """The audio files under a folder.

    Attributes:
        root: the folder, as typed.
        files: paths below it, with / between, sorted.
        digest: SHA-256 of these paths and the sizes of the files: what they are, wherever the
            folder stands.
    """

    root: str
    files: tuple[str, ...]
    digest: str

    def within(self, part: str) -> tuple[str, ...]:
        """The files of the folder `part` in it, at any depth."""
        return tuple(file for file in self.files if file.startswith(f"{part}/"))

    def load_response(self, file: str) -> Waveform:
        """An impulse response at 16 kHz: the first channel, since a mean of channels is none."""
        samples, rate = self._read(file, lambda opened: 0, MOST_RESPONSE_S)
        return _at_our_rate(samples[:, 0], rate)

    def load_piece(self, file: str, n_samples: int, where: float) -> Waveform:
        """A piece of a file, the mean of its channels, tiled if it is shorter.

        Args:
            file: one of `files`.
            n_samples: at 16 kHz.
            where: its start among the possible ones, from 0 to 1. Only that piece of a long file is
                read.
        """
        seconds = n_samples / SAMPLING_RATE

        def start(opened: soundfile.SoundFile) -> int:
            return int(where * max(0, opened.frames - math.ceil(seconds * opened.samplerate)))

        samples, rate = self._read(file, start, seconds)
        piece = _at_our_rate(samples.mean(axis=1), rate)
        return np.tile(piece, -(-n_samples // len(piece)))[:n_samples]

    def _read(
        self, file: str, start: Callable[[soundfile.SoundFile], int], seconds: float
    ) -> tuple[NDArray[np.float32], int]:
        """Samples (n, channels) of a file from a place on, and its rate."""
        path = Path(self.root, file)
        try:
            with soundfile.SoundFile(path) as opened:
                opened.seek(start(opened))
                samples = opened.read(
                    math.ceil(seconds * opened.samplerate), dtype="float32", always_2d=True
                )
                rate = opened.samplerate
        except (soundfile.LibsndfileError, OSError) as error:
            raise TransformError(f"{path}: {str(error).rstrip('.')}. Mend or remove it") from None
        if not len(samples) or not np.isfinite(samples).all():
            what = (
                "it has samples that are NaN or infinite" if len(samples) else "it has no samples"
            )
            raise TransformError(f"{path}: {what}. Mend or remove it")
        return samples, rate


def _at_our_rate(samples: Waveform, rate: int) -> Waveform:
    return samples if rate == SAMPLING_RATE else resampled(samples, rate, SAMPLING_RATE)


@lru_cache(maxsize=16)
def audio_folder(root: str) -> AudioFolder:
    """The audio files under a folder; ValueError if it is no folder, or has none."""
    if not Path(root).is_dir():
        raise ValueError(f"there is no folder {root!r}")
    found = sorted(
        (path.relative_to(root).as_posix(), path.stat().st_size)
        for path in Path(root).rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not found:
        raise ValueError(f"the folder {root!r} has no audio file ({', '.join(SUFFIXES[:6])}, ...)")
    digest = sha256("\n".join(f"{name}\t{size}" for name, size in found).encode()).hexdigest()
    return AudioFolder(root, tuple(name for name, _ in found), digest)
