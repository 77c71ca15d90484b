"""Back-ends: from merged frames to the score of an utterance.

Every module is M models side by side (see `merges`).

`kinds.BACKENDS` says how they are called and what they need.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from probing.registry import RegistryError

from .kinds import BACKENDS
from .merges import Merge, draw
from .recurrence import LSTMSum, Packing, doubled, states

LSTM_WIDTH = 192
MLP_WIDTH = 64
ATTENTION_WIDTH = 128


@dataclass(frozen=True)
class ByFrame:
    """Values (T,) whose mean over frames is the score, but for a constant.

    exact: given the merged frames; else by the gradient of the score.
    """

    values: Tensor
    exact: bool = True


class BackEnd(nn.Module):
    """M back-ends over vectors of D features.

    A back-end of one's own makes its parameters in `__init__`, each with M as first dimension and
    zero, among them `bias`, and draws them in `start`.

    Args:
        n: M.
        dim: D.
        frames: whether there is more than one vector an utterance.
        outputs: O, of targets other than two classes: 1 of a number, M of M classes. None as the
            kind has it.

    Attributes:
        bias: (M,) or (M, O), added to the logits last.
        values_per_vector: about how many a training step keeps for each vector and model, its merge
            included.
    """

    bias: nn.Parameter

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__()
        self.values_per_vector = 20 * dim

    @torch.no_grad()
    def shift(self, by: float) -> None:
        """Add to the log odds of bona fide."""
        of_bonafide = self.bias if self.bias.ndim == 1 else self.bias[:, 1]
        of_bonafide += by

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """Logits (M, B, O) of layers (B, L, T, D): O = 1 is the log odds of bona fide, O = 2 are
        spoof, bona fide.

        Of other targets O are its `outputs`: a number, or a logit for each class.
        """
        raise NotImplementedError

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """Draw the parameters of model m by its own generator."""

    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """What each frame of an utterance (1, L, T, D) adds to its score.

        None if its kind has no way to say.
        """
        return None


class Linear(BackEnd):
    """One linear layer: on the vector itself if there is one frame, else on mean and deviation."""

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.weight = nn.Parameter(torch.zeros(n, 2 * dim if frames else dim, outputs or 1))
        self.bias = _bias(n, outputs)
        self.frames = frames
        self.values_per_vector = 6 * dim if frames else 4

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """Small, so that the first scores are near 0."""
        draw(self.weight, generators, 0.1 * self.weight.shape[1] ** -0.5)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`."""
        if self.frames:
            pooled = torch.cat(_statistics(merge(x, mask), _share(x, mask)), dim=-1)
            return torch.bmm(pooled, self.weight) + _by_output(self.bias)
        return merge(x, mask, self.weight)[:, :, 0] + _by_output(self.bias)

    @torch.no_grad()
    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """The weights on each frame's share of mean and deviation."""
        merged = merge(x)[0].double()
        return ByFrame(
            of_statistics(merged, frame_statistics(merged), self.weight[0, :, 0].double()[None])
        )


class MLP(BackEnd):
    """Linear, SiLU, Linear on the mean over time."""

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.inner = nn.Parameter(torch.zeros(n, dim, MLP_WIDTH))
        self.inner_bias = nn.Parameter(torch.zeros(n, MLP_WIDTH))
        self.outer = nn.Parameter(torch.zeros(n, MLP_WIDTH, outputs or 1))
        self.bias = _bias(n, outputs)
        self.values_per_vector = 3 * dim + 4 * MLP_WIDTH

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance."""
        draw(self.inner, generators, (3 * self.inner.shape[1]) ** -0.5)
        draw(self.outer, generators, (3 * MLP_WIDTH) ** -0.5)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`."""
        mean = (merge(x, mask, self.inner) * _share(x, mask)).sum(dim=2)
        return torch.bmm(functional.silu(mean + self.inner_bias[:, None]), self.outer) + _by_output(
            self.bias
        )

    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """The gradient of the score at the mean of its inputs."""
        with torch.no_grad():
            inner = merge(x, None, self.inner)[0, 0] + self.inner_bias[0]
        mean = inner.mean(dim=0).requires_grad_()
        out = functional.silu(mean) @ self.outer[0, :, 0]
        return ByFrame(inner @ torch.autograd.grad(out, mean)[0], exact=False)


