"""Modules of back-ends: M models side by side, over frames of utterances of several lengths.

Parameters have M first; `start` draws those of model m by its own generator. `valid` is true where
a frame (or a node of a graph) is of the utterance; what comes after takes no part in any mean, and
is 0 before a convolution, as what lies beyond the end is to one utterance alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .merges import draw

MOMENTUM = 0.1
EPSILON = 1e-5


class Linear(nn.Module):
    """M linear maps of I to O features, on the last axis of (M, ..., I)."""

    def __init__(self, n: int, n_inputs: int, n_outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n, n_inputs, n_outputs))
        self.bias = nn.Parameter(torch.zeros(n, n_outputs)) if bias else None

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance, the bias 0."""
        draw(self.weight, generators, (3 * self.weight.shape[1]) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, ..., I) to (M, ..., O)."""
        out = torch.bmm(x.flatten(1, -2), self.weight)
        if self.bias is not None:
            out = out + self.bias[:, None]
        return out.view(*x.shape[:-1], -1)


class LayerNorm(nn.Module):
    """Layer norm of the last axis of (M, ..., D), with a scale and an offset for each model."""

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n, dim))
        self.bias = nn.Parameter(torch.zeros(n, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (M, ..., D)."""
        shape = (len(x), *[1] * (x.ndim - 2), -1)
        return functional.layer_norm(x, x.shape[-1:]) * self.weight.view(shape) + self.bias.view(
            shape
        )


class BatchNorm(nn.Module):
    """Batch norm (Ioffe & Szegedy, ICML 2015) over valid frames, with statistics of each model.

    In a training step it takes mean and variance of the batch, or of the part of it that memory
    holds at once, and moves the running ones by a tenth; otherwise it takes these. They are kept
    with the parameters.
    """

    kept = ("mean", "variance")
    mean: Tensor
    variance: Tensor

    def __init__(self, n: int, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n, n_channels))
        self.bias = nn.Parameter(torch.zeros(n, n_channels))
        self.register_buffer("mean", torch.zeros(n, n_channels))
        self.register_buffer("variance", torch.ones(n, n_channels))

    def forward(
        self, x: Tensor, valid: Tensor | None = None, model: int = 0, channel: int = -1
    ) -> Tensor:
        """Normalise x, of any shape.

        Args:
            x: at least an axis of models, one of channels and others.
            valid: bool, broadcasts with x; 1 on the axes of models and channels.
            model: which axis of x is that of models; before that of channels.
            channel: which axis of x is that of channels.
        """
        shape = [1] * x.ndim
        shape[model], shape[channel] = self.weight.shape
        weight, bias = self.weight.view(shape), self.bias.view(shape)
        if not self.training:
            return (x - self.mean.view(shape)) * (
                weight * (self.variance.view(shape) + EPSILON).rsqrt()
            ) + bias
        valid = x.new_ones([1] * x.ndim) if valid is None else valid
        count = valid.sum() * (x.numel() / self.weight.numel() / valid.numel())
        normal, mean, variance = _Normalized.apply(x, weight, bias, valid, count)
        with torch.no_grad():
            self.mean.lerp_(mean.view_as(self.mean), MOMENTUM)
            unbiased = variance * count / (count - 1).clamp_min(1)
            self.variance.lerp_(unbiased.view_as(self.variance), MOMENTUM)
        return normal


class _Normalized(Function):
    """Batch norm by the statistics of a batch, and these.

    Fewer passes over x than automatic differentiation takes.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise x (any shape).

        Mean and variance have the shape of weight and bias, which broadcast with x.
        """
        axes = [axis for axis in range(x.ndim) if weight.shape[axis] == 1]
        mean = (x * valid).sum(axes, keepdim=True) / count
        centred = x - mean
        variance = (centred * valid).square_().sum(axes, keepdim=True) / count
        rate = (variance + EPSILON).rsqrt()
        ctx.save_for_backward(centred, weight, rate, valid, count)
        ctx.axes = axes
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(bias, centred, weight * rate), mean, variance

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_normal: Tensor, of_mean: Tensor, of_variance: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Gradients of x, weight and bias."""
        centred, weight, rate, valid, count = ctx.saved_tensors
        of_bias = of_normal.sum(ctx.axes, keepdim=True)
        of_weight = (of_normal * centred).sum(ctx.axes, keepdim=True) * rate
        shared = torch.addcmul(of_bias, centred, of_weight * rate).mul_(valid).div_(count)
        return (of_normal - shared).mul_(weight * rate), of_weight, of_bias, None, None


class Convolution(nn.Module):
    """M convolutions over one or two axes, of (B, M, I, ...) into (B, M, O, ...).

    Zeros lie beyond the ends.

    Args:
        n: M.
        n_inputs: I.
        n_outputs: O.
        kernel: its length on each axis.
        padding: zeros on both sides of each axis.
        depthwise: a kernel a channel, over one axis; I = O.
    """

    def __init__(
        self,
        n: int,
        n_inputs: int,
        n_outputs: int,
        kernel: tuple[int, ...],
        padding: tuple[int, ...] = (0, 0),
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.padding = padding[: len(kernel)]
        self.depthwise = depthwise
        self.weight = nn.Parameter(torch.zeros(n, n_outputs, 1 if depthwise else n_inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(n, n_outputs))

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's convolutions in variance, the bias 0."""
        draw(self.weight, generators, (3 * self.weight[0, 0].numel()) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, M, I, ...)."""
        n = len(self.weight)
        if self.depthwise:
            return self._by_channel(x)
        if self.weight[0, 0, 0].numel() == 1:
            out = self.weight.flatten(2) @ x.flatten(3) + self.bias[:, :, None]
            return out.unflatten(-1, x.shape[3:])
        apply = functional.conv2d if len(self.padding) == 2 else functional.conv1d
        out = apply(
            x.flatten(1, 2),
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            padding=self.padding,
            groups=n,
        )
        return out.view(len(x), n, -1, *out.shape[2:])

    def _by_channel(self, x: Tensor) -> Tensor:
        """A kernel a channel, over one axis.

        On a CPU a third of the time with channels last, as x has them.
        """
        outputs = [
            functional.conv2d(
                of_model[:, :, None],
                weight[:, :, None],
                bias,
                padding=(0, *self.padding),
                groups=len(bias),
            )
            for of_model, weight, bias in zip(x.unbind(dim=1), self.weight, self.bias, strict=True)
        ]
        return torch.stack([out[:, :, 0].mT for out in outputs]).permute(1, 0, 3, 2)


def frames_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of (M, B, T, D) over valid frames, (M, B, D)."""
    if mask is None:
        return x.mean(dim=2)
    return (x * mask[None, :, :, None]).sum(dim=2) / mask.sum(dim=1)[None, :, None]


def start_all(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Start every module within another that draws parameters, in the order of their making."""
    for inner in module.modules():
        if inner is not module and (start := getattr(inner, "start", None)):
            start(generators)
