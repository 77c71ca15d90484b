"""The merge: what every merge of layers has in common.

The models of a stack differ in depth (how many layers they see), seed and training constants; their
parameters have M as first dimension, so that one tensor operation serves all of them. M = 1 is a
single model. Every merge takes layers 1..L in order (layer 0 is the input of the first block and
belongs to no merge) and hides from model m the layers above `depths[m]`. Shapes: B utterances, L
layers, T frames, D features, O outputs.

`tail` is a linear map (M, D, O) that the back-end applies to the merged vector. A merge that ends
linearly takes it into its own products, which is the same function and far cheaper than writing out
M merged vectors.

`kinds.MERGES` says how they are called and what their weights mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .recurrence import Packing

RANK = 8


class Merge(nn.Module):
    """M merges of the first `depths[m]` of L layers: by default a sum of layers times gates.

    A merge of one's own makes its parameters in `__init__`, each with M as first dimension and
    zero, draws them in `start`, and says in `gates` what every layer is multiplied by.

    Args:
        depths: how many layers each of the M models sees.
        n_layers: L, layers given.
        dim: D, features of a layer.

    Attributes:
        seen: (M, L) 1.0 where model m sees layer l + 1.
    """

    seen: Tensor

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__()
        self.depths = tuple(depths)
        order = torch.arange(1, n_layers + 1)
        self.register_buffer(
            "seen", (order <= torch.tensor(self.depths)[:, None]).float(), persistent=False
        )

    def forward(self, x: Tensor, mask: Tensor | None = None, tail: Tensor | None = None) -> Tensor:
        """Merge (B, L, T, D) into (M, B, T, D), or (M, B, T, O) behind a tail.

        `mask` (B, T) tells valid frames.
        """
        return gated_sum(self.gates(x, mask), self.weighed(x), tail)

    def packed(
        self, x: Tensor, mask: Tensor | None, packing: Packing
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Merged frames as a recurrence takes them, and the linear map at the end of a merge.

        Returns:
            frames: packed (M, V, D), or (M, V, R) before the map.
            map: (M, R, D). offset: (M, D).
        """
        return packing.pack(self(x, mask)), None, None

    def keys(self, x: Tensor, mask: Tensor | None = None, tail: Tensor | None = None) -> Tensor:
        """The keys of attention in a back-end, shaped as `forward`: the merged frames."""
        merged: Tensor = self(x, mask, tail)
        return merged

    def weighed(self, x: Tensor) -> Tensor:
        """What gates are applied to: the layers, (B, L, T, D)."""
        return x

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each layer is multiplied by, (M, B, L)."""
        raise NotImplementedError

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """Draw the parameters of each model by its own generator, whatever the other models are."""

    def rank(self, layers: Sequence[int]) -> None:
        """Take the order of layers by their probes alone, best first; for merges that select.

        Called before a training, if that order is known.
        """

    def learn(self, n_before: int) -> None:
        """Take how many utterances a training has learned from so far; for merges that draw anew.

        Called before each batch of a training.
        """

    def values_per_vector(self) -> int:
        """About how many values a step keeps for each vector and model, without the back-end."""
        return 0


def time_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of (B, L, T, D) over valid frames, (B, L, D).

    >>> x = torch.arange(4.0).view(1, 1, 4, 1)
    >>> time_mean(x, None).item(), time_mean(x, torch.tensor([[True, True, False, False]])).item()
    (1.5, 0.5)
    """
    if mask is None:
        return x.mean(dim=2)
    share = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True)
    flat = x.transpose(0, 1).flatten(0, 1)  # sources lay layers first: no copy
    return (
        torch.bmm(share.repeat(x.shape[1], 1)[:, None], flat)
        .view(x.shape[1], len(x), -1)
        .transpose(0, 1)
    )


def gated_sum(gates: Tensor, x: Tensor, tail: Tensor | None) -> Tensor:
    """The sum (M, B, T, D) of layers times their gates (M, B, L), or (M, B, T, O) behind a tail."""
    if tail is None:
        return torch.einsum("mbl,bltd->mbtd", gates, x)
    n, dim, n_out = tail.shape
    if n_out > 1:  # merged first, the layers are projected once and not each
        merged = torch.einsum("mbl,bltd->mbtd", gates, x)
        return (merged.flatten(1, 2) @ tail).view(*merged.shape[:3], n_out)
    projected = (x.reshape(-1, dim) @ tail.permute(1, 0, 2).reshape(dim, n * n_out)).view(
        *x.shape[:3], n, n_out
    )
    return torch.einsum("mbl,bltmo->mbto", gates, projected)


def draw(
    parameter: Tensor,
    generators: Sequence[torch.Generator],
    scale: float | Sequence[float],
    sizes: Sequence[tuple[int, ...]] | None = None,
) -> None:
    """Draw the parameters of each model from N(0, scale) by its own generator.

    `sizes` tells of the first dimensions how much of them a model uses; the rest stays as it is, so
    that what is drawn does not depend on how deep the stack is.
    """
    scales = [scale] * len(generators) if isinstance(scale, float) else list(scale)
    with torch.no_grad():
        for values, generator, factor, size in zip(
            parameter, generators, scales, sizes or [()] * len(generators), strict=True
        ):
            used = values[tuple(slice(0, n) for n in size)]
            used.copy_(torch.randn(used.shape, generator=generator) * factor)
