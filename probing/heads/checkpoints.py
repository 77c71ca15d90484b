"""Checkpoints of a training of heads: its state, written now and then, from which it goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probing.tensors import errors_of_the_disk

from .averaging import Best, Successors
from .optimizer import StackOptimizer
from .recipes import Recipe
from .stack import HeadStack


class TrainingState:
    """How far a training is, and all that an interrupted one goes on from.

    Attributes:
        epoch: how many are done.
        optimizers, best: one a stack.
        active: of each stack, (M,) true for models that still learn.
        losses: of each stack, (E, 3, M): see `train`.
    """

    def __init__(self, stacks: Sequence[HeadStack], recipe: Recipe) -> None:
        self.epoch = 0
        self.stacks = stacks
        self.recipe = recipe
        self.optimizers = [StackOptimizer(stack) for stack in stacks]
        kind = Successors if recipe.successors else Best
        self.best = [kind(stack, recipe.keep) for stack in stacks]
        self.active = [
            torch.ones(len(stack.models), dtype=torch.bool, device=stack.mean.device)
            for stack in stacks
        ]
        self.losses = [
            torch.full((recipe.epochs, 3, active.numel()), torch.nan, device=active.device)
            for active in self.active
        ]

    @property
    def goes_on(self) -> bool:
        """Whether there is an epoch left, and a model that has not stopped."""
        return self.epoch < self.recipe.epochs and self.n_active > 0

    @property
    def n_active(self) -> int:
        """Models that still learn, of all stacks."""
        return sum(int(active.sum()) for active in self.active)

    def forget_moments(self) -> None:
        """Begin anew with the moments of AdamW."""
        self.optimizers = [StackOptimizer(stack) for stack in self.stacks]

    def step(self, factor: float, i: int) -> None:
        """Take a step with stack i, at the rates of its models times `factor`."""
        self.optimizers[i].step(factor, self.active[i])

    def record(self, i: int, on_train: Tensor, on_dev: Tensor, figures: Tensor) -> None:
        """Write down the epoch that is done for stack i: losses and figures (M,) of its models.

        Keeps the parameters of models with a low dev loss, and stops those that gain no more.
        """
        active = self.active[i]
        best = self.best[i]
        of_epoch = torch.stack([on_train, on_dev, figures])
        self.losses[i][self.epoch - 1] = torch.where(active, of_epoch, torch.nan)
        best.offer(self.stacks[i], on_dev, self.epoch, active)
        active &= ~self.recipe.stops(self.epoch, self.epoch - best.epochs)

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one stays whole until the new one is."""
        parts = [
            {
                "parameters": stack.state_dict(),
                "first": optimizer.first,
                "second": optimizer.second,
                "steps": optimizer.step_count,
                "losses": best.losses,
                "epochs": best.epochs,
                "values": best.values,
                "active": active,
                "log": losses,
                **({"pending": best.pending} if isinstance(best, Successors) else {}),
            }
            for stack, optimizer, best, active, losses in zip(
                self.stacks, self.optimizers, self.best, self.active, self.losses, strict=True
            )
        ]
        partial = path.with_name(path.name + ".partial")
        with errors_of_the_disk(partial):
            torch.save({"epoch": self.epoch, "models": self._models(), "stacks": parts}, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, unless it is of other models.

        Another memory puts models together otherwise: such a checkpoint is passed over.
        """
        content: dict[str, Any] = torch.load(
            path, map_location=self.stacks[0].mean.device, weights_only=True
        )
        if content["models"] != self._models():
            return
        self.epoch = content["epoch"]
        for i, part in enumerate(content["stacks"]):
            self.stacks[i].load_state_dict(part["parameters"])
            optimizer = self.optimizers[i]
            optimizer.first = part["first"]
            optimizer.second = part["second"]
            optimizer.step_count = part["steps"]
            best = self.best[i]
            best.losses = part["losses"]
            best.epochs = part["epochs"]
            best.values = part["values"]
            if isinstance(best, Successors):
                best.pending = part["pending"]
            self.active[i] = part["active"]
            if "log" in part:  # earlier versions kept none, or no figure
                self.losses[i][:, : part["log"].shape[1]] = part["log"]

    def _models(self) -> list[list[str]]:
        return [[str(stack.n_layers), *map(str, stack.models)] for stack in self.stacks]
