"""Evidence over time: what every frame adds to the score of a trained head.

Every head ends in a mean over frames, or in a standard deviation, which is one too: s = mean_t (x_t
- m)^2 / s. So a score is a mean over frames, exactly where everything around that mean is linear,
and by the gradient where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probing.heads.backends import ByFrame, frame_statistics, of_statistics
from probing.heads.head import Head, HeadUnusable
from probing.heads.stack import HeadStack
from probing.serving.exit_heads import ExitHeads
from probing.serving.heads import AnyHead
from probing.serving.layer_probe import LayerProbe

EXACT = "exact: the score is a mean over frames"
OWN_WEIGHTS = "exact, given the weights of layers that this utterance gets"
GRADIENT = "first order: gradient of the score times mean and deviation of each frame"


@dataclass(frozen=True)
class Evidence:
    """What each frame says: log odds of bona fide whose mean over frames is the score.

    values: (T,) above 0 for bona fide; NaN in frames that the head does not see.
    score: log odds of bona fide of the utterance; of a head with two logits their difference.
    how: how the score was divided among frames.

    >>> Evidence(np.array([0.5, 1.5]), 1.0, "example").score
    1.0
    """

    values: NDArray[np.float64]
    score: float
    how: str


def frame_evidence(head: AnyHead, frames: NDArray[Any]) -> Evidence:
    """Divide the score of an utterance among its frames.

    A linear probe on mean and deviation: its weights on each frame's share of both. Merges on
    pooled statistics: the same with the gradient of the score for weights. On frames: LSTM, the
    linear layer on every output, which has all frames before it in it; attentive statistics,
    attention weights times what the linear layer says of the frame; MLP, the gradient of the score
    at the mean of its inputs.

    Args:
        head: a trained head, or the linear probe of a layer.
        frames: (len(head.layers), T, D) the layers it needs.

    Raises:
        HeadUnusable: layers of another shape.

    >>> from probing.serving import LayerProbe
    >>> frame_evidence(
    ...     LayerProbe(2, np.ones(16), 0.5), np.random.default_rng(0).normal(size=(1, 50, 8))
    ... ).values.shape
    (50,)
    """
    if (
        frames.ndim != 3
        or len(frames) != len(head.layers)
        or frames.shape[2] != head.dim
        or not frames.shape[1]
    ):
        raise HeadUnusable(
            f"{head.name}: frames of shape {frames.shape}; expected ({len(head.layers)}, T, "
            f"{head.dim}), layers {head.layers[0]} to {head.layers[-1]}"
        )
    if isinstance(head, ExitHeads):
        raise HeadUnusable(
            f"{head.name}: has several heads, one an exit. Inspect "
            "the run, or an export of one of them"
        )
    x = torch.from_numpy(np.asarray(frames, np.float64))
    if isinstance(head, LayerProbe):
        weight = torch.from_numpy(head.weight.astype(np.float64))
        values = of_statistics(x, frame_statistics(x), weight[None]) + head.bias
        return Evidence(values.numpy(), float(values.mean()), EXACT)
    if head.tier == "pooled":
        return _pooled(head, x)
    return _on_frames(head, x)


def _pooled(head: Head, x: Tensor) -> Evidence:
    found = frame_statistics(x).requires_grad_()
    stack = head.stack
    score = _log_odds(stack(stack.standardized(found.float()[None, :, None])))
    (gradient,) = torch.autograd.grad(score, found)
    values = of_statistics(x, found.detach(), gradient)
    linear = stack.merge_kind.linear and stack.backend_kind.linear
    return _settled(values, score.item(), x.shape[1], EXACT if linear else GRADIENT)


def _on_frames(head: Head, x: Tensor) -> Evidence:
    stack = head.stack
    n_frames = x.shape[1]
    z = stack.standardized(x[None, :, : head.n_frames].float())
    with torch.no_grad():
        score = float(_log_odds(stack(z)))
    found = stack.backend.by_frame(stack.merge, z) or _by_gradient(stack, z)
    exact = EXACT if stack.merge_kind.linear else OWN_WEIGHTS
    return _settled(found.values.double(), score, n_frames, exact if found.exact else GRADIENT)


def _by_gradient(stack: HeadStack, z: Tensor) -> ByFrame:
    """Gradient of the score times each frame, of a back-end that gives no shares itself."""
    z = z.requires_grad_()
    (gradient,) = torch.autograd.grad(_log_odds(stack(z)), z)
    return ByFrame((gradient * z).sum(dim=(0, 1, 3)).detach() * z.shape[2], exact=False)


def _log_odds(logits: Tensor) -> Tensor:
    """Log odds of bona fide from the logits (1, 1, 1) or (1, 1, 2) of one utterance."""
    return logits[0, 0, -1] if logits.shape[-1] == 1 else logits[0, 0, 1] - logits[0, 0, 0]


def _settled(values: Tensor, score: float, n_frames: int, how: str) -> Evidence:
    """Spread what belongs to no frame, as the bias, evenly, so that the mean is the score."""
    seen = values.detach().double().numpy()
    out = np.full(n_frames, np.nan)
    out[: len(seen)] = seen + (score - seen.mean())
    return Evidence(out, score, how)
