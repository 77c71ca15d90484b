"""Ridge regression for many layers, targets, selections of rows and strengths at once.

Every problem is the one scikit-learn's Ridge(alpha=1 / C) solves,

    min over w, b of  sum_i (y_i - w.x_i - b)^2 + |w|^2 / C,

over the rows of its selection. Sums of products of features, which are what costs, are computed
once for all targets, and once for each set of rows that selections share: of a cross-validation
every row counts once. Few strengths have a Cholesky factor each, which is cheaper than the one
eigendecomposition that gives any number of them (Hastie, Tibshirani & Friedman, The Elements of
Statistical Learning, section 3.4.1). If rows are fewer than features, the system is that of the
rows, XX' (section 18.3.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from probing.probes.features import lower_product
from probing.probes.logistic import Solution

FEW_STRENGTHS = 12  # an eigendecomposition takes as long as about 15 Cholesky factors
SAFE = 1e-9  # least penalty, in units of the mean diagonal, that a Cholesky factor is trusted with
MOST_SETS = 32  # of rows, for whose sums of products there is memory


@dataclass(frozen=True)
class _Sums:
    """Sums over some rows: their number, of features (P,), of their products (P, P) not above the
    diagonal, and with K targets.
    """

    n: float
    x: torch.Tensor
    xx: torch.Tensor
    y: torch.Tensor
    yx: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor, y: torch.Tensor) -> _Sums:
        return cls(len(x), x.sum(dim=0), lower_product(x.T, x), y.sum(dim=1), y @ x)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.n + other.n,
            self.x + other.x,
            xx=self.xx + other.xx,
            y=self.y + other.y,
            yx=self.yx + other.yx,
        )


def fit_ridge(
    x: torch.Tensor,
    targets: torch.Tensor,
    strengths: Sequence[float],
    *,
    rows: torch.Tensor | None = None,
    own_scale: bool = False,
) -> Solution:
    """Fit every layer x target x strength.

    Args:
        x: (L, N, P) standardised features of any float type; products are float64.
        targets: (K, N) numbers, one row a target.
        strengths: S values of C, the inverse of the penalty.
        rows: (K, N) which rows each target is trained on, as 0 and 1; default all.
        own_scale: the penalty is that of features divided by their deviation over the rows of the
            selection; the weights act on `x` all the same.

    Returns:
        weight (L, K, S, P) float64, bias (L, K, S).

    >>> x = torch.tensor([[[-1.0], [0.0], [1.0]]], dtype=torch.float64)
    >>> found = fit_ridge(x, torch.tensor([[1.0, 2.0, 3.0]]), [1e9])
    >>> round(float(found.weight[0, 0, 0, 0]), 6), round(float(found.bias[0, 0, 0]), 6)
    (1.0, 2.0)
    """
    y = targets.double()
    counted = (
        torch.ones(y.shape, dtype=torch.bool, device=y.device) if rows is None else rows.bool()
    )
    sets, of = counted.unique(dim=0, return_inverse=True)
    patterns, pattern_of = sets.unique(dim=1, return_inverse=True)
    shared = (
        len(sets) > 1
        and patterns.shape[1] <= MOST_SETS
        and int(sets.sum(dim=1).min()) >= x.shape[2]
    )
    penalties = 1 / torch.as_tensor(list(strengths), dtype=torch.float64, device=y.device)
    weight = y.new_zeros(len(x), len(y), len(penalties), x.shape[2])
    bias = y.new_zeros(weight.shape[:3])
    for layer, of_layer in enumerate(x):
        z = of_layer.double()
        parts = []
        if shared:
            parts = [
                _Sums.of(z[rows], y[:, rows])
                for rows in (pattern_of == i for i in range(patterns.shape[1]))
            ]
        for k, chosen in enumerate(sets):
            mine = of == k
            if parts:
                sums = _total([part for part, used in zip(parts, patterns[k], strict=True) if used])
                found = _solve(
                    sums.n,
                    sums.x,
                    xx=sums.xx,
                    y=sums.y[mine],
                    yx=sums.yx[mine],
                    penalties=penalties,
                    own_scale=own_scale,
                )
            else:
                found = _fit(z[chosen], y[mine][:, chosen], penalties, own_scale)
            weight[layer, mine], bias[layer, mine] = found
    return Solution(weight, bias)


def _total(parts: Sequence[_Sums]) -> _Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _fit(
    z: torch.Tensor, t: torch.Tensor, penalties: torch.Tensor, own_scale: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (K, S, P) and biases (K, S) of features (N, P) and targets (K, N)."""
    if len(z) >= z.shape[1]:
        sums = _Sums.of(z, t)
        return _solve(
            sums.n,
            sums.x,
            xx=sums.xx,
            y=sums.y,
            yx=sums.yx,
            penalties=penalties,
            own_scale=own_scale,
        )
    mean = z.mean(dim=0)
    level = t.mean(dim=1)
    centred = z - mean
    scale = _deviation(centred.square().mean(dim=0), mean) if own_scale else torch.ones_like(mean)
    centred = centred / scale
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    along = (t - level[:, None]) @ vectors
    shrunk = along[:, None] / (values.clamp_min(0) + penalties[:, None])
    weight = shrunk @ (vectors.T @ centred) / scale
    return weight, level[:, None] - weight @ mean


def _solve(
    n: float,
    x: torch.Tensor,
    xx: torch.Tensor,
    y: torch.Tensor,
    yx: torch.Tensor,
    penalties: torch.Tensor,
    own_scale: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (K, S, P) and biases (K, S) from sums over the rows, see `_Sums`."""
    mean = x / n
    level = y / n
    gram = xx - n * mean[:, None] * mean
    cross = yx - n * level[:, None] * mean
    scale = _deviation(gram.diagonal() / n, mean) if own_scale else torch.ones_like(mean)
    gram = gram / (scale[:, None] * scale)
    cross = cross / scale
    mean_diagonal = float(gram.diagonal().mean())
    if len(penalties) <= FEW_STRENGTHS and float(penalties.min()) > SAFE * mean_diagonal:
        found = []
        for penalty in penalties:
            matrix = gram.clone()
            matrix.diagonal().add_(penalty)
            found.append(torch.cholesky_solve(cross.T, torch.linalg.cholesky(matrix)).T)
        weight = torch.stack(found, dim=1)
    else:
        values, vectors = torch.linalg.eigh(gram, UPLO="L")
        along = cross @ vectors
        weight = (along[:, None] / (values.clamp_min(0) + penalties[:, None])) @ vectors.T
    weight = weight / scale
    return weight, level[:, None] - weight @ mean


def _deviation(variance: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Deviations (P,); 1 of a feature that does not vary, as `Scaling` has it."""
    deviation = variance.clamp_min(0).sqrt()
    flat = deviation <= 1e-7 * (1 + mean.abs())  # what cancellation leaves of a variance
    return torch.where(flat, torch.ones_like(deviation), deviation)
