"""Pooling: what an utterance keeps of a layer, whatever it was batched with."""

from collections.abc import Sequence

import torch

LEAST_VARIANCE = 1e-12  # the root of less has gradients without bound
POOLING = "mean and population standard deviation over valid frames, two passes in float32"


def frame_weights(n_frames: Sequence[int], length: int, device: torch.device) -> torch.Tensor:
    """(B, 1, T): 1/n on the n valid frames of each utterance, 0 on its padding.

    >>> frame_weights([2], 3, torch.device("cpu")).tolist()
    [[[0.5, 0.5, 0.0]]]
    """
    counts = torch.tensor(n_frames, device=device, dtype=torch.float32)[:, None]
    return ((torch.arange(length, device=device)[None] < counts) / counts)[:, None]


def pool(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean and standard deviation of hidden states (B, T, D) over time, as (B, 2, D).

    Two matrix products: var_mean over the time axis is ten times slower, and a difference of
    squares loses the small deviations of channels with a large mean.

    >>> states = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> pool(states, frame_weights([2], 3, states.device)).tolist()
    [[[2.0], [1.0]]]
    """
    states = states.float()
    mean = weights @ states
    variance = weights @ (states - mean).square()
    return torch.cat([mean, variance.sqrt()], dim=1)


def pool_with_gradients(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """What `pool` gives, (B, 2, D), with gradients that are finite; float64 stays."""
    weights = weights.to(states.dtype)
    mean = weights @ states
    variance = weights @ (states - mean).square()
    return torch.cat([mean, variance.clamp_min(LEAST_VARIANCE).sqrt()], dim=1)
