"""Conformer with a class token: a back-end; see `backends`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .backends import BackEnd
from .merges import Merge, draw
from .modules import BatchNorm, Convolution, LayerNorm, Linear, start_all

WIDTH = 144
N_HEADS = 4
N_BLOCKS = 4
KERNEL = 31
FARTHEST = 512  # distance that position weights tell apart


class Conformer(BackEnd):
    """Conformer with a class token (Rosello et al., Interspeech 2023), which needs no fixed length.

    Linear to 144, BN of all values alike, SELU; a learned token before the first frame; 4 Conformer
    blocks of 4 heads and kernels of 31; Linear of the token to two logits. 2,506,324 parameters at
    D = 1024.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.project = nn.Parameter(torch.zeros(n, dim, WIDTH))
        self.project_bias = nn.Parameter(torch.zeros(n, WIDTH))
        self.norm = BatchNorm(n, 1)
        self.token = nn.Parameter(torch.zeros(n, WIDTH))
        self.blocks = nn.ModuleList([Block(n) for _ in range(N_BLOCKS)])
        self.weight = nn.Parameter(torch.zeros(n, WIDTH, outputs or 2))
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 2 * dim + 85_000

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance; the token from N(0, 1)."""
        start_all(self, generators)
        draw(self.token, generators, 1.0)
        for parameter in (self.project, self.weight):
            draw(parameter, generators, (3 * parameter.shape[1]) ** -0.5)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`; frames after the end of an utterance change nothing."""
        merged = merge(x, mask, self.project) + self.project_bias[:, None, None]
        valid = None if mask is None else mask[None, :, :, None, None]
        merged = functional.selu(self.norm(merged[..., None], valid)[..., 0])
        token = self.token[:, None, None].expand(-1, merged.shape[1], -1, -1)
        y = torch.cat([token, merged], dim=2)
        mask = None if mask is None else functional.pad(mask, (1, 0), value=True)
        for block in self.blocks:
            y = block(y, mask)
        return torch.baddbmm(self.bias[:, None], y[:, :, 0], self.weight)


class Block(nn.Module):
    """A Conformer block (Gulati et al., Interspeech 2020), its attention with relative positions of
    Shaw et al. 2018.

    Half a feed-forward module, attention, convolution and half a feed-forward module, each added to
    what comes in and normalised before; layer norm in the end.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.before = FeedForward(n)
        self.attention_norm = LayerNorm(n, WIDTH)
        self.query = Linear(n, WIDTH, WIDTH, bias=False)
        self.key_value = Linear(n, WIDTH, 2 * WIDTH, bias=False)
        self.positions = nn.Parameter(torch.zeros(n, 2 * FARTHEST + 1, WIDTH // N_HEADS))
        self.attention_out = Linear(n, WIDTH, WIDTH)
        self.convolution_norm = LayerNorm(n, WIDTH)
        self.gated = Linear(n, WIDTH, 4 * WIDTH)
        self.convolution = Convolution(
            n,
            2 * WIDTH,
            n_outputs=2 * WIDTH,
            kernel=(KERNEL,),
            padding=(KERNEL // 2,),
            depthwise=True,
        )
        self.batch_norm = BatchNorm(n, 2 * WIDTH)
        self.convolution_out = Linear(n, 2 * WIDTH, WIDTH)
        self.after = FeedForward(n)
        self.norm = LayerNorm(n, WIDTH)

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """Position weights from N(0, 1), as PyTorch's nn.Embedding."""
        draw(self.positions, generators, 1.0)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Apply to a token and frames (M, B, T + 1, 144)."""
        x = x + 0.5 * self.before(x)
        x = x + self._attend(self.attention_norm(x), mask)
        x = x + self._convolve(self.convolution_norm(x), mask)
        x = x + 0.5 * self.after(x)
        return self.norm(x)

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, batch, length, _ = x.shape
        q, k, v = (
            projected.view(n, batch, length, N_HEADS, -1).transpose(2, 3)
            for projected in (self.query(x), *self.key_value(x).chunk(2, dim=-1))
        )
        distances = (
            torch.arange(length - 1, -length, -1, device=x.device).clamp(-FARTHEST, FARTHEST)
            + FARTHEST
        )
        by_distance = torch.bmm(q.flatten(1, 3), self.positions[:, distances].mT).view(
            *q.shape[:4], -1
        )
        steps = torch.arange(length, device=x.device)
        # of frame j, seen from frame i
        order = (steps - steps[:, None] + length - 1).expand(*q.shape[:3], -1, -1)
        energy = (q @ k.mT + by_distance.gather(-1, order)) * q.shape[-1] ** -0.5
        if mask is not None:
            energy = energy.masked_fill(~mask[None, :, None, None], -torch.inf)
        return self.attention_out((torch.softmax(energy, dim=-1) @ v).transpose(2, 3).flatten(3))

    def _convolve(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = functional.glu(self.gated(x), dim=-1)
        valid = None if mask is None else mask[None, :, :, None]
        x = x if valid is None else x * valid
        x = self.convolution(x.permute(1, 0, 3, 2)).permute(1, 0, 3, 2)
        return self.convolution_out(functional.silu(self.batch_norm(x, valid)))


class FeedForward(nn.Module):
    """Layer norm, Linear to four times the width, SiLU, Linear."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.norm = LayerNorm(n, WIDTH)
        self.inner = Linear(n, WIDTH, 4 * WIDTH)
        self.outer = Linear(n, 4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (M, ..., 144)."""
        return self.outer(functional.silu(self.inner(self.norm(x))))
