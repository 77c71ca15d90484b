"""Scores of heads: what every model of every stack says of the utterances of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .sources import Batch, Source
from .stack import HeadStack


@torch.no_grad()
def scores_of(
    stacks: Sequence[HeadStack],
    source: Source,
    batch: int = 64,
    device: str = "cpu",
    kept: Sequence[Sequence[int]] | None = None,
) -> list[Tensor]:
    """Scores (M, N), or of C classes (M, N, C), of every stack from one read of a source.

    Args:
        stacks: M models each.
        source: N utterances.
        batch: utterances that are read together.
        device: cpu or cuda.
        kept: of each stack, numbers of the models to score; default all.

    >>> from probing.heads.sources import PooledSource
    >>> from probing.heads.stack import Model
    >>> stack = HeadStack([Model("mean", "linear", depth=3)], n_layers=3, dim=8, frames=False)
    >>> scores_of([stack], PooledSource(np.zeros((3, 5, 8))))[0].shape
    torch.Size([1, 5])
    """
    kept = [range(len(stack.models)) for stack in stacks] if kept is None else kept
    found = [
        no_scores(stack, len(models), len(source))
        for stack, models in zip(stacks, kept, strict=True)
    ]
    for part in source.batches(np.arange(len(source)), batch):
        x, mask = on_device(part, device)
        rows = torch.from_numpy(part.rows)
        for stack, models, scores in zip(stacks, kept, found, strict=True):
            of_part = stack.score(x[:, : stack.n_layers], mask)
            scores[:, rows] = of_part[list(models)].cpu()
    return found


def no_scores(stack: HeadStack, n_models: int, n: int) -> Tensor:
    """Zeros, (M, N) or (M, N, C), to be filled with scores of models of a stack."""
    of_class = (stack.outputs,) if stack.outputs and stack.outputs > 1 else ()
    return torch.zeros(n_models, n, *of_class)


def on_device(batch: Batch, device: str) -> tuple[Tensor, Tensor | None]:
    """Layers and mask of a batch on a device."""
    return batch.x.to(device), None if batch.mask is None else batch.mask.to(device)
