"""MHFA: multi-head factorised attentive pooling, a back-end; see `backends`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .backends import BackEnd, ByFrame
from .merges import Merge, draw

WIDTH = 128
N_HEADS = 32
EMBEDDING = 256


class FactorisedAttention(BackEnd):
    """Multi-head factorised attentive pooling (MHFA; Peng et al., SLT 2022, arXiv 2210.01273).

    K and V are Linear maps to 128 of the keys and of the merged frames; a Linear of K to 32 heads,
    softmax over time; for each head the sum of V; all heads side by side -> Linear to 256 -> Linear
    to two logits. Published, keys and values have layer weights of their own: that is the merge
    `weighted-sum-kv`. They are the same behind any other merge.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.key = nn.Parameter(torch.zeros(n, dim, WIDTH))
        self.key_bias = nn.Parameter(torch.zeros(n, WIDTH))
        self.value = nn.Parameter(torch.zeros(n, dim, WIDTH))
        self.value_bias = nn.Parameter(torch.zeros(n, WIDTH))
        self.attend = nn.Parameter(torch.zeros(n, WIDTH, N_HEADS))
        # shifts no softmax; published all the same
        self.attend_bias = nn.Parameter(torch.zeros(n, N_HEADS))
        self.embed = nn.Parameter(torch.zeros(n, N_HEADS * WIDTH, EMBEDDING))
        self.embed_bias = nn.Parameter(torch.zeros(n, EMBEDDING))
        self.weight = nn.Parameter(torch.zeros(n, EMBEDDING, outputs or 2))
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 4 * dim + 6 * WIDTH + 6 * N_HEADS

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance."""
        for parameter in (self.key, self.value, self.attend, self.embed, self.weight):
            draw(parameter, generators, (3 * parameter.shape[1]) ** -0.5)

    def pooled(self, merge: Merge, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attention (M, B, T, H), 1 in sum over T, and values (M, B, T, 128)."""
        keys = merge.keys(x, mask, self.key) + self.key_bias[:, None, None]
        values = merge(x, mask, self.value) + self.value_bias[:, None, None]
        n, batch, n_frames, _ = keys.shape
        energy = torch.baddbmm(self.attend_bias[:, None], keys.flatten(1, 2), self.attend).view(
            n, batch, n_frames, -1
        )
        if mask is not None:
            energy = energy.masked_fill(~mask[None, :, :, None], -torch.inf)
        return torch.softmax(energy, dim=2), values

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`."""
        attention, values = self.pooled(merge, x, mask)
        heads = torch.einsum("mbth,mbtc->mbhc", attention, values).flatten(2)
        embedding = torch.baddbmm(self.embed_bias[:, None], heads, self.embed)
        return torch.baddbmm(self.bias[:, None], embedding, self.weight)

    @torch.no_grad()
    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """The linear layers' output for the value of a frame, by head, times its attention."""
        attention, values = self.pooled(merge, x, None)
        contrast = self.weight[0, :, 1] - self.weight[0, :, 0]
        by_head = (self.embed[0] @ contrast).view(N_HEADS, WIDTH)
        return ByFrame((attention[0, 0] * (values[0, 0] @ by_head.T)).sum(dim=1) * x.shape[2])
