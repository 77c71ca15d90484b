"""Linear probes on selections of the rows of one layer: folds of a cross-validation, or all attacks but one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from probing.probes.logistic import fit_logistic
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
    targets = targets.expand(len(rows), -1)
    own = [Scaling.of(x[:, chosen], dtype) for chosen in rows]
    if x.shape[1] < x.shape[2]:  # a selection alone lies in the span of its rows, which is smaller
        folded = []
        for alone, labels, chosen in zip(own, targets, rows, strict=True):
            solution = fit_logistic(
                alone.apply(x[:, chosen], dtype), labels[None, chosen], strengths, tolerance=tolerance
            )
            folded.append(alone.fold(solution.weight, solution.bias))
        return torch.cat([w[0] for w, _ in folded]), torch.cat([b[0] for _, b in folded])
    whole = Scaling.of(x, dtype)
    z = whole.apply(x, dtype)
    mean = (torch.cat([s.mean for s in own], dim=1) - whole.mean) / whole.scale
    scaling = Scaling(mean, torch.cat([s.scale for s in own], dim=1) / whole.scale)
    solution = fit_logistic(z, targets, strengths, rows=rows, scaling=scaling, tolerance=tolerance)
    weight, bias = whole.fold(*scaling.fold(solution.weight, solution.bias))
    return weight[0], bias[0]
