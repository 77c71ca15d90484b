"""Merges: how a head makes one vector per frame out of many layers. Every module here is M models
side by side.

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
from torch.nn import functional

from .kinds import MERGES
from .recurrence import Packing

RANK = 8


class Merge(nn.Module):
    """M merges of the first `depths[m]` of L layers: a sum of layers, each times its gate, unless
    `forward` is another.

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
        """Merge (B, L, T, D) into (M, B, T, D), or (M, B, T, O) behind a tail; `mask` (B, T) tells
        valid frames.
        """
        return _gated_sum(self.gates(x, mask), self.weighed(x), tail)

    def packed(
        self, x: Tensor, mask: Tensor | None, packing: Packing
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Merged frames as a recurrence takes them, and the linear map with which the merge ends,
        if it does.

        Returns:
            frames: packed (M, V, D), or (M, V, R) before the map.
            map: (M, R, D). offset: (M, D).
        """
        return packing.pack(self(x, mask)), None, None

    def keys(self, x: Tensor, mask: Tensor | None = None, tail: Tensor | None = None) -> Tensor:
        """What attention in a back-end looks at, shaped as `forward`: the merged frames, unless a
        merge has others.
        """
        merged: Tensor = self(x, mask, tail)
        return merged

    def weighed(self, x: Tensor) -> Tensor:
        """What gates are applied to: the layers, (B, L, T, D)."""
        return x

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each layer is multiplied by, (M, B, L)."""
        raise NotImplementedError

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """Draw the parameters of model m by its own generator, so that they do not depend on the
        other models.
        """

    def rank(self, layers: Sequence[int]) -> None:
        """Told which layers say most alone, the best first, before a training that knows; for
        merges that select.
        """

    def learn(self, n_before: int) -> None:
        """Told before a batch in training how many utterances came before; for merges that draw
        anew for each.
        """

    def values_per_vector(self) -> int:
        """About how many values a training step keeps for each vector and model, beside those that
        back-ends count.
        """
        return 0


class WeightedSum(Merge):
    """Softmax-weighted sum of layers (SUPERB; Yang et al., Interspeech 2021): one scalar a layer,
    all equal at first.

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
        """The softmax weights (M, L), of its own logits or others; 0 where a model does not see a
        layer.
        """
        logits = self.logits if logits is None else logits
        return torch.softmax(logits.masked_fill(self.seen == 0, -torch.inf), dim=1)

    def summed(self, logits: Tensor, x: Tensor, tail: Tensor | None) -> Tensor:
        """The sum of layers weighted by other logits (M, L) than its own, as `forward` gives it."""
        return _gated_sum(
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
        """Gates from N(0, 1) as published, or divided by the root of their inputs, which saturates
        none at first.
        """
        dim, depths, half = self.query.shape[1], self.depths, [depth // 2 for depth in self.depths]
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


def make_merge(
    kind: str, depths: Sequence[int], n_layers: int, dim: int, rank: int = RANK
) -> Merge:
    """Build M merges of a kind of `MERGES`."""
    found = MERGES.find(kind)
    ranked = {"rank": rank} if found.ranked else {}
    merge: Merge = found.load()(depths, n_layers, dim, **found.options, **ranked)
    return merge


def time_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of (B, L, T, D) over valid frames, (B, L, D)."""
    if mask is None:
        return x.mean(dim=2)
    share = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True)
    flat = x.transpose(0, 1).flatten(0, 1)  # sources lay layers first: no copy
    return (
        torch.bmm(share.repeat(x.shape[1], 1)[:, None], flat)
        .view(x.shape[1], len(x), -1)
        .transpose(0, 1)
    )


def _gated_sum(gates: Tensor, x: Tensor, tail: Tensor | None) -> Tensor:
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
    """Fill the parameters of each model from N(0, scale) by its own generator.

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
