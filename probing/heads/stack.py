"""Stacks: many heads of one kind, trained and applied together."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .backends import make_backend
from .kinds import BACKENDS, MERGES
from .merges import RANK, make_merge

STACKS_AT_ONCE = 2  # at work in parallel on a CPU


@dataclass(frozen=True)
class Model:
    """One model of a stack.

    merge, backend: its kind.
    depth: it sees layers 1..depth.
    seed: of its first weights.
    learning_rate, weight_decay: of its training.

    >>> Model("weighted-sum", "linear", depth=3).head
    'weighted-sum+linear'
    """

    merge: str
    backend: str
    depth: int
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01

    @property
    def head(self) -> str:
        """What tables call its kind."""
        return f"{self.merge}+{self.backend}"

    def generator(self) -> torch.Generator:
        """The source of its first weights: the same for all training constants."""
        key = [self.seed, self.depth, zlib.crc32(self.head.encode())]
        return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


class HeadStack(nn.Module):
    """M heads of one kind: standardisation, merge, back-end.

    Args:
        models: of one merge and back-end.
        n_layers: L, layers given (1..L); the deepest model need not see all.
        dim: features D of a vector: the width of a layer, or twice that on the pooled tier (mean
            and deviation).
        frames: whether there is more than one vector an utterance.
        rank: bottleneck of the compact attentive merge.
        outputs: of other targets than two classes: 1 of a number, M of M classes; None of two.

    >>> stack = HeadStack([Model("mean", "linear", depth=3)], n_layers=3, dim=8, frames=False)
    >>> stack.start()
    >>> stack.score(torch.zeros(5, 3, 1, 8)).shape  # 5 utterances, 3 layers, 1 vector, 8 features
    torch.Size([1, 5])
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        models: Sequence[Model],
        n_layers: int,
        dim: int,
        frames: bool,
        rank: int = RANK,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self.models = list(models)
        self.n_layers = n_layers
        self.dim = dim
        self.frames = frames
        self.rank = rank
        first = self.models[0]
        self.merge_kind, self.backend_kind = MERGES.find(first.merge), BACKENDS.find(first.backend)
        self.merge = make_merge(
            first.merge, [model.depth for model in models], n_layers=n_layers, dim=dim, rank=rank
        )
        self.backend = make_backend(
            first.backend, len(self.models), dim=dim, frames=frames, outputs=outputs
        )
        self.register_buffer("mean", torch.zeros(n_layers, dim))
        self.register_buffer("scale", torch.ones(n_layers, dim))
        self.eval()  # but in the steps of a training

    def start(self, scaled: bool = True) -> None:
        """Draw the first weights of every model by its seed."""
        generators = [model.generator() for model in self.models]
        self.merge.start(generators, scaled)
        self.backend.start(generators)

    def standardized(self, x: Tensor) -> Tensor:
        """Layers (B, L, T, D) at mean 0 and deviation 1 of the training set."""
        return (x - self.mean[:, None]).div_(self.scale[:, None])

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (M, B, O) of standardised layers (B, L, T, D)."""
        return self.backend(self.merge, x, mask)

    @torch.no_grad()
    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores (M, B) of layers as cached: log odds of bona fide, see `losses.prior_log_odds`.

        Of a number that number, in the unit it was trained in; of M classes their logits (M, B, M).
        """
        return self.read(self(self.standardized(x), mask))

    def read(self, logits: Tensor) -> Tensor:
        """Scores of logits (..., O)."""
        if self.outputs is None:
            return log_odds(logits)
        return logits[..., 0] if self.outputs == 1 else logits

    @torch.no_grad()
    def take(self, m: int) -> HeadStack:
        """Give model `m` alone, with the parameters of the layers it sees and no others."""
        model = self.models[m]
        alone = HeadStack(
            [model],
            model.depth,
            dim=self.dim,
            frames=self.frames,
            rank=self.rank,
            outputs=self.outputs,
        )
        own = self.learned()
        for name, value in alone.learned().items():
            source = own[name][m : m + 1]
            value.copy_(source[tuple(slice(0, size) for size in value.shape)])
        alone.mean.copy_(self.mean[: model.depth])
        alone.scale.copy_(self.scale[: model.depth])
        return alone

    @torch.no_grad()
    def before_training(self, scaled: bool = True) -> HeadStack:
        """A stack of the same models with their first weights, and this one's standardisation."""
        first = HeadStack(
            self.models,
            self.n_layers,
            dim=self.dim,
            frames=self.frames,
            rank=self.rank,
            outputs=self.outputs,
        )
        first.start(scaled)
        first.mean.copy_(self.mean)
        first.scale.copy_(self.scale)
        return first

    def learned(self) -> dict[str, Tensor]:
        """A trained model by name, M first: parameters, and buffers named in `kept`."""
        values = {name: value.detach() for name, value in self.named_parameters()}
        for name, module in self.named_modules():
            values |= {
                f"{name}.{buffer}": getattr(module, buffer)
                for buffer in getattr(module, "kept", ())
            }
        return values

    def values_per_vector(self) -> int:
        """About how many values a step keeps for each vector of a layer and model, generously."""
        return self.backend.values_per_vector + self.merge.values_per_vector()

    def decaying(self) -> set[str]:
        """Names of the parameters that weight decay acts on: matrices, and what kinds name."""
        named = {f"merge.{name}" for name in self.merge_kind.decays}
        named |= {f"backend.{name}" for name in self.backend_kind.decays}
        return {name for name, value in self.named_parameters() if value.ndim > 2 or name in named}

    def n_parameters(self) -> int:
        """Count the trained parameters of all models."""
        return sum(parameter.numel() for parameter in self.parameters())


