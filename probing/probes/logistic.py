"""Logistic regression for many layers, labellings and strengths at once.

Every problem is the one scikit-learn's LogisticRegression(C, class_weight="balanced") solves,

    min over w, b of  C * sum_i s_i log(1 + exp(-y_i (w.x_i + b))) + |w|^2 / 2,     s_i = n / (2 n of the class of i),

solved by a truncated Newton method (Dembo & Steihaug 1983; Lin, Weng & Keerthi, JMLR 9, 2008). All problems of a layer,
its labellings, strengths and selections of rows, share each pass over the features, as rows of one matrix product; a
problem that is solved leaves it. Of fewer rows than features the solution lies in the span of the rows (`row_space`).
The conjugate gradients are preconditioned: a Hessian is about c (X'X / n + r I), with
c the mean curvature and r = penalty / c, so problems whose r are alike share the Cholesky factor of that matrix, and
few steps are left. The type of the features is the type of the products; whatever is not as large as they are is
float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cache.errors import ProbeError
from probing.probes.features import FINEST, Features
from probing.probes.row_space import RowSpace

MAX_NEWTON_STEPS = 100
MAX_GRADIENT_STEPS = 200


class NotConverged(ProbeError, RuntimeError):
    """The solver did not reach its tolerance."""


@dataclass(frozen=True)
class Solution:
    """Weights of L layers, K labellings and S strengths.

    weight: (L, K, S, P) float64. bias: (L, K, S).
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
    """Fit every layer x labelling x strength.

    Args:
        x: (L, N, P) standardised features, float64, or float32 where a gradient of 5e-7 is small enough; or one layer
            that several fits share, as it is.
        targets: (K, N) boolean, one row a labelling; each needs both classes.
        strengths: S values of C, the inverse of the penalty.
        rows: (K, N) weight of each row in each labelling, as 0 and 1 for the folds of a cross-validation; default 1.
        scale: (L, K, P) deviations of the features of `x` in each labelling's own rows: the solution is that for
            features divided by them, given as weights that act on `x`. (The means of those rows only move the bias,
            which has no penalty.) Default 1.
        start: where to begin, instead of zero.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Raises:
        NotConverged: after 100 Newton steps; features that are not standardised are the usual cause.
    """
    n_strengths = len(strengths)
    y = targets.double().repeat_interleave(n_strengths, dim=0)
    counted = torch.ones_like(y) if rows is None else rows.to(y).repeat_interleave(n_strengths, dim=0)
    positive, n = (counted * y).sum(dim=1, keepdim=True), counted.sum(dim=1, keepdim=True)
    weights = counted * torch.where(y > 0, 0.5 / positive, 0.5 / (n - positive))  # s_i / n
    c = torch.as_tensor(list(strengths), dtype=torch.float64, device=y.device).repeat(len(targets))
    penalty = 1 / (c * n[:, 0])
    labelling = torch.arange(len(targets), device=y.device).repeat_interleave(n_strengths)
    layers = [x] if isinstance(x, Features) else x
    solutions = []
    for layer, of_layer in enumerate(layers):
        if not isinstance(of_layer, Features):
            in_rows = scale is None and of_layer.shape[0] < of_layer.shape[1]
            of_layer = RowSpace(of_layer) if in_rows else Features(of_layer)
        penalties = torch.zeros(len(y), of_layer.x.shape[1] + 1, dtype=y.dtype, device=y.device)
        penalties[:, :-1] = penalty[:, None]
        if scale is not None:
            penalties[:, :-1] *= scale[layer].to(y).square().repeat_interleave(n_strengths, dim=0)
        u = torch.zeros_like(penalties)
        if start is not None:
            u[:, :-1] = of_layer.coordinates(start.weight[layer].flatten(0, 1))
            u[:, -1] = start.bias[layer].flatten()
        u = _newton(of_layer, labelling, y, weights, penalties, u, max(tolerance, FINEST[of_layer.x.dtype]))
        solutions.append(torch.cat([of_layer.weights(u[:, :-1], labelling), u[:, -1:]], dim=1))
    stacked = torch.stack(solutions).reshape(len(layers), len(targets), n_strengths, -1)
    return Solution(stacked[..., :-1], stacked[..., -1])


