"""AdamW over a head and its backbone: groups of parameters, each with a rate of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from probing.heads.optimizer import BETAS, EPSILON
from probing.heads.stack import HeadStack
from probing.tuning.engine import Engine
from probing.tuning.recipes import TuningRecipe
from probing.tuning.trained import Group

HEAD = "head"


class Optimizer:
    """Steps of a recipe (Loshchilov & Hutter, ICLR 2019).

    The backbone takes part from where it joins.

    What decays are matrices, and of the head what `HeadStack.decaying` says.

    Args:
        head: a stack of one model.
        groups: of the backbone's parameters that learn.
        recipe: rates, schedule, decay and clipping.
        layer_decay: of the backbone's rate, from each block to the one below.

    Attributes:
        joined: whether the backbone learns by now.
    """

    def __init__(
        self, head: HeadStack, groups: Sequence[Group], recipe: TuningRecipe, layer_decay: float
    ) -> None:
        self._head = head
        self._groups = groups
        self._recipe = recipe
        self._layer_decay = layer_decay
        self.joined = False
        self.forget()

    def forget(self) -> None:
        """Begin the moments anew."""
        self._adamw = torch.optim.AdamW(
            [*self._of_head(), *(self._of_backbone() if self.joined else [])],
            betas=BETAS,
            eps=EPSILON,
        )

    def join(self) -> None:
        """Let the backbone learn from now on; the moments of the head go on."""
        self.joined = True
        for options in self._of_backbone():
            for parameter in options["params"]:
                parameter.requires_grad_(True)
            self._adamw.add_param_group(options)

    def norm(self, engine: Engine) -> float:
        """The norm of the gradient, summed over all processes."""
        engine.add_up_gradients(self._parameters)
        return float(
            nn.utils.get_total_norm(
                [parameter.grad for parameter in self._parameters if parameter.grad is not None]
            )
        )

    def step(self, at: float, norm: float) -> None:
        """Take a step at a time in epochs, with a gradient of this norm."""
        if self._recipe.clip is not None:
            nn.utils.clip_grads_with_norm_(self._parameters, self._recipe.clip, torch.tensor(norm))
        for group in self._adamw.param_groups:
            group["lr"] = group["highest"] * self._recipe.factor(at)
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)

    @property
    def rates(self) -> dict[str, float]:
        """The rate of the last step by name of the group."""
        return {group["called"]: float(group["lr"]) for group in self._adamw.param_groups}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it: moments, and the backbone's weights if these changed."""
        weights = self._weights() if self.joined else {}
        return {"joined": self.joined, "weights": weights, "moments": self._adamw.state_dict()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Take the state of a checkpoint."""
        if state["joined"]:
            self.join()
        own = self._weights()
        for name, value in state["weights"].items():
            own[name].copy_(value)
        self._adamw.load_state_dict(state["moments"])

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self._adamw.param_groups for parameter in group["params"]]

    def _weights(self) -> dict[str, Tensor]:
        return {
            name: parameter.detach()
            for group in self._groups
            for name, parameter in group.parameters.items()
        }

    def _of_head(self) -> list[dict[str, Any]]:
        named = dict(self._head.named_parameters())
        return self._options(HEAD, self._recipe.head_rate, named, self._head.decaying())

    def _of_backbone(self) -> list[dict[str, Any]]:
        found = []
        for group in self._groups:
            rate = self._recipe.rate * self._layer_decay**group.below
            decaying = {name for name, value in group.parameters.items() if value.ndim > 1}
            found += self._options(group.name, rate, group.parameters, decaying)
        return found

    def _options(
        self, name: str, rate: float, parameters: Mapping[str, nn.Parameter], decaying: set[str]
    ) -> list[dict[str, Any]]:
        """The options of parameters that decay, and of those that do not."""
        split = {
            self._recipe.weight_decay: [
                parameter for key, parameter in parameters.items() if key in decaying
            ],
            0.0: [parameter for key, parameter in parameters.items() if key not in decaying],
        }
        known = {"lr": rate, "highest": rate, "called": name}
        return [
            {"params": some, "weight_decay": decay, **known}
            for decay, some in split.items()
            if some
        ]
