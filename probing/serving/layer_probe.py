"""The linear probe of one layer, as a head that serves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from probing.heads.head import HeadUnusable
from probing.serving.candidates import LINEAR
from probing.serving.places import PROBE


class LayerProbe:
    """The linear probe of one layer.

    Attributes:
        layers: the one it needs.
        depth: the blocks that make it.
        dim: width of the layer.

    >>> LayerProbe(2, np.ones(16), 0.5).score(np.zeros((1, 3, 2, 8))).tolist()
    [0.5, 0.5, 0.5]
    """

    tier = "pooled"

    def __init__(self, layer: int, weight: NDArray[Any], bias: float) -> None:
        self.depth = layer
        self.layers = [layer]
        self.dim = len(weight) // 2
        self.weight, self.bias = np.asarray(weight), bias
        self.name = f"{LINEAR}{layer:02d}"

    def score(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log odds (N,) of bona fide of its layer, pooled (1, N, 2, D)."""
        if x.ndim != 4 or x.shape[0] != 1 or x.shape[2:] != (2, self.dim):
            raise HeadUnusable(
                f"{self.name}: layers of shape {x.shape}; expected (1, N, 2, {self.dim})"
            )
        return np.asarray(
            x[0].reshape(x.shape[1], -1).astype(np.float64) @ self.weight.astype(np.float64)
            + self.bias
        )

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Its parameters by name."""
        return {"weight": self.weight, "bias": np.asarray([self.bias])}

    @classmethod
    def of(cls, config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> LayerProbe:
        """The probe of a configuration and its tensors.

        Raises KeyError, ValueError or TypeError if these are of something else.
        """
        return cls(int(config["layer"]), tensors["weight"], float(tensors["bias"][0]))

    def config(self) -> dict[str, Any]:
        """Everything but the tensors."""
        return {
            "form": PROBE,
            "layer": self.depth,
            "dim": self.dim,
            "input": "pooled mean and standard deviation, (2 * dim) features, not standardised",
            "score": "log odds of bona fide",
        }
