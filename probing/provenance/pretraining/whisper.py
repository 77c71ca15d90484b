"""Features from a middle layer of a Whisper encoder, on the model's own frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probing.backbones.library import import_transformers, quiet

from .forward import half_precision

HOP = 320
N_WINDOW = 480_000
# Whisper's frame j is centred on sample 320 j, the model's frame k on 320 k + 200: a clip that
# starts at 320 j + 120 has its frame k where Whisper's frame j + k + 1 is.
SHIFT = 120
GAP = 10 * HOP


class WhisperLayer:
    """The output of one block of a Whisper encoder, 50 frames/s; clips share windows of 30 s."""

    def __init__(self, folder: Path, layer: int, device: torch.device) -> None:
        """Load the encoder up to block `layer` from a transformers folder."""
        transformers = import_transformers()
        with quiet():
            model: Any = transformers.WhisperModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32
            )
            self.extractor: Any = transformers.WhisperFeatureExtractor.from_pretrained(
                folder, local_files_only=True
            )
        self.encoder = model.get_encoder().eval().to(device)
        self.encoder.layers = self.encoder.layers[:layer]
        self.encoder.layer_norm = torch.nn.Identity()
        self.device = device

    @torch.inference_mode()
    def features(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Compute the features (frames, dim) of clips that fit one window together."""
        window = np.zeros(N_WINDOW, np.float32)
        starts = list(_starts([len(clip) for clip in clips]))
        for clip, start in zip(clips, starts, strict=True):
            window[start : start + len(clip)] = clip * 0.1  # unit variance is far above full scale
        inputs = self.extractor(
            window, sampling_rate=16_000, return_tensors="pt"
        ).input_features.to(self.device)
        with half_precision(self.device):
            frames = self.encoder(inputs).last_hidden_state[0].float().cpu().numpy()
        found = []
        for clip, start in zip(clips, starts, strict=True):
            first = start // HOP + 1
            n = (len(clip) - 400) // HOP + 1
            found.append(frames[first : first + n])
        return found


def pack(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group clips, in order, into windows of 30 s: lists of positions.

    A longer clip gets a group of its own.
    """
    group: list[int] = []
    used = 0
    for i, length in enumerate(lengths):
        needed = -(-(SHIFT + length + GAP) // HOP) * HOP
        if group and used + needed > N_WINDOW:
            yield group
            group = []
            used = 0
        group.append(i)
        used += needed
    if group:
        yield group


def _starts(lengths: Sequence[int]) -> Iterator[int]:
    at = 0
    for length in lengths:
        yield at + SHIFT
        at += -(-(SHIFT + length + GAP) // HOP) * HOP
