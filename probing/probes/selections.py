"""Linear probes on selections of the rows of one layer: folds of a cross-validation, or all attacks but one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from probing.probes.logistic import Features, Solution, fit_logistic
from probing.probes.scaling import Scaling


def fit_selections(
    x: torch.Tensor,
    targets: torch.Tensor,
    rows: torch.Tensor,
    strengths: Sequence[float],
    tolerance: float,
    *,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit every selection x strength in one solve; each has the standardisation of its own rows.

    Args:
        x: (1, N, P) features as they are, held once.
        targets: (N,) boolean, or (K, N).
        rows: (K, N) boolean, what each selection is trained on; both classes in each.
        strengths: S values of C.
        tolerance: see `fit_logistic`.
        dtype: of the products, float64, or float32 where a gradient of 5e-7 is small enough.

    Returns:
        Weights (K, S, P) and biases (K, S) for features as they are.
    """
    scaling = Scaling.of(x, dtype)
    solution = solve_selections(Features(scaling.apply(x, dtype)[0]), targets, rows, strengths, tolerance)
    weight, bias = scaling.fold(solution.weight, solution.bias)
    return weight[0], bias[0]


def solve_selections(
    features: Features, targets: torch.Tensor, rows: torch.Tensor, strengths: Sequence[float], tolerance: float
) -> Solution:
    """As `fit_selections`, on features that are standardised and prepared; the solution acts on these."""
    z, targets = features.x[None], targets.expand(len(rows), -1)
    own = [Scaling.of(z[:, chosen], z.dtype) for chosen in rows]
    if z.shape[1] >= z.shape[2]:
        scale = torch.cat([scaling.scale for scaling in own], dim=1)
        return fit_logistic(features, targets, strengths, rows=rows, scale=scale, tolerance=tolerance)
    folded = []  # a selection alone lies in the span of its rows, which is smaller
    for scaling, labels, chosen in zip(own, targets, rows, strict=True):
        alone = scaling.apply(z[:, chosen], z.dtype)
        solution = fit_logistic(alone, labels[None, chosen], strengths, tolerance=tolerance)
        folded.append(scaling.fold(solution.weight, solution.bias))
    return Solution(torch.cat([w for w, _ in folded], dim=1), torch.cat([b for _, b in folded], dim=1))
