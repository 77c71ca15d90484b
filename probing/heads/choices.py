"""Further merges: squeeze-excitation, a choice of one layer or four, two sums for keys and values.

See `merges`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .merges import Merge, WeightedSum, draw, time_mean

SQUEEZE = 3
N_SELECTED = 4
DRAWS = 2003  # of noise, taken in turn by the utterances of a training


class SqueezeExcitation(Merge):
    """Squeeze-excitation over layers (SEA; Liu et al. 2025, arXiv 2504.05657): one gate a layer,
    then a sum.

    With y_l the mean of layer l over frames and features: a = sigmoid(ReLU(y W1) W2), floor(L / 3)
    hidden units and at least one, no biases.
    """

    used: Tensor

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__(depths, n_layers, dim)
        self.n_hidden = [max(1, depth // SQUEEZE) for depth in self.depths]
        width = max(1, n_layers // SQUEEZE)
        used = torch.arange(width) < torch.tensor(self.n_hidden)[:, None]
        self.register_buffer("used", used.float(), persistent=False)
        self.squeeze = nn.Parameter(torch.zeros(len(depths), n_layers, width))
        self.excite = nn.Parameter(torch.zeros(len(depths), width, n_layers))

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """As PyTorch's nn.Linear in variance."""
        inner = list(zip(self.depths, self.n_hidden, strict=True))
        draw(self.squeeze, generators, [(3 * n) ** -0.5 for n in self.depths], inner)
        draw(
            self.excite,
            generators,
            [(3 * n) ** -0.5 for n in self.n_hidden],
            [size[::-1] for size in inner],
        )

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """One gate in 0..1 a layer, (M, B, L)."""
        squeezed = time_mean(x, mask).mean(dim=2) * self.seen[:, None]
        hidden = functional.relu(torch.bmm(squeezed, self.squeeze)) * self.used[:, None]
        return torch.sigmoid(torch.bmm(hidden, self.excite)) * self.seen[:, None]


class GumbelChoice(Merge):
    """One layer, chosen by a Gumbel-softmax (Jang et al., Maddison et al., ICLR 2017), hard and
    straight-through.

    In training an utterance has the layer whose score plus Gumbel noise is highest, and passes the
    gradient on to the softmax of these sums (temperature 1). Otherwise all have the layer of the
    highest score, and nothing depends on another.
    """

    noise: Tensor

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__(depths, n_layers, dim)
        self.logits = nn.Parameter(torch.zeros(len(depths), n_layers))
        self.register_buffer("noise", torch.zeros(len(depths), DRAWS, n_layers), persistent=False)
        self.n_before = 0

    def start(self, generators: Sequence[torch.Generator], scaled: bool) -> None:
        """Scores stay equal; all noise is drawn here, so that a training that goes on after a kill
        has the same.
        """
        for values, generator, depth in zip(self.noise, generators, self.depths, strict=True):
            uniform = torch.rand(DRAWS, depth, generator=generator, dtype=torch.float64).clamp_min(
                1e-12
            )
            values[:, :depth] = -torch.log(-torch.log(uniform))

    def learn(self, n_before: int) -> None:
        """See `Merge.learn`."""
        self.n_before = n_before

    def gates(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """1 for the chosen layer and 0 for the others, (M, B, L)."""
        scores: Tensor = self.logits[:, None].expand(-1, len(x), -1)
        if self.training:
            turn = (self.n_before + torch.arange(len(x), device=x.device)) % DRAWS
            scores = scores + self.noise[:, turn]
        scores = scores.masked_fill(self.seen[:, None] == 0, -torch.inf)
        chosen = functional.one_hot(scores.argmax(dim=2), scores.shape[2]).to(scores.dtype)
        if self.training:
            soft = torch.softmax(scores, dim=2)
            chosen = chosen + soft - soft.detach()
        return chosen


class KeyValueSum(WeightedSum):
    """Two softmax-weighted sums of layers, of values and of keys (MHFA; Peng et al., SLT 2022).

    A back-end that has no use for keys sees the values alone, which makes this a weighted sum.
    """

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__(depths, n_layers, dim)
        self.key_logits = nn.Parameter(torch.zeros(len(depths), n_layers))

    def keys(self, x: Tensor, mask: Tensor | None = None, tail: Tensor | None = None) -> Tensor:
        """The sum of layers by the weights of keys, see `Merge.keys`."""
        return self.summed(self.key_logits, x, tail)


class SelectedLayers(WeightedSum):
    """A softmax-weighted sum of the four layers that rank highest, of those that a model sees (as
    arXiv 2606.30791).

    A sweep ranks layers by their linear probes on dev, and never on eval. The publication pools
    each of the four by attention and gives them one bottleneck; here the back-end that follows does
    what it does. Without a ranking, as in an estimator, all layers are taken.
    """

    kept = ("chosen",)
    chosen: Tensor

    def __init__(self, depths: Sequence[int], n_layers: int, dim: int) -> None:
        super().__init__(depths, n_layers, dim)
        self.register_buffer("chosen", self.seen.clone())

    def rank(self, layers: Sequence[int]) -> None:
        """See `Merge.rank`."""
        for chosen, depth in zip(self.chosen, self.depths, strict=True):
            chosen.zero_()
            chosen[[layer - 1 for layer in layers if layer <= depth][:N_SELECTED]] = 1.0

    def weights(self, logits: Tensor | None = None) -> Tensor:
        """The softmax weights (M, L); 0 but for the chosen layers."""
        return torch.softmax(self.logits.masked_fill(self.chosen == 0, -torch.inf), dim=1)
