"""The precision of a forward pass: float32 throughout, also where a device would rather not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Switch TF32 off on a GPU, where convolutions use it by default: 10 bits of mantissa instead of 23."""
    if device.type != "cuda":
        yield
        return
    products = torch.get_float32_matmul_precision()
    convolutions: Any = getattr(torch.backends.cudnn, "conv", None)
    setting = "fp32_precision" if hasattr(convolutions, "fp32_precision") else "allow_tf32"
    convolutions = convolutions if setting == "fp32_precision" else torch.backends.cudnn
    before = getattr(convolutions, setting)
    torch.set_float32_matmul_precision("highest")
    setattr(convolutions, setting, "ieee" if setting == "fp32_precision" else False)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        setattr(convolutions, setting, before)
