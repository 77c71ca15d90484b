"""Erasure of directions from features: what a probe reads is removed, and the rest is probed again.

Iterative null-space projection (Ravfogel et al., ACL 2020, "Null It Out"): the features are
projected onto what is orthogonal to the weights of a probe, a new probe is trained on that, and so
on. Directions of all rounds together are orthonormal rows E, so that the projection is I - E'E.
"""

from __future__ import annotations

import numpy as np
import torch

LEAST = 1e-6  # of the largest singular value: what is below is rounding


def new_directions(weight: torch.Tensor, erased: torch.Tensor) -> torch.Tensor:
    """Orthonormal directions of what weights read beyond those that were erased.

    Args:
        weight: (P,) of two classes or a number; or (M, P) of M classes, whose mean changes no
            decision and does not count, so that there are M - 1 directions at most.
        erased: (d, P) orthonormal.

    Returns:
        (r, P) float64, orthonormal and orthogonal to those erased; r is 0 where the weights read
        nothing more.

    >>> found = new_directions(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), torch.zeros(0, 3))
    >>> (
    ...     found.shape,
    ...     bool(
    ...         torch.allclose(found @ torch.ones(3).double(), torch.zeros(2).double(), atol=1e-12)
    ...     ),
    ... )
    (torch.Size([2, 3]), True)
    """
    erased = erased.double()
    rows = weight.double()
    rows = rows[None] if rows.ndim == 1 else rows - rows.mean(dim=0)
    size = torch.linalg.matrix_norm(rows)
    for _ in range(2):  # once leaves rounding
        rows = rows - (rows @ erased.T) @ erased
    _, sizes, vectors = torch.linalg.svd(rows, full_matrices=False)
    most = min(max(1, len(rows) - 1), rows.shape[1] - len(erased))
    kept = (sizes > LEAST * size)[:most]
    found = vectors[:most][kept]
    found = found - (found @ erased.T) @ erased
    return torch.linalg.qr(found.T)[0].T.contiguous()


def random_directions(n: int, p: int, seed: int) -> torch.Tensor:
    """Orthonormal directions (n, p) float64; the first of them are the same whatever n is.

    >>> drawn = random_directions(2, 4, seed=0)
    >>> torch.allclose(drawn @ drawn.T, torch.eye(2).double())
    True
    """
    drawn = torch.from_numpy(np.random.default_rng([seed, 3]).normal(size=(n, p)))
    return torch.linalg.qr(drawn.T)[0].T.contiguous()


def erase(features: torch.Tensor, directions: torch.Tensor) -> None:
    """Remove orthonormal directions (r, P) from features (N, P), in place.

    >>> features = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> erase(features, torch.tensor([[1.0, 0.0]]))
    >>> features
    tensor([[0., 2.],
            [0., 4.]])
    """
    directions = directions.to(features)
    features.addmm_(features @ directions.T, directions, alpha=-1)