def log_odds(logits: Tensor) -> Tensor:
    """Log odds (...) of bona fide from logits (..., 1), or (..., 2) of spoof and bona fide.

    >>> log_odds(torch.tensor([[2.0], [-1.0]])), log_odds(torch.tensor([[1.0, 3.0]]))
    (tensor([ 2., -1.]), tensor([2.]))
    """
    return logits[..., 0] if logits.shape[-1] == 1 else logits[..., 1] - logits[..., 0]


def make_stacks(
    models: Sequence[Model],
    n_layers: int,
    dim: int,
    frames: bool,
    rank: int = RANK,
    memory_gb: float = 1.0,
    vectors: int = 1,
    outputs: int | None = None,
) -> list[HeadStack]:
    """Put models of a kind together, as many as the memory allows.

    A stack works on the layers that its deepest model sees, for all its models, so that some merges
    share one only with others of their group of depths, see `MergeKind`.

    Args:
        models: of any kinds.
        n_layers: see `HeadStack`.
        dim: see `HeadStack`.
        frames: see `HeadStack`.
        rank: see `HeadStack`.
        memory_gb: of parameters, moments and copies of a stack, and half as much of what a step
            keeps for the gradient of the stacks at work; one model is always taken.
        vectors: of each layer in a batch: utterances times frames.
        outputs: see `HeadStack`.

    >>> models = [Model("mean", "linear", depth, seed) for depth in (1, 2) for seed in (0, 1)]
    >>> [len(stack.models) for stack in make_stacks(models, n_layers=2, dim=8, frames=False)]
    [4]
    """
    groups: dict[tuple[str, int], list[Model]] = {}
    for model in models:
        groups.setdefault(
            (model.head, MERGES.find(model.merge).group(model.depth, n_layers)), []
        ).append(model)
    stacks = []
    for (_, depth), members in groups.items():
        with torch.device("meta"):
            alone = HeadStack(
                [Model(members[0].merge, members[0].backend, depth)],
                depth,
                dim=dim,
                frames=frames,
                rank=rank,
                outputs=outputs,
            )
        values = max(
            6 * alone.n_parameters(), 2 * STACKS_AT_ONCE * vectors * alone.values_per_vector()
        )
        at_once = max(1, int(memory_gb * 1e9 / (4 * values)))
        for first in range(0, len(members), at_once):
            stacks.append(
                HeadStack(
                    members[first : first + at_once],
                    depth,
                    dim=dim,
                    frames=frames,
                    rank=rank,
                    outputs=outputs,
                )
            )
    return stacks
