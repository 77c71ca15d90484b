"""The classifier of SLS, which needs utterances of one length: a back-end; see `backends`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .backends import BackEnd
from .merges import Merge, draw
from .modules import BatchNorm, Linear, start_all

N_FRAMES = 201  # of 64,600 samples at 16 kHz
POOL = 3
WIDTH = 1024


class FixedLength(BackEnd):
    """The published classifier of SLS (Zhang et al., ACM MM 2024), for 201 frames: four seconds.

    BN of all values alike, SELU, max-pool 3 x 3 over frames and features, all of them side by side
    -> Linear to 1,024, SELU, Linear, SELU: two logits. 23.4 million parameters at D = 1024. The
    frames of a shorter utterance are repeated, as its samples are in the publication; of a longer
    one the first 201 are taken. A number has no SELU at its end, which would keep it above -1.76.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.pool = (POOL, min(POOL, dim))
        self.last = functional.selu if outputs != 1 else nn.Identity()
        self.norm = BatchNorm(n, 1)
        n_inputs = N_FRAMES // POOL * (dim // self.pool[1])
        self.inner = nn.Parameter(torch.zeros(n, n_inputs, WIDTH))
        self.inner_bias = nn.Parameter(torch.zeros(n, WIDTH))
        # As inputs are so many, steps of the usual size would drive both logits to the floor of the
        # last SELU, where no gradient is: weights are kept divided by their deviation at the start.
        self.scale = (3 * n_inputs) ** -0.5
        self.outer = Linear(n, WIDTH, outputs or 2)
        # behind the SELU, for the prior; not published
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 12 * dim

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance."""
        start_all(self, generators)
        draw(self.inner, generators, 1.0)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`; frames after the end of an utterance change nothing."""
        merged = merge(x, mask)
        lengths = (
            torch.full((len(x),), x.shape[2], device=x.device) if mask is None else mask.sum(dim=1)
        )
        repeated = torch.arange(N_FRAMES, device=x.device) % lengths[:, None]
        fixed = merged[:, torch.arange(len(x), device=x.device)[:, None], repeated]
        maps = functional.selu(self.norm(fixed[..., None])[..., 0])
        pooled = functional.max_pool2d(maps, self.pool).flatten(2)
        hidden = functional.selu(
            torch.baddbmm(self.inner_bias[:, None], pooled * self.scale, self.inner)
        )
        return self.last(self.outer(hidden)) + self.bias[:, None]
