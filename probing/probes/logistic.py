"""Logistic regression for many layers, labellings and strengths at once, of two classes or many.

Every problem is the one scikit-learn's LogisticRegression(C, class_weight="balanced") solves: of
two classes

    min over w, b of  C * sum_i s_i log(1 + exp(-y_i (w.x_i + b))) + |w|^2 / 2,
    s_i = n / (2 n of the class of i),

and of M classes, with a w and a b for each and s_i = n / (M n of the class of i),

    min over w, b of  C * sum_i -s_i log softmax(w.x_i + b)[y_i] + sum over classes of |w|^2 / 2,

solved by a truncated Newton method (`newton`). All problems of a layer, its labellings, strengths
and selections of rows, share each pass over the features. If rows are fewer than features, the
solution lies in the span of the rows (`row_space`). The type of the features is the type of the
products; whatever is not as large as they are is float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from probing.probes.features import FINEST, Features
from probing.probes.newton import Loss, ManyClasses, Products, TwoClasses, minimise
from probing.probes.row_space import RowSpace


@dataclass(frozen=True)
class Solution:
    """Weights of L layers, K labellings and S strengths.

    weight: (L, K, S, P) float64.
    bias: (L, K, S). With M classes (L, K, S, M, P) and (L, K, S, M).

    >>> Solution(torch.zeros(3, 1, 2, 8), torch.zeros(3, 1, 2)).weight.shape
    torch.Size([3, 1, 2, 8])
    """

    weight: torch.Tensor
    bias: torch.Tensor


def fit_logistic(
    x: "torch.Tensor | Features",
    targets: torch.Tensor,
    strengths: Sequence[float],
    *,
    rows: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    start: Solution | None = None,
    tolerance: float = 1e-7,
) -> Solution:
    """Fit every layer x labelling x strength, of two classes.

    Args:
        x: (L, N, P) standardised features, float64, or float32 where a gradient of 5e-7 is small
            enough; or one layer that several fits share, as it is.
        targets: (K, N) boolean, one row a labelling; each needs both classes.
        strengths: S values of C, the inverse of the penalty.
        rows: (K, N) weight of each row in each labelling, as 0 and 1 for the folds of a
            cross-validation; default 1.
        scale: (L, K, P) deviations of the features of `x` in each labelling's own rows: the
            solution is that for features divided by them, given as weights that act on `x`. (The
            means of those rows only move the bias, which has no penalty.) Default 1.
        start: where to begin, instead of zero.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Raises:
        NotConverged: after 100 Newton steps; features that are not standardised are the usual
            cause.

    >>> x = torch.tensor([[[-1.0], [-0.5], [0.5], [1.0]]], dtype=torch.float64)
    >>> found = fit_logistic(x, torch.tensor([[False, False, True, True]]), [1.0])
    >>> (
    ...     found.weight.shape,
    ...     float(found.weight[0, 0, 0, 0]) > 0,
    ...     abs(float(found.bias[0, 0, 0])) < 1e-6,
    ... )
    (torch.Size([1, 1, 1, 1]), True, True)
    """
    y = targets.double().repeat_interleave(len(strengths), dim=0)
    counted = (
        torch.ones_like(y) if rows is None else rows.to(y).repeat_interleave(len(strengths), dim=0)
    )
    positive = (counted * y).sum(dim=1, keepdim=True)
    n = counted.sum(dim=1, keepdim=True)
    weights = counted * torch.where(y > 0, 0.5 / positive, 0.5 / (n - positive))  # s_i / n
    if start is not None:
        start = Solution(start.weight[..., None, :], start.bias[..., None])
    found = _fit(
        x,
        TwoClasses(y, weights),
        n_vectors=1,
        n_rows=n[:, 0],
        strengths=strengths,
        scale=scale,
        start=start,
        tolerance=tolerance,
    )
    return Solution(found.weight[..., 0, :], found.bias[..., 0])


def fit_multinomial(
    x: "torch.Tensor | Features",
    targets: torch.Tensor,
    strengths: Sequence[float],
    *,
    n_classes: int,
    rows: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    start: Solution | None = None,
    tolerance: float = 1e-7,
) -> Solution:
    """Fit every layer x labelling x strength, of M classes; the margins of the classes sum to zero.

    Args:
        x: as `fit_logistic`.
        targets: (K, N) whole numbers from 0 to M - 1, one row a labelling; each needs every class
            in its rows.
        strengths: as `fit_logistic`.
        n_classes: M, two or more. (The solution of two classes is not that of `fit_logistic`, whose
            one w stands for the difference of two and is penalised once: C here is 2 C there.)
        rows: as there.
        scale: as there.
        start: as there.
        tolerance: as there.

    Raises:
        NotConverged: as `fit_logistic`.

    >>> x = torch.tensor([[[-1.0], [-0.9], [0.1], [0.0], [1.0], [0.9]]], dtype=torch.float64)
    >>> found = fit_multinomial(x, torch.tensor([[0, 0, 1, 1, 2, 2]]), [1.0], n_classes=3)
    >>> found.weight.shape, found.bias[0, 0, 0].sum().abs().item() < 1e-12
    (torch.Size([1, 1, 1, 3, 1]), True)
    """
    y = targets.long().repeat_interleave(len(strengths), dim=0)
    counted = torch.ones(y.shape, dtype=torch.float64, device=y.device)
    if rows is not None:
        counted = rows.to(counted).repeat_interleave(len(strengths), dim=0)
    per_class = torch.zeros(len(y), n_classes, dtype=counted.dtype, device=y.device).scatter_add_(
        1, y, counted
    )
    # s_i / n; a class without rows has none
    weights = counted / (n_classes * per_class.clamp_min(1).gather(1, y))
    found = _fit(
        x,
        ManyClasses(y, weights),
        n_vectors=n_classes,
        n_rows=counted.sum(dim=1),
        strengths=strengths,
        scale=scale,
        start=start,
        tolerance=tolerance,
    )
    # a constant added to every class changes nothing
    return Solution(found.weight, found.bias - found.bias.mean(dim=-1, keepdim=True))


def _fit(
    x: "torch.Tensor | Features",
    loss: Loss,
    n_vectors: int,
    n_rows: torch.Tensor,
    strengths: Sequence[float],
    scale: torch.Tensor | None,
    start: Solution | None,
    tolerance: float,
) -> Solution:
    """Fit every layer; the loss is of Q = K x S problems of `n_vectors` margins and `n_rows` rows
    each.
    """
    n_strengths = len(strengths)
    n_labellings = len(n_rows) // n_strengths
    c = torch.as_tensor(list(strengths), dtype=torch.float64, device=n_rows.device).repeat(
        n_labellings
    )
    penalty = 1 / (c * n_rows)
    labelling = torch.arange(n_labellings, device=n_rows.device).repeat_interleave(n_strengths)
    of_vector = labelling.repeat_interleave(n_vectors)
    layers = [x] if isinstance(x, Features) else x
    solutions = []
    for layer, of_layer in enumerate(layers):
        if not isinstance(of_layer, Features):
            in_rows = scale is None and of_layer.shape[0] < of_layer.shape[1]
            of_layer = RowSpace(of_layer) if in_rows else Features(of_layer)
        shape = len(n_rows), n_vectors, of_layer.x.shape[1] + 1
        penalties = torch.zeros(shape, dtype=penalty.dtype, device=penalty.device)
        penalties[..., :-1] = penalty[:, None, None]
        if scale is not None:
            penalties[..., :-1] *= (
                scale[layer].to(penalty).square().repeat_interleave(n_strengths, dim=0)[:, None]
            )
        u = torch.zeros_like(penalties)
        if start is not None:
            of_features = start.weight[layer].flatten(0, 2)
            u[..., :-1] = of_layer.coordinates(of_features).reshape(*shape[:2], -1)
            u[..., -1] = start.bias[layer].flatten(0, 1)
        finest = max(tolerance, FINEST[of_layer.x.dtype])
        products = Products(of_layer, n_vectors)
        u = minimise(
            products,
            labelling,
            loss=loss,
            penalties=penalties.flatten(1),
            u=u.flatten(1),
            tolerance=finest,
        ).reshape(-1, shape[2])
        solutions.append(torch.cat([of_layer.weights(u[:, :-1], of_vector), u[:, -1:]], dim=1))
    stacked = torch.stack(solutions).reshape(len(layers), n_labellings, n_strengths, n_vectors, -1)
    return Solution(stacked[..., :-1], stacked[..., -1])
