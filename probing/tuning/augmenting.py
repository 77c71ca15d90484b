"""What training audio is changed by, in every epoch anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probing.audio import Waveform


@dataclass(frozen=True)
class Augmenter:
    """Nothing yet but random crops; see `probing.augmentation`."""

    seed: int = 0

    def __bool__(self) -> bool:
        return False

    def apply(self, waveform: Waveform, utterance: str, epoch: int) -> Waveform:
        """The waveform (n,) as it is heard in an epoch."""
        return waveform

    def crop(self, waveform: Waveform, n_samples: int, utterance: str, epoch: int) -> Waveform:
        """A random crop of so many samples, of a clip that is repeated if it is short."""
        import zlib

        if len(waveform) <= n_samples:
            return np.tile(waveform, -(-n_samples // len(waveform)))[:n_samples]
        generator = np.random.default_rng([self.seed, zlib.crc32(utterance.encode()), epoch])
        first = int(generator.integers(len(waveform) - n_samples + 1))
        return waveform[first : first + n_samples]
