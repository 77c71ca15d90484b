"""Standardisation of the features of many layers, from the training set alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Scaling:
    """Mean and scale (L, K, P) of features, K = 1 or one a labelling; a feature that does not vary gets scale 1."""

    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor) -> "Scaling":
        """From the training features (L, N, P) of any float type, a few thousand utterances at a time; K = 1."""
        n = x.shape[1]
        mean = sum((block.sum(dim=1, keepdim=True) for _, block in _blocks(x)), torch.zeros(1).to(x.device)) / n
        square = ((block - mean).square().sum(dim=1, keepdim=True) for _, block in _blocks(x))
        scale = (sum(square, torch.zeros(1).to(x.device)) / n).sqrt()
        flat = scale <= 1e-12 * mean.abs().clamp_min(1e-300)
        return cls(mean, torch.where(flat, torch.ones_like(scale), scale))

    def apply(self, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Standardised features (L, N, P) of a type, with K = 1."""
        out = torch.empty(x.shape, dtype=dtype, device=x.device)
        for first, block in _blocks(x):
            out[:, first : first + ROWS_AT_ONCE] = (block - self.mean) / self.scale
        return out

    def fold(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (L, K, S, P) and biases (L, K, S) that act on features as they are, before standardisation."""
        folded = weight / self.scale[:, :, None]
        return folded, bias - (folded * self.mean[:, :, None]).sum(dim=3)


def _blocks(x: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """First row and float64 values of a few thousand utterances after another."""
    for first in range(0, x.shape[1], ROWS_AT_ONCE):
        yield first, x[:, first : first + ROWS_AT_ONCE].double()
