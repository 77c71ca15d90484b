"""Acoustic features as a backbone of one layer, 0, and no blocks: the baseline of encoders.

`log-mel`: 80 log energies of triangular filters on the mel scale (O'Shaughnessy 1987:
    2595 log10(1 + f / 700)), 25 ms Hann windows every 10 ms.
`lfcc`: 20 linear frequency cepstral coefficients with first and second regression deltas over 3
    frames to each side, 20 ms Hamming windows every 10 ms (Sahidullah, Kinnunen & Hanilçi,
    Interspeech 2015; the baseline of ASVspoof 2019).

Everything is a product with a fixed matrix, the Fourier transform too, so that its
multiply-accumulates are counted as those of an encoder are. Frames are taken clip by clip and
without padding at the ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cache.errors import argument

from .backbone import Backbone
from .errors import BackboneUnsaved
from .families import Family, FrameRule
from .inputs import SAMPLING_RATE, Samples, WaveformInput
from .layers import HiddenStates

HOP = 160
N_FFT = 512
FLOOR = 1e-10  # of an energy, before its logarithm
DELTA_FRAMES = 3


class AcousticBackbone(Backbone):
    """An acoustic front end with the interface of an encoder that has no blocks."""

    def save(self, folder: str | Path) -> Path:
        """Refuse: there are no weights to write.

        Raises:
            BackboneUnsaved: always.
        """
        raise BackboneUnsaved(
            f"{self.name} is computed, not loaded: there is nothing to save. Type "
            f"{argument('backbone', self.spec)}"
        )

    def differentiable(self) -> Callable[[Sequence[Tensor]], HiddenStates]:
        """See `Backbone.differentiable`; there are no weights to copy."""
        return self._hidden_states

    def _forward(self, clips: Sequence[Samples]) -> list[Tensor]:
        frames = [self._encoder(torch.as_tensor(clip, device=self.device)) for clip in clips]
        return [nn.utils.rnn.pad_sequence(frames, batch_first=True)]


def acoustic_backbone(features: str, device: torch.device) -> AcousticBackbone:
    """The features `log-mel` or `lfcc` as a backbone."""
    front_end = _LogMel() if features == "log-mel" else _Lfcc()
    return AcousticBackbone(
        front_end,
        nn.ModuleList(),
        Family(features, features, blocks=""),
        FrameRule(front_end.window, HOP),
        WaveformInput(False, "fixed"),
        name=features,
        spec=features,
        device=device,
    )


class _Spectrum(nn.Module):
    """Log energies (T, n_filters) of a clip (n,): windows, Fourier transform, power, filters."""

    window: int
    basis: Tensor
    filters: Tensor

    def __init__(self, taper: NDArray[np.float64], filters: NDArray[np.float64]) -> None:
        super().__init__()
        self.window = len(taper)
        angles = 2 * np.pi / N_FFT * np.outer(np.arange(self.window), np.arange(N_FFT // 2 + 1))
        basis = taper[:, None] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        self.register_buffer("basis", torch.from_numpy(basis.astype(np.float32)))
        self.register_buffer("filters", torch.from_numpy(filters.astype(np.float32)))
        self.config = SimpleNamespace()

    def forward(self, clip: Tensor) -> Tensor:
        real, imaginary = (clip.unfold(0, self.window, HOP) @ self.basis).chunk(2, dim=1)
        return ((real.square() + imaginary.square()) @ self.filters).clamp(min=FLOOR).log()


class _LogMel(_Spectrum):
    def __init__(self) -> None:
        top = 2595 * np.log10(1 + SAMPLING_RATE / 2 / 700)
        edges = 700 * (10 ** (np.linspace(0, top, 82) / 2595) - 1)
        super().__init__(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400), _triangles(edges))


class _Lfcc(_Spectrum):
    cosines: Tensor

    def __init__(self) -> None:
        taper = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(320) / 319)
        super().__init__(taper, _triangles(np.linspace(0, SAMPLING_RATE / 2, 22)))
        cosines = np.cos(np.pi / 20 * np.outer(np.arange(20) + 0.5, np.arange(20))) * np.sqrt(
            2 / 20
        )
        cosines[:, 0] /= np.sqrt(2)
        self.register_buffer("cosines", torch.from_numpy(cosines.astype(np.float32)))

    def forward(self, clip: Tensor) -> Tensor:
        static = super().forward(clip) @ self.cosines
        first = _deltas(static)
        return torch.cat([static, first, _deltas(first)], dim=1)


def _triangles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangular filters (N_FFT / 2 + 1, n) of height 1, by their edges in Hz.

    Filter i rises from edge i to i + 1 and falls to i + 2.
    """
    bins = np.arange(N_FFT // 2 + 1)[:, None] * SAMPLING_RATE / N_FFT
    low = edges[:-2]
    middle = edges[1:-1]
    high = edges[2:]
    return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))


def _deltas(frames: Tensor) -> Tensor:
    """Slopes (T, D) of a regression over DELTA_FRAMES frames to each side.

    The first and last frame are repeated.
    """
    n = len(frames)
    at = torch.arange(len(frames), device=frames.device)
    slopes = torch.zeros_like(frames)
    for step in range(1, DELTA_FRAMES + 1):
        slopes += step * (frames[(at + step).clamp(max=n - 1)] - frames[(at - step).clamp(min=0)])
    return slopes / (2 * sum(step**2 for step in range(1, DELTA_FRAMES + 1)))
