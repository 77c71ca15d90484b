"""Linear probes on selections of the rows of a layer: folds, or all attacks but one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from probing.probes.features import Features
from probing.probes.logistic import Solution, fit_logistic
from probing.probes.row_space import RowSpace
from probing.probes.scaling import Scaling

AT_ONCE = 5  # selections of fewer rows than features, of each of which a matrix (N, N) is held


def fit_selections(
    x: torch.Tensor,
    targets: torch.Tensor,
    rows: torch.Tensor,
    strengths: Sequence[float],
    tolerance: float,
    *,
    dtype: torch.dtype,
    fit: Callable[..., Solution] = fit_logistic,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit every selection x strength in one solve; each has the standardisation of its own rows.

    Args:
        x: (1, N, P) features as they are, held once.
        targets: (N,) boolean, or whole numbers of more classes; or (K, N).
        rows: (K, N) boolean, what each selection is trained on; every class in each.
        strengths: S values of C.
        tolerance: see `fit_logistic`.
        dtype: of the products, float64, or float32 where a gradient of 5e-7 is small enough.
        fit: `fit_logistic`, or `fit_multinomial` with its number of classes.

    Returns:
        Weights (K, S, P) and biases (K, S) for features as they are; of M classes (K, S, M, P) and
        (K, S, M).

    >>> x = torch.tensor([[[-1.0], [-0.5], [0.5], [1.0]]])
    >>> rows = torch.tensor([[True, True, True, False], [False, True, True, True]])
    >>> weight, bias = fit_selections(
    ...     x,
    ...     torch.tensor([False, False, True, True]),
    ...     rows,
    ...     [1.0],
    ...     tolerance=1e-6,
    ...     dtype=torch.float64,
    ... )
    >>> weight.shape, bias.shape
    (torch.Size([2, 1, 1]), torch.Size([2, 1]))
    """
    scaling = Scaling.of(x, dtype)
    solution = solve_selections(
        Features(scaling.apply(x, dtype)[0]),
        targets,
        rows=rows,
        strengths=strengths,
        tolerance=tolerance,
        fit=fit,
    )
    weight, bias = scaling.fold(solution.weight, solution.bias)
    return weight[0], bias[0]


def fit_each_selection(
    x: torch.Tensor,
    targets: torch.Tensor,
    rows: torch.Tensor,
    strengths: Sequence[float],
    tolerance: float,
    *,
    dtype: torch.dtype,
    fit: Callable[..., Solution],
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `fit_selections`, one selection after another, each on a copy of its own rows.

    The products of many classes are so large that to share a pass over the features saves nothing,
    and rows that are left out cost as much there as others.

    >>> from functools import partial
    >>> from probing.probes.logistic import fit_multinomial
    >>> x = torch.tensor([[[-1.0], [-0.9], [0.1], [0.0], [1.0], [0.9]]])
    >>> weight, bias = fit_each_selection(
    ...     x,
    ...     torch.tensor([0, 0, 1, 1, 2, 2]),
    ...     torch.tensor([[True] * 6]),
    ...     [1.0],
    ...     tolerance=1e-6,
    ...     dtype=torch.float64,
    ...     fit=partial(fit_multinomial, n_classes=3),
    ... )
    >>> weight.shape, bias.shape
    (torch.Size([1, 1, 3, 1]), torch.Size([1, 1, 3]))
    """
    found = []
    for chosen, target in zip(rows, targets.expand(len(rows), -1), strict=True):
        own = x[:, chosen]
        scaling = Scaling.of(own, dtype)
        z = scaling.apply(own, dtype)
        solution = fit(z, target[None, chosen], strengths, tolerance=tolerance)
        found.append(scaling.fold(solution.weight, solution.bias))
    weights, biases = zip(*found, strict=True)
    return torch.cat(weights, dim=1)[0], torch.cat(biases, dim=1)[0]


def solve_selections(
    features: Features,
    targets: torch.Tensor,
    rows: torch.Tensor,
    strengths: Sequence[float],
    tolerance: float,
    fit: Callable[..., Solution] = fit_logistic,
) -> Solution:
    """As `fit_selections`, on features that are standardised and prepared.

    The solution acts on these.
    """
    z = features.x[None]
    targets = targets.expand(len(rows), -1)
    scale = torch.cat([Scaling.of(z[:, chosen], z.dtype).scale for chosen in rows], dim=1)
    if z.shape[1] >= z.shape[2]:
        return fit(features, targets, strengths, rows=rows, scale=scale, tolerance=tolerance)
    found = []
    for first in range(0, len(rows), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        spaces = RowSpace(features.x, scale[0, some])
        found.append(fit(spaces, targets[some], strengths, rows=rows[some], tolerance=tolerance))
    return Solution(
        torch.cat([solution.weight for solution in found], dim=1),
        torch.cat([solution.bias for solution in found], dim=1),
    )
