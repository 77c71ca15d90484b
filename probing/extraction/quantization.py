"""Frames as int8, packed on the device so that one byte a value is copied from it."""

import torch

from cache.quantization import LARGEST, LEVELS, SMALLEST


def packed(frames: torch.Tensor) -> torch.Tensor:
    """Frames (..., D) as bytes (..., 4 + D) of the int8 records of `cache.quantization`.

    Values must be finite.
    """
    frames = frames.float()
    scale = (frames.abs().amax(dim=-1, keepdim=True) / float(LEVELS)).clamp(max=float(LARGEST))
    scale = torch.where(scale < float(SMALLEST), 0.0, scale)
    values = (frames / torch.where(scale > 0, scale, torch.inf)).round_().to(torch.int8)
    return torch.cat([scale.view(torch.int8), values], dim=-1)
