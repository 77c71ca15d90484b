"""Folders of noise and impulse responses: their audio files in one order, whatever order the disk lists them in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile

from probing.audio import SAMPLING_RATE, SUFFIXES, Cropping, UnusableAudio, Waveform, load_audio
from probing.augmentation.rates import resampled
from probing.augmentation.transform import TransformError


@dataclass(frozen=True)
class AudioFolder:
    """The audio files under a folder.

    root: the folder, as typed.
    files: paths below it, with / between, sorted.
    digest: SHA-256 of these paths and the sizes of the files: what they are, wherever the folder stands.
    """

    root: str
    files: tuple[str, ...]
    digest: str

    def within(self, part: str) -> tuple[str, ...]:
        """The files of the folder `part` in it, at any depth."""
        return tuple(one for one in self.files if one.startswith(f"{part}/"))

    def load(self, file: str) -> Waveform:
        """One file whole, at 16 kHz, the mean of its channels."""
        try:
            return load_audio(Path(self.root, file), Cropping(max_seconds=3600))
        except UnusableAudio as error:
            raise TransformError(f"{Path(self.root, file)}: {error}. Mend or remove it") from None

    def load_piece(self, file: str, n_samples: int, where: float) -> Waveform:
        """A piece of a file, tiled if it is shorter.

        Args:
            file: one of `files`.
            n_samples: at 16 kHz.
            where: its start among the possible ones, from 0 to 1. Only that piece of a long file is read.
        """
        try:
            with soundfile.SoundFile(Path(self.root, file)) as opened:
                wanted = -(-n_samples * opened.samplerate // SAMPLING_RATE)
                opened.seek(int(where * max(0, opened.frames - wanted)))
                samples = opened.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
                rate = opened.samplerate
        except (soundfile.LibsndfileError, OSError) as error:
            raise TransformError(f"{Path(self.root, file)}: {error}. Mend or remove it") from None
        if not len(samples) or not np.isfinite(samples).all():
            what = "it has samples that are NaN or infinite" if len(samples) else "it has no samples"
            raise TransformError(f"{Path(self.root, file)}: {what}. Mend or remove it")
        piece = samples if rate == SAMPLING_RATE else resampled(samples, rate, SAMPLING_RATE)
        return np.tile(piece, -(-n_samples // len(piece)))[:n_samples]


@lru_cache(maxsize=16)
def audio_folder(root: str) -> AudioFolder:
    """The audio files under a folder; ValueError if it is no folder, or has none."""
    if not Path(root).is_dir():
        raise ValueError(f"there is no folder {root!r}")
    found = sorted(
        (one.relative_to(root).as_posix(), one.stat().st_size)
        for one in Path(root).rglob("*")
        if one.suffix.lower() in SUFFIXES and one.is_file()
    )
    if not found:
        raise ValueError(f"the folder {root!r} has no audio file ({', '.join(SUFFIXES[:6])}, ...)")
    digest = sha256("\n".join(f"{name}\t{size}" for name, size in found).encode()).hexdigest()
    return AudioFolder(root, tuple(name for name, _ in found), digest)
