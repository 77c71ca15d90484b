"""Ridge regression for many layers, targets and strengths at once: one factorisation gives every strength.

Every problem is the one scikit-learn's Ridge(alpha=1 / C) solves,

    min over w, b of  sum_i r_i (y_i - w.x_i - b)^2 + |w|^2 / C,

with X'RX = V diag(e) V' of the centred features: w = V diag(1 / (e + 1 / C)) V' X'Ry for every C (Hastie, Tibshirani &
Friedman, The Elements of Statistical Learning, section 3.4.1). Of fewer rows than features the factorisation is that of
the rows, XX' (section 18.3.5). All targets that are trained on the same rows share it.
"""

from collections.abc import Sequence

import torch

from probing.probes.logistic import Solution


def fit_ridge(
    x: torch.Tensor, targets: torch.Tensor, strengths: Sequence[float], *, rows: torch.Tensor | None = None
) -> Solution:
    """Fit every layer x target x strength.

    Args:
        x: (L, N, P) standardised features of any float type; products are float64.
        targets: (K, N) numbers, one row a target.
        strengths: S values of C, the inverse of the penalty.
        rows: (K, N) which rows each target is trained on, as 0 and 1; default all. Targets of the same rows cost
            little more than one.

    Returns:
        weight (L, K, S, P) float64, bias (L, K, S).

    >>> x = torch.tensor([[[-1.0], [0.0], [1.0]]], dtype=torch.float64)
    >>> found = fit_ridge(x, torch.tensor([[1.0, 2.0, 3.0]]), [1e9])
    >>> round(float(found.weight[0, 0, 0, 0]), 6), round(float(found.bias[0, 0, 0]), 6)
    (1.0, 2.0)
    """
    y = targets.double()
    counted = torch.ones(y.shape, dtype=torch.bool, device=y.device) if rows is None else rows.bool()
    sets, of = counted.unique(dim=0, return_inverse=True)
    penalties = 1 / torch.as_tensor(list(strengths), dtype=torch.float64, device=y.device)
    weight = y.new_zeros(len(x), len(y), len(penalties), x.shape[2])
    bias = y.new_zeros(weight.shape[:3])
    for layer, of_layer in enumerate(x):
        for k, chosen in enumerate(sets):
            mine = of == k
            z = of_layer[chosen].double()
            t = y[mine][:, chosen]
            center = z.mean(dim=0)
            level = t.mean(dim=1)
            found = _solve(z - center, t - level[:, None], penalties)
            weight[layer, mine] = found
            bias[layer, mine] = level[:, None] - found @ center
    return Solution(weight, bias)


def _solve(z: torch.Tensor, t: torch.Tensor, penalties: torch.Tensor) -> torch.Tensor:
    """Weights (K, S, P) of centred features (N, P) and targets (K, N)."""
    if len(z) >= z.shape[1]:
        values, vectors = torch.linalg.eigh(z.T @ z)
        along = (t @ z) @ vectors
        back = vectors.T
    else:
        values, vectors = torch.linalg.eigh(z @ z.T)
        along = t @ vectors
        back = vectors.T @ z
    shrunk = along[:, None] / (values.clamp_min(0) + penalties[:, None])
    return shrunk @ back
