"""Batches: crops of speech, some overlapped as in WavLM, units to predict, masks.

Step `i` of a seed is always the same batch, whatever was drawn before: a resumed run needs no state
of a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .config import Recipe
from .recordings import Recordings, normalised
from .units import FRAME, HOP, Units

SPEECH_RATIO_DB = (-5.0, 5.0)  # energy of the crop against what is laid over it, as in WavLM
NOISE_RATIO_DB = (-5.0, 20.0)


@dataclass(frozen=True)
class Batch:
    """One step's input.

    Attributes:
        waveforms: (batch, samples) float32.
        targets: (kinds, batch, frames) int64, the units of the crop before mixing.
        mask: (batch, frames) bool.
    """

    waveforms: Tensor
    targets: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        return Batch(self.waveforms.to(device), self.targets.to(device), self.mask.to(device))


class Batches:
    """Crops of a part of the recordings; speakers with much speech do not dominate."""

    def __init__(
        self, recordings: Recordings, units: Sequence[Units], recipe: Recipe, part: str
    ) -> None:
        self.recordings = recordings
        self.units = units
        self.recipe = recipe
        self.part = part
        table = recordings.table
        rows = recordings.rows(part)
        length = table["length"].to_numpy()[rows].astype(np.float64)
        speaker = table["speaker"].to_numpy()[rows]
        total = table.iloc[rows].groupby("speaker")["length"].transform("sum").to_numpy()
        weight = length / total**recipe.balance
        self.rows, self.chances = rows, weight / weight.sum()
        self.of_speaker = {name: rows[speaker == name] for name in np.unique(speaker)}

    def at(self, step: int) -> Batch:
        """Give the batch of one step."""
        recipe = self.recipe
        generator = np.random.default_rng([recipe.seed, step, len(self.part)])
        rows = generator.choice(self.rows, size=recipe.batch, p=self.chances)
        crops = [self._crop(int(row), generator) for row in rows]
        clean = [waveform for waveform, _ in crops]
        mixed = [normalised(self._mixture(i, clean, generator)) for i in range(recipe.batch)]
        targets = np.stack([units for _, units in crops], axis=1)
        masks = [span_mask(recipe.n_frames, recipe.n_spans, recipe.span, generator) for _ in crops]
        return Batch(
            torch.from_numpy(np.stack(mixed)),
            torch.from_numpy(targets.astype(np.int64)),
            torch.from_numpy(np.stack(masks)),
        )

    def _crop(
        self, row: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Cut a crop at a random frame; a short clip is followed by others of its speaker."""
        wanted = self.recipe.n_frames
        pieces = []
        units = []
        speaker = self.recordings.table["speaker"].iat[row]
        while wanted > 0:
            clip = self.recordings.clip(row)
            labels = np.stack([kind.clip(row) for kind in self.units])
            first = int(generator.integers(0, max(1, labels.shape[1] - wanted + 1)))
            labels = labels[:, first : first + wanted]
            n = labels.shape[1]
            wanted -= n
            stop = (first + n) * HOP + (FRAME - HOP) * (wanted == 0)
            pieces.append(clip[first * HOP : stop])
            units.append(labels)
            row = int(generator.choice(self.of_speaker[speaker]))
        return np.concatenate(pieces), np.concatenate(units, axis=1)

    def _mixture(
        self, i: int, crops: Sequence[NDArray[np.float32]], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Overlap a crop with part of another, or with noise, over at most half of it."""
        crop = crops[i]
        kind = generator.random()
        if kind >= self.recipe.mix_speech + self.recipe.mix_noise:
            return crop
        n = int(generator.integers(1, len(crop) // 2 + 1))
        at, start = (int(generator.integers(0, len(crop) - n + 1)) for _ in range(2))
        if kind < self.recipe.mix_speech:
            other = crops[(i + int(generator.integers(1, max(2, len(crops))))) % len(crops)][
                start : start + n
            ]
            ratio = generator.uniform(*SPEECH_RATIO_DB)
        else:
            other = coloured_noise(n, generator)
            ratio = generator.uniform(*NOISE_RATIO_DB)
        gain = np.sqrt(np.mean(crop**2) / (np.mean(other**2) + 1e-8)) * 10 ** (-ratio / 20)
        mixed = crop.copy()
        mixed[at : at + n] += (min(gain, 1e3) * other).astype(np.float32)
        return mixed


def coloured_noise(n: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise (n,) whose power falls with a random power of frequency, white to brown."""
    spectrum = np.fft.rfft(generator.standard_normal(n))
    spectrum *= np.maximum(1, np.arange(len(spectrum))) ** (-generator.uniform(0, 2) / 2)
    return np.fft.irfft(spectrum, n).astype(np.float32)


def span_mask(
    n_frames: int, n_spans: int, span: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose the masked frames (n_frames,): spans at different random starts, which may overlap."""
    starts = generator.choice(max(1, n_frames - span + 1), size=n_spans, replace=False)
    mask = np.zeros(n_frames, bool)
    mask[(starts[:, None] + np.arange(span)).ravel()] = True
    return mask
