"""Merges: how a head makes one vector a frame out of many layers; M models side by side.

What they have in common, shapes and tails, is in `merge`. `kinds.MERGES` says how they are called
and what their weights mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attentive import AttentiveMerge
from .kinds import MERGES
from .merge import RANK, Merge, draw, gated_sum, time_mean

__all__ = [
    "MERGES",
    "RANK",
    "SLS",
    "AttentiveMerge",
    "Merge",
    "WeightedSum",
    "draw",
    "make_merge",
    "time_mean",
]


class WeightedSum(Merge):
    """Softmax-weighted sum of layers, equal at first (SUPERB; Yang et al., Interspeech 2021).

    Args:
        depths, n_layers, dim: see `Merge`.
        fixed: `mean` for weights that stay equal, `single` for the layer `depths[m]` alone; None
            learns them.
        normalize: layer norm without parameters on every layer before it is weighed.
    """

    def __init__(
        self,
        depths: Sequence[int],
        n_layers: int,
        dim: int,
        fixed: str | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__(depths, n_layers, dim)
        self.normalize = normalize
        logits = torch.zeros(len(depths), n_layers)
        if fixed == "single":
            own = functional.one_hot(torch.tensor(self.depths) - 1, n_layers).bool()
            logits = logits.masked_fill(~own, -torch.inf)
        if fixed:
            self.register_buffer("logits", logits, persistent=False)
        else:
            self.logits = nn.Parameter(logits)

    def weights(self, logits: Tensor | None = None) -> Tensor:
        """The softmax weights (M, L), of its own logits or others.

        They are 0 for layers that a model does not see.
        """
        logits = self.logits if logits is None else logits
        return torch.softmax(logits.masked_fill(self.seen == 0, -torch.inf), dim=1)

    def summed(self, logits: Tensor, x: Tensor, tail: Tensor | None) -> Tensor:
        """The sum of layers weighted by other logits (M, L) than its own, as `forward` gives it."""
        return gated_sum(
            self.weights(logits)[:, None].expand(-1, len(x), -1), self.weighed(x), tail
        )

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights, the same for every utterance."""
        return self.weights()[:, None].expand(-1, len(x), -1)

    def weighed(self, x: Tensor) -> Tensor:
        """What the weights are applied to: the layers, normalised where that is asked for."""
        return functional.layer_norm(x, x.shape[-1:]) if self.normalize else x


class SLS(Merge):
    """Sensitive layer selection (Zhang et al., ACM MM 2024): a sigmoid gate a layer from its time
    mean, then a sum.

    The published classifier behind it (batch norm, SELU, max-pool, fully connected) is not part of
    the merge; any back-end of this project follows.
    """

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__(depths, n_layers, dim)
        self.weight = nn.Parameter(torch.zeros(len(depths), dim))
        self.bias = nn.Parameter(torch.zeros(len(depths)))

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """As PyTorch's nn.Linear."""
        draw(self.weight, generators, self.weight.shape[1] ** -0.5)

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """sigmoid(w . mean over T + b), (M, B, L)."""
        logits = (
            torch.einsum("bld,md->mbl", time_mean(x, mask), self.weight) + self.bias[:, None, None]
        )
        return torch.sigmoid(logits) * self.seen[:, None]


def make_merge(
    kind: str, depths: Sequence[int], n_layers: int, dim: int, rank: int = RANK
) -> Merge:
    """Build M merges of a kind of `MERGES`.

    >>> merge = make_merge("mean", [1, 2], n_layers=2, dim=1)
    >>> merge(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)).flatten().tolist()  # models of depth 1, 2
    [1.0, 2.0]
    """
    found = MERGES.find(kind)
    ranked = {"rank": rank} if found.ranked else {}
    merge: Merge = found.load()(depths, n_layers, dim, **found.options, **ranked)
    return merge
