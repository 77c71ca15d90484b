"""Standardisation of the features of many layers, from the training set alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

VALUES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Scaling:
    """Mean and scale (L, K, P) of features, K = 1 or one a labelling.

    A feature that does not vary gets scale 1.

    >>> Scaling(torch.zeros(1, 1, 2), torch.ones(1, 1, 2)).mean.shape
    torch.Size([1, 1, 2])
    """

    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> "Scaling":
        """From the training features (L, N, P) of any float type, some utterances at a time; K = 1.

        With float32 the values are exact in it, so that `apply` in float32 and `fold` are of the
        very same scaling.
        """
        n = x.shape[1]
        zero = torch.zeros(1, dtype=torch.float64, device=x.device)
        total = sum(
            (block.sum(dim=1, keepdim=True).double() for _, block in _blocks(x, dtype)), zero
        )
        mean = (total / n).to(dtype)
        square = (
            (block - mean).square_().sum(dim=1, keepdim=True).double()
            for _, block in _blocks(x, dtype)
        )
        scale = (sum(square, zero) / n).sqrt().to(dtype)
        flat = scale <= (1e-12 if dtype == torch.float64 else 1e-6) * mean.abs().clamp_min(1e-30)
        return cls(mean.double(), torch.where(flat, torch.ones_like(scale), scale).double())

    def apply(self, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Standardised features (L, N, P), computed in a type, with K = 1."""
        out = torch.empty(x.shape, dtype=dtype, device=x.device)
        mean = self.mean.to(dtype)
        scale = self.scale.to(dtype)
        for first, block in _blocks(x, dtype):
            part = out[:, first : first + block.shape[1]]
            torch.sub(block, mean, out=part).div_(scale)
        return out

    def fold(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (L, K, S, P) and biases (L, K, S) for features before standardisation.

        Of M classes (L, K, S, M, P) and (L, K, S, M).
        """
        shape = *self.scale.shape[:2], *[1] * (weight.ndim - 3), -1
        folded = weight / self.scale.view(shape)
        return folded, bias - (folded * self.mean.view(shape)).sum(dim=-1)


def _blocks(x: torch.Tensor, dtype: torch.dtype) -> Iterator[tuple[int, torch.Tensor]]:
    """First row and values of blocks of utterances, small enough to stay in a core's own memory."""
    rows = max(1, VALUES_AT_ONCE // (x.shape[0] * x.shape[2]))
    for first in range(0, x.shape[1], rows):
        yield first, x[:, first : first + rows].to(dtype)
