"""Nes2Net-X: a back-end of nested Res2Nets; see `backends`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .backends import BackEnd
from .merges import Merge, draw
from .modules import BatchNorm, Linear, frames_mean, start_all

PARTS = 8  # of the features, and again of the features of each part
KERNEL = 3
DILATION = 2


class Nes2NetX(BackEnd):
    """Nes2Net-X (Liu et al. 2025, arXiv 2504.05657), without a reduction of D before it.

    The features in 8 parts of C = D / 8: y_1 = BN(ReLU(Res2Net(x_1))), y_i = BN(ReLU(Res2Net(x_i +
    y_{i-1}))) for the first seven, the eighth as it is; BN, ReLU of all, mean over time, Linear to
    one logit. 511,014 parameters at D = 1024. Features are filled up with zeros where 8 does not
    divide D.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.width = -(-dim // PARTS)
        self.inner = nn.ModuleList([Res2Net(n, self.width) for _ in range(PARTS - 1)])
        self.norms = nn.ModuleList([BatchNorm(n, self.width) for _ in range(PARTS - 1)])
        self.norm = BatchNorm(n, PARTS * self.width)
        self.values_per_vector = 75 * dim
        self.weight = nn.Parameter(torch.zeros(n, PARTS * self.width, outputs or 1))
        self.bias = nn.Parameter(torch.zeros(n) if outputs is None else torch.zeros(n, outputs))

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance."""
        start_all(self, generators)
        draw(self.weight, generators, (3 * self.weight.shape[1]) ** -0.5)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`; frames after the end of an utterance change nothing."""
        merged = merge(x, mask)
        parts = functional.pad(merged, (0, PARTS * self.width - merged.shape[-1])).chunk(
            PARTS, dim=-1
        )
        valid = None if mask is None else mask[None, :, :, None]
        before = torch.zeros_like(parts[0])
        outputs = []
        for part, inner, norm in zip(parts, self.inner, self.norms, strict=False):
            before = norm(functional.relu(inner(part + before, mask)), valid)
            outputs.append(before)
        every = functional.relu(self.norm(torch.cat([*outputs, parts[-1]], dim=-1), valid))
        logits = torch.bmm(frames_mean(every, mask), self.weight)
        return logits + (self.bias[:, None, None] if self.bias.ndim == 1 else self.bias[:, None])


class Res2Net(nn.Module):
    """A Res2Net block over time on C features (M, B, T, C), with learned sums of its scales and
    squeeze-excitation.

    Linear to 8 parts of C / 8, ReLU, BN. z_0 is the eighth part; step i puts part i beside the
    streams z so far and applies one convolution (3 frames, 2 apart), ReLU and BN to each of them;
    its output is their learned sum. Outputs and the eighth part -> Linear, ReLU, BN, gate of each
    feature from its mean over time, plus the input.
    """

    def __init__(self, n: int, n_channels: int) -> None:
        super().__init__()
        width = max(1, n_channels // PARTS)
        self.first = Linear(n, n_channels, PARTS * width)
        self.first_norm = BatchNorm(n, PARTS * width)
        self.convolutions = nn.ModuleList(
            [Linear(n, KERNEL * width, width) for _ in range(PARTS - 1)]
        )
        self.norms = nn.ModuleList([BatchNorm(n, width) for _ in range(PARTS - 1)])
        self.sums = nn.ParameterList(
            [torch.full((n, i + 2), 1 / (i + 2)) for i in range(PARTS - 1)]
        )
        self.last = Linear(n, PARTS * width, n_channels)
        self.last_norm = BatchNorm(n, n_channels)
        self.squeeze = Linear(n, n_channels, n_channels)
        self.excite = Linear(n, n_channels, n_channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Apply to frames (M, B, T, C)."""
        valid = None if mask is None else mask[None, :, :, None]
        parts = self.first_norm(functional.relu(self.first(x)), valid).chunk(PARTS, dim=-1)
        streams = parts[-1][:, :, :, None]
        of_stream = None if valid is None else valid[..., None]
        outputs = []
        for part, convolve, norm, sums in zip(
            parts, self.convolutions, self.norms, self.sums, strict=False
        ):
            streams = torch.cat([streams, part[:, :, :, None]], dim=3)
            streams = norm(functional.relu(convolve(_windows(streams, of_stream))), of_stream)
            outputs.append(torch.einsum("mbtsc,ms->mbtc", streams, sums))
        out = self.last_norm(
            functional.relu(self.last(torch.cat([*outputs, parts[-1]], dim=-1))), valid
        )
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(frames_mean(out, mask)))))
        return out * gate[:, :, None] + x


def _windows(x: Tensor, valid: Tensor | None) -> Tensor:
    """The frames (M, B, T, S, C) that a kernel sees at each frame, side by side: (M, B,
    T, S, 3 C).
    """
    if valid is not None:
        x = x * valid
    reach = DILATION * (KERNEL // 2)
    padded = functional.pad(x, (0, 0, 0, 0, reach, reach))
    n_frames = x.shape[2]
    return torch.cat(
        [padded[:, :, i * DILATION : i * DILATION + n_frames] for i in range(KERNEL)], dim=-1
    )
