"""Averaging: which epochs' parameters a training keeps of every model, and their mean."""

from __future__ import annotations

import torch
from torch import Tensor

from .stack import HeadStack


class Best:
    """The parameters of the `keep` epochs of lowest dev loss of every model."""

    def __init__(self, stack: HeadStack, keep: int) -> None:
        n = len(stack.models)
        device = stack.mean.device
        self.losses = torch.full((keep, n), torch.inf, device=device)
        self.epochs = torch.zeros(n, dtype=torch.long, device=device)
        self.values = {
            name: value.detach().clone().repeat(keep, *[1] * value.ndim)
            for name, value in stack.learned().items()
        }

    @torch.no_grad()
    def offer(self, stack: HeadStack, losses: Tensor, epoch: int, active: Tensor) -> None:
        """Keep the parameters of each active model whose loss is among its lowest."""
        losses = torch.where(active, losses, torch.inf)
        self.epochs = torch.where(losses < self.losses.amin(0), epoch, self.epochs)
        worst, slot = self.losses.max(0)
        better = losses < worst
        models = better.nonzero().flatten()
        for name, value in stack.learned().items():
            self.values[name][slot[models], models] = value[models]
        self.losses[slot[models], models] = losses[models]

    def kept(self) -> Tensor:
        """Which slots count in the end, bool (K, M)."""
        return self.losses.isfinite()

    @torch.no_grad()
    def restore(self, stack: HeadStack) -> None:
        """Give every model the mean of its kept parameters; one without any stays as it is."""
        kept = self.kept().float()
        weight = kept / kept.sum(0).clamp_min(1)
        some = kept.sum(0) > 0
        for name, value in stack.learned().items():
            shape = (*weight.shape, *[1] * (value.ndim - 1))
            mean = (self.values[name] * weight.view(shape)).sum(0)
            value.copy_(torch.where(some.view(shape[1:]), mean, value))


class Successors(Best):
    """The parameters of the epochs after the `keep` of lowest dev loss, as AttM's code takes them.

    It counts losses from 1 and names files from 0; where the last epoch is among the best, it takes
    one file less.
    """

    def __init__(self, stack: HeadStack, keep: int) -> None:
        super().__init__(stack, keep)
        # slots whose epoch has no successor yet
        self.pending = torch.zeros_like(self.losses, dtype=torch.bool)

    @torch.no_grad()
    def offer(self, stack: HeadStack, losses: Tensor, epoch: int, active: Tensor) -> None:
        """Keep the parameters where the epoch before was among the best.

        Then see whether this one is.
        """
        slots, models = (self.pending & active).nonzero(as_tuple=True)
        for name, value in stack.learned().items():
            self.values[name][slots, models] = value[models]
        self.pending &= ~active
        before = self.losses.clone()
        super().offer(stack, losses, epoch, active)
        self.pending |= self.losses != before

    def kept(self) -> Tensor:
        """See `Best.kept`; a slot whose epoch has no successor does not."""
        return self.losses.isfinite() & ~self.pending
