"""Linear layers through oneDNN where that beats PyTorch's BLAS on this CPU.

PyTorch multiplies float32 matrices with MKL, which leaves half of what an AMD processor with
AVX-512 can do unused: measured on one, 100 GFLOP/s a core against 220 through oneDNN. A model's
products round differently by one or the other, as they do by the number of threads, so that neither
is part of what identifies a cache; but which it is follows from the processor, not from a
measurement, so that every run on a machine gives the same numbers.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

# What torch.compile calls for a linear layer: None in a build of PyTorch without oneDNN.
ONEDNN_LINEAR = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
PRIMITIVES = 128  # enough for eight passes in parallel over one or two lengths each


class OneDnnLinear(nn.Linear):
    """An nn.Linear whose product on a CPU goes through oneDNN, with the same parameters."""

    def forward(self, input: Tensor) -> Tensor:
        """Compute (..., in) -> (..., out)."""
        # the product has no gradient: that is what LearningLinear is for
        if torch.is_grad_enabled():
            return super().forward(input)
        return linear_onednn(input, self.weight, self.bias)


class LearningLinear(nn.Linear):
    """An nn.Linear with gradients whose products on a CPU go through oneDNN."""

    def forward(self, input: Tensor) -> Tensor:
        """Compute (..., in) -> (..., out)."""
        if not fits_onednn(input) or self.weight.dtype != torch.float32:
            return functional.linear(input, self.weight, self.bias)
        product: Tensor = _Linear.apply(input, self.weight, self.bias)
        return product


class _Linear(torch.autograd.Function):
    """x W^T + b and its gradients through oneDNN; x is kept only if W is trained."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Give x W^T + b."""
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return linear_onednn(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give the gradients of x, W and b."""
        x, weight = ctx.saved_tensors
        n_in = weight.shape[1]
        rows = grad.reshape(-1, grad.shape[-1]).to_mkldnn()
        d_x = d_weight = d_bias = None
        if ctx.needs_input_grad[0]:
            d_x = torch.ops.aten.mkldnn_linear_backward_input([rows.shape[0], n_in], rows, weight)
            d_x = d_x.to_dense().view(*grad.shape[:-1], n_in)
        if ctx.needs_input_grad[1]:
            given = x.reshape(-1, n_in).to_mkldnn()
            d_weight = torch.ops.aten.mkldnn_linear_backward_weights(rows, given, weight, False)[
                0
            ].to_dense()
        if ctx.needs_input_grad[2]:
            d_bias = grad.sum(tuple(range(grad.ndim - 1)))
        return d_x, d_weight, d_bias


def fits_onednn(x: Tensor) -> bool:
    """Whether a tensor can be multiplied through oneDNN: float32 on a CPU, no autocast."""
    kind = (
        x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    )
    return kind and bool(x.numel())


def linear_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute x W^T + b through oneDNN, of float32 on a CPU, without gradients."""
    if not fits_onednn(x):
        return functional.linear(x, weight, bias)
    assert ONEDNN_LINEAR is not None
    # The bits that functional.linear gives of x.to_mkldnn(), without copies to its layout and back.
    rows: Tensor = ONEDNN_LINEAR(x.reshape(-1, x.shape[-1]), weight, bias, "none", [], "")
    # No view, which an autograd.Function may not give if it is changed in place later.
    return torch.ops.aten._unsafe_view(rows, [*x.shape[:-1], len(weight)])


def use_fast_products(encoder: nn.Module, device: torch.device) -> bool:
    """Switch the linear layers of an encoder to oneDNN if it is faster here; gives whether."""
    if device.type != "cpu" or not onednn_is_faster():
        return False
    for module in encoder.modules():
        if type(module) is nn.Linear:
            # as torch.nn.utils.parametrize does: same parameters, same names
            module.__class__ = OneDnnLinear
    return True


def bound_primitives() -> None:
    """Have oneDNN keep less of what it compiles for every length; called before its first use.

    Its own bound is 1,024 pieces: measured over the lengths of a corpus, 3 GB for WavLM-Base, and
    no faster.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(PRIMITIVES))


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN is clearly faster than MKL on this processor: AMD with AVX-512."""
    backends = torch.backends
    return (
        backends.mkldnn.is_available()
        and ONEDNN_LINEAR is not None
        and backends.mkl.is_available()
        and backends.cpu.get_cpu_capability() == "AVX512"
        and "AuthenticAMD" in _processor()
    )


def _processor() -> str:
    """What the system says of the processor, its maker among it."""
    try:
        return Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return platform.processor()