class LSTM(BackEnd):
    """A unidirectional LSTM of 192, its mean over valid frames, Linear to two logits.

    As in Pan et al. 2024.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.input = nn.Parameter(torch.zeros(n, dim, 4 * LSTM_WIDTH))
        self.hidden = nn.Parameter(torch.zeros(n, LSTM_WIDTH, 4 * LSTM_WIDTH))
        self.input_bias = nn.Parameter(torch.zeros(n, 4 * LSTM_WIDTH))
        self.hidden_bias = nn.Parameter(torch.zeros(n, 4 * LSTM_WIDTH))
        self.weight = nn.Parameter(torch.zeros(n, LSTM_WIDTH, outputs or 2))
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 4 * dim + 8 * LSTM_WIDTH

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.LSTM in variance."""
        for parameter in (self.input, self.hidden, self.input_bias, self.hidden_bias, self.weight):
            draw(parameter, generators, (3 * LSTM_WIDTH) ** -0.5)

    def _packed(
        self, merge: Merge, x: Tensor, mask: Tensor | None, packing: Packing
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, ...]]:
        """Arguments of `recurrence.states`.

        The weights have in them what is linear at the end of a merge.
        """
        frames, last, offset = merge.packed(x, mask, packing)
        weight = self.input if last is None else last @ self.input
        bias = self.input_bias + self.hidden_bias
        if offset is not None:
            bias = torch.baddbmm(bias[:, None], offset[:, None], self.input)[:, 0]
        return frames, doubled(weight), doubled(bias), doubled(self.hidden), packing.counts

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`; frames after the end of an utterance change nothing."""
        packing = Packing.of(x, mask)
        sums: Tensor = LSTMSum.apply(*self._packed(merge, x, mask, packing))
        mean = packing.unsorted(sums / packing.lengths[:, None])
        return torch.bmm(mean, self.weight) + self.bias[:, None]

    @torch.no_grad()
    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """The linear layer on every output, which has all frames before it in it."""
        _, _, outputs = states(*self._packed(merge, x, None, Packing.of(x, None)))
        return ByFrame(outputs[0] @ _contrast(self.weight[0]))


class AttentiveStatistics(BackEnd):
    """Attentive statistics pooling with global context (ECAPA-TDNN; Desplanques et al., Interspeech
    2020, section 3.1).

    A softmax over time per channel from tanh(W [x; mean; deviation] + b); weighted mean and
    deviation; Linear.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.attend = nn.Parameter(torch.zeros(n, 3 * dim, ATTENTION_WIDTH))
        self.attend_bias = nn.Parameter(torch.zeros(n, ATTENTION_WIDTH))
        self.channel = nn.Parameter(torch.zeros(n, ATTENTION_WIDTH, dim))
        self.channel_bias = nn.Parameter(torch.zeros(n, dim))
        self.weight = nn.Parameter(torch.zeros(n, 2 * dim, outputs or 2))
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 20 * dim + 4 * ATTENTION_WIDTH

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance."""
        for parameter in (self.attend, self.channel, self.weight):
            draw(parameter, generators, (3 * parameter.shape[1]) ** -0.5)

    def attention(self, merged: Tensor, mask: Tensor | None) -> Tensor:
        """The weight (M, B, T, D) of each frame in each channel; 1 in sum over T."""
        n, batch, n_frames, dim = merged.shape
        on_frame, on_context = self.attend.split([dim, 2 * dim], dim=1)
        # the same for all frames
        context = torch.cat(_statistics(merged, _share(merged, mask)), dim=-1)
        of_context = torch.baddbmm(self.attend_bias[:, None], context, on_context)
        inner = (
            (merged.flatten(1, 2) @ on_frame).view(n, batch, n_frames, -1) + of_context[:, :, None]
        ).flatten(1, 2)
        energy = (torch.tanh(inner) @ self.channel + self.channel_bias[:, None]).view(
            n, batch, n_frames, dim
        )
        if mask is not None:
            energy = energy.masked_fill(~mask[None, :, :, None], -torch.inf)
        return torch.softmax(energy, dim=2)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`."""
        merged = merge(x, mask)
        pooled = torch.cat(_statistics(merged, self.attention(merged, mask)), dim=-1)
        return torch.bmm(pooled, self.weight) + self.bias[:, None]

    @torch.no_grad()
    def by_frame(self, merge: Merge, x: Tensor) -> ByFrame | None:
        """Attention weights times what the linear layer says of the frame."""
        merged = merge(x)
        share = self.attention(merged, None)[0].double() * x.shape[2]
        merged = merged[0].double()
        mean = (share * merged).mean(dim=1, keepdim=True)
        deviation = ((share * (merged - mean).square()).mean(dim=1, keepdim=True) + 1e-8).sqrt()
        parts = torch.cat([share * merged, share * (merged - mean).square() / deviation], dim=-1)
        return ByFrame(parts[0] @ _contrast(self.weight[0]).double())


def make_backend(kind: str, n: int, dim: int, frames: bool, outputs: int | None = None) -> BackEnd:
    """Build M back-ends of a kind of `BACKENDS`.

    `frames` says whether there is more than one frame.

    Raises:
        RegistryError: a back-end of one's own that takes no number of outputs, where the target
            needs one.

    >>> make_backend("linear", 2, dim=8, frames=False).weight.shape
    torch.Size([2, 8, 1])
    """
    found = BACKENDS.find(kind)
    made_by = found.load()
    if outputs is None:
        backend: BackEnd = made_by(n, dim, frames, **found.options)
        return backend
    if "outputs" not in inspect.signature(made_by).parameters:
        raise RegistryError(
            f"{found.path}: takes no `outputs`, the number of its logits, which a target other "
            "than two classes needs. Add it to __init__, behind `frames`"
        )
    backend = made_by(n, dim, frames, outputs=outputs, **found.options)
    return backend


def _bias(n: int, outputs: int | None) -> nn.Parameter:
    """The bias (M,) of log odds, or (M, O)."""
    return nn.Parameter(torch.zeros(n) if outputs is None else torch.zeros(n, outputs))


def _by_output(bias: Tensor) -> Tensor:
    """A bias that broadcasts with logits (M, B, O)."""
    return bias[:, None, None] if bias.ndim == 1 else bias[:, None]


def _share(x: Tensor, mask: Tensor | None) -> Tensor:
    """The weight of each frame in a mean over valid frames; broadcasts with (M, B, T, D)."""
    if mask is None:
        return x.new_full((1, 1, 1, 1), 1 / x.shape[2])
    return (mask.to(x.dtype) / mask.sum(dim=1, keepdim=True))[None, :, :, None]


def _statistics(merged: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation over time, (M, B, D) each."""
    mean = (merged * share).sum(dim=2)
    variance = ((merged - mean[:, :, None]).square() * share).sum(dim=2)
    return mean, (variance + 1e-8).sqrt()


def frame_statistics(x: Tensor) -> Tensor:
    """Mean and population standard deviation over time, side by side, of layers (L, T, D): (L, 2
    D).
    """
    return torch.cat([x.mean(dim=1), x.var(dim=1, correction=0).sqrt()], dim=-1)


def of_statistics(x: Tensor, found: Tensor, weight: Tensor) -> Tensor:
    """What each frame adds to the linear score of statistics (L, 2 D), times the number of frames:
    (T,).
    """
    mean, deviation = found.chunk(2, dim=-1)
    on_mean, on_deviation = weight.chunk(2, dim=-1)
    squares = (x - mean[:, None]).square() / deviation[:, None].clamp_min(1e-12)
    return (
        torch.einsum("ltd,ld->lt", x, on_mean) + torch.einsum("ltd,ld->lt", squares, on_deviation)
    ).sum(dim=0)


def _contrast(weight: Tensor) -> Tensor:
    """Weights (D,) of the log odds from those of two logits (D, 2)."""
    return weight[:, 1] - weight[:, 0]
