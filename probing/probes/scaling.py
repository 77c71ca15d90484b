"""Standardisation of the features of many layers, from the training set alone."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Scaling:
    """Mean and scale (L, 1, P) of features; a feature that does not vary gets scale 1."""

    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor) -> "Scaling":
        """From the training features (L, N, P)."""
        mean = x.mean(dim=1, keepdim=True)
        scale = (x - mean).square().mean(dim=1, keepdim=True).sqrt()
        flat = scale <= 1e-12 * mean.abs().clamp_min(1e-300)
        return cls(mean, torch.where(flat, torch.ones_like(scale), scale))

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised features (L, N, P)."""
        return (x - self.mean) / self.scale

    def fold(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (L, K, S, P) and biases (L, K, S) that act on features as they are, before standardisation."""
        folded = weight / self.scale[:, None]
        return folded, bias - (folded * self.mean[:, None]).sum(dim=3)
