"""Heads at several depths with a policy of early exit, as one head that serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probing.exits.policy import ExitPolicy
from probing.heads.head import Head, HeadUnusable, head_of
from probing.serving.layer_probe import LayerProbe
from probing.serving.places import EXITS, PROBE


class ExitHeads:
    """A policy of early exit with the heads of its exits.

    Attributes:
        policy, heads: (E,) one an exit, all of one tier.
        layers: those that any of them needs.
        tier: `pooled` or `frames`.
        dim: width of a layer.
    """

    note = ""

    def __init__(self, policy: ExitPolicy, heads: Sequence[Head | LayerProbe]) -> None:
        self.policy, self.heads = policy, list(heads)
        if [head.layers[-1] for head in self.heads] != list(policy.depths):
            raise HeadUnusable(
                "heads of depths "
                f"{[head.layers[-1] for head in self.heads]}, exits at {policy.depths}"
            )
        if len({(head.tier, head.dim) for head in self.heads}) != 1:
            raise HeadUnusable("heads of several tiers or widths; expected those of one sweep")
        self.layers = sorted({layer for head in self.heads for layer in head.layers})
        self.tier: str = self.heads[0].tier
        self.dim: int = self.heads[0].dim
        self.name = f"{policy.head}-exits"

    def score(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Calibrated log odds (N,) of bona fide, of each utterance at the exit where it leaves.

        Args:
            x: `layers`, pooled (layers, N, 2, D), or of the frames of one utterance (layers, T, D),
                whichever were computed; those above its exit play no part.
        """
        place = {layer: i for i, layer in enumerate(self.layers)}
        logits = [head.score(x[[place[layer] for layer in head.layers]]) for head in self.heads]
        return self.policy.apply(np.stack(logits))[1]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Parameters of every head by name, behind that of its depth."""
        return {
            f"exit_{depth:02d}.{name}": value
            for depth, head in zip(self.policy.depths, self.heads, strict=True)
            for name, value in head.tensors().items()
        }

    def config(self) -> dict[str, Any]:
        """Everything but the tensors."""
        heads = [head.config() for head in self.heads]
        return {
            "form": EXITS,
            "policy": self.policy.as_dict(),
            "heads": heads,
            "score": "calibrated log odds",
        }

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> ExitHeads:
        """Those of a configuration and tensors.

        Raises:
            ValueError, KeyError, TypeError, RuntimeError: they are of something else.
        """
        policy = ExitPolicy.of(config["policy"])
        heads: list[Head | LayerProbe] = []
        for depth, head_config in zip(policy.depths, config["heads"], strict=True):
            start = f"exit_{depth:02d}."
            own = {
                name.removeprefix(start): value
                for name, value in tensors.items()
                if name.startswith(start)
            }
            is_probe = head_config["form"] == PROBE
            heads.append(
                LayerProbe.of(head_config, own)
                if is_probe
                else head_of(
                    head_config,
                    {name: torch.from_numpy(value.copy()) for name, value in own.items()},
                )
            )
        return cls(policy, heads)
