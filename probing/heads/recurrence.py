"""The recurrence of M LSTMs over frames packed by time, with a backward pass of its own.

At every step one product serves all models and the utterances that have not ended. What does not
depend on the step before, the products with the inputs and the gradients of all weights, is one
product over all frames. Only gates and states are kept for the backward pass; automatic
differentiation would keep every intermediate, and add up the gradient of the weights step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


@dataclass(frozen=True)
class Packing:
    """The V valid frames of B utterances of up to T frames: all first frames, then all second ones,
    and so on.

    Utterances are in order of their lengths, the longest first, so that those that have a frame t
    are the first ones.

    order: (B,) utterances.
    lengths: (B,) of them, in that order.
    index: (V,) place of each frame in B * T.
    counts: how many utterances have a frame t, for every t.
    """

    order: Tensor
    lengths: Tensor
    index: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, mask: Tensor | None) -> Packing:
        """The packing of layers (B, L, T, D), whose valid frames (B, T) are the first ones of each
        utterance.

        >>> Packing.of(torch.zeros(2, 1, 2, 1), torch.tensor([[True, False], [True, True]])).index
        tensor([2, 0, 3])
        """
        batch, _, n_frames, _ = x.shape
        valid = (
            torch.ones(batch, n_frames, dtype=torch.bool, device=x.device) if mask is None else mask
        )
        lengths, order = valid.sum(dim=1).sort(descending=True, stable=True)
        frame, place = valid[order].T.nonzero(as_tuple=True)
        counts = tuple(n for n in valid.sum(dim=0).tolist() if n)
        return cls(order, lengths, order[place] * n_frames + frame, counts)

    def pack(self, x: Tensor) -> Tensor:
        """The valid frames (M, V, D) of (M, B, T, D)."""
        packed: Tensor = _Pack.apply(x.flatten(1, 2), self.index)
        return packed

    def spread(self, x: Tensor) -> Tensor:
        """What frames (M, V, D) have of a value of their utterances (M, B, D)."""
        place = torch.cat([torch.arange(n, device=x.device) for n in self.counts])
        return functional.one_hot(self.order[place], len(self.order)).to(x.dtype) @ x

    def unsorted(self, x: Tensor) -> Tensor:
        """Values (M, B, D) of utterances in their own order."""
        return x[:, self.order.argsort()]


class _Pack(Function):
    """Rows (M, V, D) of (M, N, D), none of them twice, which makes the gradient a copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.index, ctx.n = index, x.shape[1]
        return x.index_select(1, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        n, _, dim = gradient.shape
        return gradient.new_zeros(n, ctx.n, dim).index_copy_(1, ctx.index, gradient), None


class LSTMSum(Function):
    """Sums over time (M, B, H) of the outputs of M LSTMs (Hochreiter & Schmidhuber 1997).

    See `states` for arguments.

    The gates that a forward pass keeps are overwritten by their gradients: it has one backward
    pass.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, hidden: Tensor, counts: tuple[int, ...]
    ) -> Tensor:
        """Sums of utterances in the order of the packing."""
        gates, cells, outputs = states(x, weight, bias=bias, hidden=hidden, counts=counts)
        ctx.save_for_backward(x, weight, hidden)
        ctx.kept, ctx.counts = (gates, cells, outputs), counts
        sums = outputs[:, : counts[0]].clone()
        for rows in _steps(counts)[1:]:
            sums[:, : rows.stop - rows.start] += outputs[:, rows]
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, None]:
        """Gradients; first those of the gates, step by step from the last, then of all else at
        once.
        """
        x, weight, hidden = ctx.saved_tensors
        gates, cells, outputs = ctx.kept
        ctx.kept = None
        steps = _steps(ctx.counts)
        of_cells = torch.zeros_like(of_sums)
        after = None
        for rows, before in zip(reversed(steps), [*reversed(steps[:-1]), None], strict=True):
            n = rows.stop - rows.start
            of_output = of_sums[:, :n]
            if after is not None:
                of_output = of_output.clone()
                of_output[:, : after.stop - after.start] += torch.bmm(gates[:, after], hidden.mT)
            previous = None if before is None else cells[:, before.start : before.start + n]
            _to_gradients(
                gates[:, rows],
                cells[:, rows],
                previous=previous,
                of_output=of_output,
                of_cell=of_cells[:, :n],
            )
            after = rows
        of_x = torch.bmm(gates, weight.mT) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(x.mT, gates)
        first = ctx.counts[0]
        places = torch.cat(
            [torch.arange(n, device=x.device) for n in ctx.counts[1:]] or [torch.arange(0)]
        )
        starts = x.new_tensor([rows.start for rows in steps[:-1]], dtype=torch.long)
        places += starts.repeat_interleave(starts.new_tensor(ctx.counts[1:]))
        of_hidden = torch.bmm(outputs.index_select(1, places).mT, gates[:, first:])
        return of_x, of_weight, gates.sum(dim=1), of_hidden, None


def states(
    x: Tensor, weight: Tensor, bias: Tensor, hidden: Tensor, counts: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gates after their sigmoid (M, V, 4 H), cells c and outputs h (M, V, H) of M LSTMs without
    peepholes.

    With [i, f, g / 2, o] = x_t weight + bias + h_{t-1} hidden: c_t = sigmoid(f) c_{t-1} +
    sigmoid(i) tanh(g / 2) and h_t = sigmoid(o) tanh(c_t), from zeros.

    Args:
        x: packed frames (M, V, D).
        weight: (M, D, 4 H), that of g twice as large as usual, as is that of the next two: tanh(y)
            is 2 sigmoid(2 y) - 1, and so one sigmoid serves all gates. See `doubled`.
        bias: (M, 4 H).
        hidden: (M, H, 4 H).
        counts: see `Packing`.
    """
    gates = torch.baddbmm(bias[:, None], x, weight)
    cells = gates.new_empty(*gates.shape[:2], hidden.shape[1])
    outputs = torch.empty_like(cells)
    before = None
    for rows in _steps(counts):
        now = gates[:, rows]
        n = now.shape[1]
        if before is not None:
            torch.baddbmm(now, outputs[:, before.start : before.start + n], hidden, out=now)
        i, f, g, o = now.sigmoid_().chunk(4, dim=-1)
        cell = torch.mul(i, g, out=cells[:, rows]).mul_(2.0).sub_(i)
        if before is not None:
            cell.addcmul_(f, cells[:, before.start : before.start + n])
        torch.mul(o, _tanh(cell), out=outputs[:, rows])
        before = rows
    return gates, cells, outputs


def doubled(parameter: Tensor) -> Tensor:
    """A parameter (..., 4 H) with the part of g twice as large."""
    factor = parameter.new_tensor([1.0, 1.0, 2.0, 1.0])
    return (parameter.unflatten(-1, (4, -1)) * factor[:, None]).flatten(-2)


def _to_gradients(
    gates: Tensor, cell: Tensor, previous: Tensor | None, of_output: Tensor, of_cell: Tensor
) -> None:
    """Put the gradient of what goes into the gates of a step in their place, and that of the cell
    before in its.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    tanh = _tanh(cell)
    slope = torch.addcmul(gates, gates, gates, value=-1)  # of the sigmoids
    of_i, of_f, of_g, of_o = slope.chunk(4, dim=-1)
    of_tanh = of_output * o
    of_cell.add_(of_tanh).addcmul_(of_tanh, tanh.square(), value=-1)
    of_i.mul_(of_cell).mul_(g.mul(2.0).sub_(1.0))
    of_g.mul_(of_cell).mul_(i).mul_(2.0)
    of_o.mul_(of_output).mul_(tanh)
    if previous is None:
        of_f.zero_()
    else:
        of_f.mul_(of_cell).mul_(previous)
    of_cell.mul_(f)
    gates.copy_(slope)


def _steps(counts: tuple[int, ...]) -> list[slice]:
    """Where the frames of each step are in the packed ones."""
    ends = list(accumulate(counts))
    return [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]


def _tanh(x: Tensor) -> Tensor:
    """tanh, four times as fast on a CPU as PyTorch's, and as exact next to 1 but not next to 0."""
    return torch.mul(x, 2.0).sigmoid_().mul_(2.0).sub_(1.0)
