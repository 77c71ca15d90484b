"""Evidence over time: what every frame adds to the score of a trained head.

Every head ends in a mean over frames, or in a standard deviation, which is one too: s = mean_t (x_t - m)^2 / s. So a
score is a mean over frames, exactly where everything around that mean is linear, and by the gradient where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probing.heads.backends import LSTM, MLP, AttentiveStatistics, Linear
from probing.heads.head import Head, HeadUnusable
from probing.heads.merges import WeightedSum
from probing.serving.heads import AnyHead, LayerProbe

EXACT = "exact: the score is a mean over frames"
OWN_WEIGHTS = "exact, given the weights of layers that this utterance gets"
GRADIENT = "first order: gradient of the score times mean and deviation of each frame"


@dataclass(frozen=True)
class Evidence:
    """What each frame says: log odds of bona fide whose mean over frames is the score.

    values: (T,) above 0 for bona fide; NaN in frames that the head does not see.
    score: log odds of bona fide of the utterance; of a head with two logits their difference.
    how: how the score was divided among frames.
    """

    values: NDArray[np.float64]
    score: float
    how: str


def frame_evidence(head: AnyHead, frames: NDArray[Any]) -> Evidence:
    """Divide the score of an utterance among its frames.

    A linear probe on mean and deviation: its weights on each frame's share of both. Merges on pooled statistics: the
    same with the gradient of the score for weights. On frames: LSTM, the linear layer on every output, which has all
    frames before it in it; attentive statistics, attention weights times what the linear layer says of the frame; MLP,
    the gradient of the score at the mean of its inputs.

    Args:
        head: a trained head, or the linear probe of a layer.
        frames: (len(head.layers), T, D) the layers it needs.

    Raises:
        HeadUnusable: layers of another shape.
    """
    if frames.ndim != 3 or len(frames) != len(head.layers) or frames.shape[2] != head.dim or not frames.shape[1]:
        raise HeadUnusable(
            f"{head.name}: frames of shape {frames.shape}; expected ({len(head.layers)}, T, {head.dim}), layers "
            f"{head.layers[0]} to {head.layers[-1]}"
        )
    x = torch.from_numpy(np.asarray(frames, np.float64))
    if isinstance(head, LayerProbe):
        weight = torch.from_numpy(head.weight.astype(np.float64))
        values = _of_statistics(x, _statistics(x), weight[None]) + head.bias
        return Evidence(values.numpy(), float(values.mean()), EXACT)
    if head.tier == "pooled":
        return _pooled(head, x)
    return _on_frames(head, x)


def _pooled(head: Head, x: Tensor) -> Evidence:
    statistics = _statistics(x).requires_grad_()
    stack = head.stack
    score = _log_odds(stack(stack.standardized(statistics.float()[None, :, None])))
    (gradient,) = torch.autograd.grad(score, statistics)
    values = _of_statistics(x, statistics.detach(), gradient)
    linear = isinstance(stack.merge, WeightedSum) and not stack.merge.normalize and isinstance(stack.backend, Linear)
    return _settled(values, score.item(), x.shape[1], EXACT if linear else GRADIENT)


def _on_frames(head: Head, x: Tensor) -> Evidence:
    stack, n_frames = head.stack, x.shape[1]
    z = stack.standardized(x[None, :, : head.n_frames].float())
    merge, backend = stack.merge, stack.backend
    how = EXACT if isinstance(merge, WeightedSum) and not merge.normalize else OWN_WEIGHTS
    with torch.no_grad():
        score = float(_log_odds(stack(z)))
        if isinstance(backend, LSTM):
            values = backend.outputs(merge, z, None)[0, 0] @ _contrast(backend.weight[0])
        elif isinstance(backend, Linear):
            merged = merge(z)[0].double()
            values = _of_statistics(merged, _statistics(merged), backend.weight[0, :, 0].double()[None])
        elif isinstance(backend, AttentiveStatistics):
            merged = merge(z)
            share = backend.attention(merged, None)[0].double() * z.shape[2]
            merged = merged[0].double()
            mean = (share * merged).mean(dim=1, keepdim=True)
            deviation = ((share * (merged - mean).square()).mean(dim=1, keepdim=True) + 1e-8).sqrt()
            parts = torch.cat([share * merged, share * (merged - mean).square() / deviation], dim=-1)
            values = parts[0] @ _contrast(backend.weight[0]).double()
    if isinstance(backend, MLP):
        with torch.no_grad():
            inner = merge(z, None, backend.inner)[0, 0] + backend.inner_bias[0]
        mean = inner.mean(dim=0).requires_grad_()
        out = torch.nn.functional.silu(mean) @ backend.outer[0, :, 0]
        values, how = inner @ torch.autograd.grad(out, mean)[0], GRADIENT
    return _settled(values.double(), score, n_frames, how)


def _statistics(x: Tensor) -> Tensor:
    """Mean and population standard deviation over time, side by side, of layers (L, T, D): (L, 2 D)."""
    return torch.cat([x.mean(dim=1), x.var(dim=1, correction=0).sqrt()], dim=-1)


def _of_statistics(x: Tensor, statistics: Tensor, weight: Tensor) -> Tensor:
    """What each frame adds to the linear score of statistics (L, 2 D), times the number of frames: (T,)."""
    mean, deviation = statistics.chunk(2, dim=-1)
    on_mean, on_deviation = weight.chunk(2, dim=-1)
    squares = (x - mean[:, None]).square() / deviation[:, None].clamp_min(1e-12)
    return (torch.einsum("ltd,ld->lt", x, on_mean) + torch.einsum("ltd,ld->lt", squares, on_deviation)).sum(dim=0)


def _contrast(weight: Tensor) -> Tensor:
    """Weights (D,) of the log odds from those of two logits (D, 2)."""
    return weight[:, 1] - weight[:, 0]


def _log_odds(logits: Tensor) -> Tensor:
    """Log odds of bona fide from the logits (1, 1, 1) or (1, 1, 2) of one utterance."""
    return logits[0, 0, -1] if logits.shape[-1] == 1 else logits[0, 0, 1] - logits[0, 0, 0]


def _settled(values: Tensor, score: float, n_frames: int, how: str) -> Evidence:
    """Spread what belongs to no frame, as the bias, evenly, so that the mean is the score."""
    seen = values.detach().double().numpy()
    out = np.full(n_frames, np.nan)
    out[: len(seen)] = seen + (score - seen.mean())
    return Evidence(out, score, how)