def _newton(
    features: Features,
    labelling: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    penalties: torch.Tensor,
    u: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Minimise all problems from u (Q, P + 1), in place; labelling (Q,), y and weights (Q, N), penalties (Q, P + 1)."""
    margins = features.margins(u, labelling)
    values = _objective(u, margins, y, weights, penalties)
    slack = 1e-15 if features.x.dtype == torch.float64 else 1e-7
    at, worst = torch.arange(len(y), device=y.device), 0.0  # problems under way; gradient of those that got stuck
    for _ in range(MAX_NEWTON_STEPS):
        odds = torch.sigmoid(margins[at])
        gradient = features.gradients(weights[at] * (odds - y[at]), labelling[at]) + penalties[at] * u[at]
        sizes = gradient.abs().amax(dim=1)
        going = ~(sizes <= tolerance)
        if not going.any():
            break
        at, gradient, odds = at[going], gradient[going], odds[going]
        y_at, weights_at, penalties_at, value, of = y[at], weights[at], penalties[at], values[at], labelling[at]
        step = _conjugate_gradients(features, of, weights_at * odds * (1 - odds), penalties_at, gradient, tolerance)
        slope = (gradient * step).sum(dim=1)
        old, old_margins, step_margins = u[at], margins[at], features.margins(step, of)
        length = torch.ones_like(slope)[:, None]
        for _ in range(40):
            new, new_margins = old + length * step, old_margins + length * step_margins
            reached = _objective(new, new_margins, y_at, weights_at, penalties_at)
            short = ~(reached <= value + 1e-4 * length[:, 0] * slope + slack * value.abs())
            if not short.any():
                break
            length[short] /= 2
        else:
            worst = max(worst, float(sizes[going][short].nan_to_num(torch.inf).max()))
            at, new, new_margins, reached = at[~short], new[~short], new_margins[~short], reached[~short]
        u[at], margins[at], values[at] = new, new_margins, reached
        if not len(at):
            break
    else:
        worst = max(worst, float(sizes.nan_to_num(torch.inf).max()))
    if worst > 1e3 * tolerance:
        raise NotConverged(f"logistic regression stopped at a gradient of {worst:.1e}. Are the features standardised?")
    return u


def _objective(
    u: torch.Tensor, margins: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, penalties: torch.Tensor
) -> torch.Tensor:
    loss = torch.nn.functional.softplus(margins) - y * margins
    return (weights * loss).sum(dim=1) + 0.5 * (penalties * u.square()).sum(dim=1)


def _conjugate_gradients(
    features: Features,
    labelling: torch.Tensor,
    curvature: torch.Tensor,
    penalties: torch.Tensor,
    gradient: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Solve Hessian @ step = -gradient, the more exactly the nearer the solution; all (Q, P + 1), (Q, N) or (Q,)."""
    step, residual = torch.zeros_like(gradient), -gradient
    ratio = penalties[:, 0] / curvature.sum(dim=1).clamp_min(1e-300)
    direction = features.precondition(residual, ratio)
    energy = (residual * direction).sum(dim=1, keepdim=True)
    norm = gradient.norm(dim=1)
    wanted = (norm * norm.sqrt().clamp(max=0.1)).clamp_min(tolerance / 2)
    going = torch.arange(len(step), device=step.device)
    for _ in range(MAX_GRADIENT_STEPS):
        product = (
            features.gradients(curvature * features.margins(direction, labelling), labelling) + penalties * direction
        )
        size = energy / (direction * product).sum(dim=1, keepdim=True).clamp_min(1e-300)
        step[going] += size * direction
        residual = residual - size * product
        left = residual.norm(dim=1) > wanted
        if not left.any():
            break
        if not left.all():
            going, labelling, curvature = (v[left] for v in (going, labelling, curvature))
            penalties, wanted = penalties[left], wanted[left]
            residual, direction, energy, ratio = (v[left] for v in (residual, direction, energy, ratio))
        scaled = features.precondition(residual, ratio)
        new_energy = (residual * scaled).sum(dim=1, keepdim=True)
        direction = scaled + new_energy / energy.clamp_min(1e-300) * direction
        energy = new_energy
    return step
