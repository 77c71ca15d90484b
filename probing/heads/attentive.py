"""Attentive merging of layers, as published and compact."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .merge import RANK, Merge, draw, time_mean
from .recurrence import Packing


class AttentiveMerge(Merge):
    """Attentive merging (Pan et al., Interspeech 2024, arXiv 2406.10283, section 2.2).

    With z the mean over T: q = SiLU(z W), a = sigmoid(SiLU(q W1) W2) with floor(L/2) hidden units,
    one gate a layer in 0..1; then x' = a * x, layers side by side, and Linear, SiLU, Linear back to
    D.

    Faithful (`rank` None): the first Linear is D*L -> floor(D*L/4), as published; the flat index is
    d*L + l. All models of the stack have the same depth.

    Compact (`rank` r): the same gates and the same two Linears with a bottleneck of r instead of
    floor(D*L/4): r (D*L + D + 1) + D parameters. At L = 24, D = 1024 that is 0.2 million for r = 8,
    where the faithful one has 157 million for a data set of 25,000 utterances.
    """

    def __init__(
        self, depths: Sequence[int], n_layers: int, dim: int, rank: int | None = RANK
    ) -> None:
        super().__init__(depths, n_layers, dim)
        if rank is None and set(depths) != {n_layers}:
            raise ValueError(
                f"faithful merges of depths {sorted(set(depths))} in "
                f"one stack: expected {n_layers} only"
            )
        n = len(depths)
        n_hidden = n_layers // 2
        bottleneck = rank or dim * n_layers // 4
        hidden = torch.arange(n_hidden) < torch.tensor([depth // 2 for depth in depths])[:, None]
        self.register_buffer("used", hidden.float(), persistent=False)
        self.query = nn.Parameter(torch.zeros(n, dim))
        self.squeeze = nn.Parameter(torch.zeros(n, n_layers, n_hidden))
        self.excite = nn.Parameter(torch.zeros(n, n_hidden, n_layers))
        # in memory (L, D, M, r), so that one product per layer serves all models without a copy
        self.down = nn.Parameter(torch.zeros(n_layers, dim, n, bottleneck).permute(2, 1, 0, 3))
        self.down_bias = nn.Parameter(torch.zeros(n, bottleneck))
        self.up = nn.Parameter(torch.zeros(n, bottleneck, dim))
        self.up_bias = nn.Parameter(torch.zeros(n, dim))

    used: Tensor

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """Gates from N(0, 1) as published, or divided by the root of their inputs."""
        dim = self.query.shape[1]
        depths = self.depths
        half = [depth // 2 for depth in self.depths]
        draw(self.query, generators, dim**-0.5 if scaled else 1.0)
        draw(
            self.squeeze,
            generators,
            [n**-0.5 for n in depths] if scaled else 1.0,
            list(zip(depths, half, strict=True)),
        )
        draw(
            self.excite,
            generators,
            [max(1, n) ** -0.5 for n in half] if scaled else 1.0,
            list(zip(half, depths, strict=True)),
        )
        draw(
            self.down,
            generators,
            [(3 * dim * n) ** -0.5 for n in depths],
            [(dim, n) for n in depths],
        )
        draw(self.up, generators, (3 * self.up.shape[1]) ** -0.5)

    def values_per_vector(self) -> int:
        """What the bottleneck keeps of every layer, and of their sum; measured generously."""
        _, dim, n_layers, bottleneck = self.down.shape
        of_layer = 3 * bottleneck if bottleneck < dim else dim + 3 * min(bottleneck, 2 * dim)
        return n_layers * of_layer + 3 * bottleneck

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Equations 1 to 3 of the module's source; (M, B, L)."""
        q = (
            functional.silu(torch.einsum("bld,md->mbl", time_mean(x, mask), self.query))
            * self.seen[:, None]
        )
        hidden = functional.silu(torch.bmm(q, self.squeeze)) * self.used[:, None]
        return torch.sigmoid(torch.bmm(hidden, self.excite)) * self.seen[:, None]

    def forward(self, x: Tensor, mask: Tensor | None = None, tail: Tensor | None = None) -> Tensor:
        """See `Merge.forward`."""
        gates = self.gates(x, mask)
        batch, n_layers, n_frames, dim = x.shape
        n, bottleneck = self.down_bias.shape
        down = self.down.permute(2, 1, 0, 3)  # (L, D, M, r), as it is in memory
        if bottleneck > dim:  # gate what goes in, as it is smaller than what comes out
            gated = (
                (x * of_model[:, :, None, None]).transpose(1, 2).flatten(2) for of_model in gates
            )
            h = torch.stack([v @ down[:, :, m].flatten(0, 1) for m, v in enumerate(gated)])
        else:
            by_layer = x.transpose(0, 1).reshape(n_layers, batch * n_frames, dim)
            parts = torch.bmm(by_layer, down.reshape(n_layers, dim, n * bottleneck))
            h = torch.einsum(
                "lbtmr,mbl->mbtr", parts.view(n_layers, batch, n_frames, n, bottleneck), gates
            )
        h = functional.silu(h + self.down_bias[:, None, None])
        up, bias = (
            (self.up, self.up_bias)
            if tail is None
            else (self.up @ tail, (self.up_bias[:, None] @ tail)[:, 0])
        )
        return (h.flatten(1, 2) @ up).view(n, batch, n_frames, -1) + bias[:, None, None]

    def packed(
        self, x: Tensor, mask: Tensor | None, packing: Packing
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """See `Merge.packed`: what is before the second Linear, of valid frames only."""
        gates = packing.spread(self.gates(x, mask)).unsqueeze(-1).unbind(dim=2)  # a layer (M, V, 1)
        n_layers, dim = x.shape[1], x.shape[-1]
        n, bottleneck = self.down_bias.shape
        down = self.down.permute(2, 1, 0, 3)
        # gate what goes in: the gradients of gates need its products, or all that comes out
        if bottleneck > 2 * dim:
            by_layer = [
                layer * gate
                for layer, gate in zip(packing.pack(x.transpose(0, 1)), gates, strict=True)
            ]
            h = torch.bmm(torch.cat(by_layer, dim=2), down.permute(2, 0, 1, 3).flatten(1, 2))
        else:
            flat = down.reshape(n_layers, dim, n * bottleneck)
            # what comes out is smaller to copy than the layers, and cheap where there is padding
            if bottleneck < dim:
                parts = packing.pack(
                    (x.transpose(0, 1).flatten(1, 2) @ flat).unflatten(1, (len(x), -1))
                )
            else:
                parts = packing.pack(x.transpose(0, 1)) @ flat
            first, *others = parts.unflatten(2, (n, bottleneck)).transpose(1, 2).unbind()
            h = first * gates[0]
            for part, gate in zip(others, gates[1:], strict=True):
                h = h.addcmul(part, gate)
        return functional.silu(h + self.down_bias[:, None]), self.up, self.up_bias
