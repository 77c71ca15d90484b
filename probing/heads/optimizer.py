"""The optimizer of stacks: AdamW with a learning rate and a weight decay for each model."""

from __future__ import annotations

import torch
from torch import Tensor

from .stack import HeadStack

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class StackOptimizer:
    """AdamW (Loshchilov & Hutter, ICLR 2019) of a stack.

    Each model has a learning rate and a weight decay of its own. What decays is
    `HeadStack.decaying`. A model that is not `active` stays as it is.
    """

    def __init__(self, stack: HeadStack) -> None:
        self.parameters = dict(stack.named_parameters())
        self.decaying = stack.decaying()
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.scratch = {name: torch.empty_like(value) for name, value in self.parameters.items()}
        device = next(iter(self.parameters.values())).device
        self.rate = torch.tensor([model.learning_rate for model in stack.models], device=device)
        self.decay = torch.tensor([model.weight_decay for model in stack.models], device=device)
        self.step_count = 0

    @torch.no_grad()
    def step(self, factor: float, active: Tensor) -> None:
        """Take a step at the models' rates times `factor`; `active` (M,) are those that learn."""
        self.step_count += 1
        rate = self.rate * factor * active
        first_share, second_share = (1 - beta**self.step_count for beta in BETAS)
        root = second_share**-0.5
        for name, value in self.parameters.items():
            if value.grad is None:
                continue
            first = self.first[name]
            second = self.second[name]
            scratch = self.scratch[name]
            shape = (-1, *[1] * (value.ndim - 1))
            first.lerp_(value.grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(value.grad, value.grad, value=1 - BETAS[1])
            if name in self.decaying:
                value.mul_((1 - rate * self.decay).view(shape))
            # the corrections of both moments are in root and rate, so that a step copies nothing
            torch.div(first, torch.sqrt(second, out=scratch).add_(EPSILON / root), out=scratch)
            value.addcmul_(scratch, (-rate / (first_share * root)).view(shape))
            value.grad = None
