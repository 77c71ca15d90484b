"""Logistic regression for many layers, labellings and strengths at once.

Every problem is the one scikit-learn's LogisticRegression(C, class_weight="balanced") solves,

    min over w, b of  C * sum_i s_i log(1 + exp(-y_i (w.x_i + b))) + |w|^2 / 2,     s_i = n / (2 n of the class of i),

solved by a truncated Newton method (Dembo & Steihaug 1983; Lin, Weng & Keerthi, JMLR 9, 2008). All problems of a layer,
its labellings, strengths and selections of rows, share each pass over the features, as rows of one matrix product; a
problem that is solved leaves it. The conjugate gradients are preconditioned: a Hessian is about c (X'X / n + r I), with
c the mean curvature and r = penalty / c, so problems whose r are alike share the Cholesky factor of that matrix, and
few steps are left. The type of the features is the type of the products; whatever is not as large as they are is
float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cache.errors import ProbeError
from probing.probes.scaling import Scaling

MAX_NEWTON_STEPS = 100
MAX_GRADIENT_STEPS = 200
GRAM_ROWS_A_FEATURE = 4  # more rows do not make a better preconditioner
FINEST = {torch.float32: 5e-7, torch.float64: 1e-13}  # the gradient that rounding leaves


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
    x: torch.Tensor,
    targets: torch.Tensor,
    strengths: Sequence[float],
    *,
    rows: torch.Tensor | None = None,
    scaling: Scaling | None = None,
    tolerance: float = 1e-7,
) -> Solution:
    """Fit every layer x labelling x strength.

    Args:
        x: (L, N, P) standardised features, float64, or float32 where a gradient of 5e-7 is small enough.
        targets: (K, N) boolean, one row a labelling; each needs both classes.
        strengths: S values of C, the inverse of the penalty.
        rows: (K, N) weight of each row in each labelling, as 0 and 1 for the folds of a cross-validation; default 1.
        scaling: a standardisation of each labelling's own, (L, K, P), on top of the one of `x`. The solution is that
            for features so standardised; `scaling.fold` makes it one for `x`.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Raises:
        NotConverged: after 100 Newton steps; features that are not standardised are the usual cause.
    """
    n_strengths = len(strengths)
    y = targets.double().repeat_interleave(n_strengths, dim=0)
    counted = torch.ones_like(y) if rows is None else rows.to(y).repeat_interleave(n_strengths, dim=0)
    positive, n = (counted * y).sum(dim=1, keepdim=True), counted.sum(dim=1, keepdim=True)
    weights = counted * torch.where(y > 0, 0.5 / positive, 0.5 / (n - positive))  # s_i / n
    c = torch.as_tensor(list(strengths), dtype=torch.float64, device=x.device).repeat(len(targets))
    penalty = 1 / (c * n[:, 0])
    solutions = []
    for layer in range(len(x)):
        z, axes = x[layer], None
        if scaling is None and z.shape[0] < z.shape[1]:  # the solution lies in the span of the rows
            axes, triangle = torch.linalg.qr(z.T)
            z = triangle.T.contiguous()
        own = None
        if scaling is not None:
            own = [v[layer].repeat_interleave(n_strengths, dim=0).to(y) for v in (scaling.mean, scaling.scale)]
        u = _newton(_Features(z, own), y, weights, penalty, max(tolerance, FINEST[x.dtype]))
        solutions.append(u if axes is None else torch.cat([u[:, :-1] @ axes.T.double(), u[:, -1:]], dim=1))
    stacked = torch.stack(solutions).reshape(len(x), len(targets), n_strengths, -1)
    return Solution(stacked[..., :-1], stacked[..., -1])


class _Features:
    """Features (N, P) of one layer, and a column of ones, as the problems `at` see them."""

    def __init__(self, x: torch.Tensor, own: list[torch.Tensor] | None) -> None:
        self.x, self.own = x, own
        some = x[:: max(1, len(x) // (GRAM_ROWS_A_FEATURE * x.shape[1]))]
        self.gram = _gram(some) / len(some)
        self._factors: dict[int, torch.Tensor] = {}

    def margins(self, u: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Log odds (Q, N) of weights and biases (Q, P + 1)."""
        weight, bias = u[:, :-1], u[:, -1:]
        if self.own is not None:
            weight = weight / self.own[1][at]
            bias = bias - (weight * self.own[0][at]).sum(dim=1, keepdim=True)
        return (weight.to(self.x.dtype) @ self.x.T).double() + bias

    def gradients(self, slopes: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Sums (Q, P + 1) over the rows, given the slope (Q, N) of each loss in its log odds."""
        total = slopes.sum(dim=1, keepdim=True)
        weight = (slopes.to(self.x.dtype) @ self.x).double()
        if self.own is not None:
            weight = (weight - total * self.own[0][at]) / self.own[1][at]
        return torch.cat([weight, total], dim=1)

    def precondition(self, residual: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
        """About c times the inverse Hessian on (Q, P + 1), ratio (Q,) being penalty / c, taken to its power of ten."""
        out = residual.clone()
        least = (1e-6 if self.x.dtype == torch.float32 else 1e-12) * self.x.shape[1]  # what keeps it exact
        powers = ratio.clamp_min(least).log10().ceil().int()
        for power in powers.unique().tolist():
            if power not in self._factors:
                matrix = self.gram.clone()
                matrix.diagonal().add_(10.0**power)
                self._factors[power] = torch.linalg.cholesky(matrix)
            chosen = powers == power
            right = residual[chosen, :-1].to(self.x.dtype).T
            out[chosen, :-1] = torch.cholesky_solve(right, self._factors[power]).T.double()
        return out


def _gram(x: torch.Tensor) -> torch.Tensor:
    """X'X (P, P), of which only what is not above the diagonal is computed, block by block: the Cholesky factor and
    the products below read no more of it.
    """
    n = x.shape[1]
    out = x.new_zeros(n, n)
    width = max(128, -(-n // 8))
    for first in range(0, n, width):
        out[first:, first : first + width] = x[:, first:].T @ x[:, first : first + width]
    return out


def _newton(
    features: _Features, y: torch.Tensor, weights: torch.Tensor, penalty: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """Minimise all problems from zero, y and weights (Q, N), penalty (Q,); returns (Q, P + 1)."""
    penalties = penalty[:, None].repeat(1, features.x.shape[1] + 1)
    penalties[:, -1] = 0
    u, margins = torch.zeros_like(penalties), torch.zeros_like(y)
    slack = 1e-15 if features.x.dtype == torch.float64 else 1e-7
    at, worst = torch.arange(len(y), device=y.device), 0.0  # problems under way; gradient of those that got stuck
    for _ in range(MAX_NEWTON_STEPS):
        y_at, weights_at, penalties_at = y[at], weights[at], penalties[at]
        odds = torch.sigmoid(margins[at])
        gradient = features.gradients(weights_at * (odds - y_at), at) + penalties_at * u[at]
        sizes = gradient.abs().amax(dim=1)
        going = ~(sizes <= tolerance)
        if not going.any():
            break
        at, gradient, odds = at[going], gradient[going], odds[going]
        y_at, weights_at, penalties_at = y_at[going], weights_at[going], penalties_at[going]
        step = _conjugate_gradients(features, at, weights_at * odds * (1 - odds), penalties_at, gradient, tolerance)
        slope = (gradient * step).sum(dim=1)
        old, old_margins, step_margins = u[at], margins[at], features.margins(step, at)
        value = _objective(old, old_margins, y_at, weights_at, penalties_at)
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
            at, new, new_margins = at[~short], new[~short], new_margins[~short]
        u[at], margins[at] = new, new_margins
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
    features: _Features,
    at: torch.Tensor,
    curvature: torch.Tensor,
    penalties: torch.Tensor,
    gradient: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Solve Hessian @ step = -gradient, the more exactly the nearer the solution; all (Q, P + 1) or (Q, N)."""
    step, residual = torch.zeros_like(gradient), -gradient
    ratio = penalties[:, 0] / curvature.sum(dim=1).clamp_min(1e-300)
    direction = features.precondition(residual, ratio)
    energy = (residual * direction).sum(dim=1, keepdim=True)
    norm = gradient.norm(dim=1)
    wanted = (norm * norm.sqrt().clamp(max=0.1)).clamp_min(tolerance / 2)
    going = torch.arange(len(at), device=at.device)
    for _ in range(MAX_GRADIENT_STEPS):
        product = features.gradients(curvature * features.margins(direction, at), at) + penalties * direction
        size = energy / (direction * product).sum(dim=1, keepdim=True).clamp_min(1e-300)
        step[going] += size * direction
        residual = residual - size * product
        left = residual.norm(dim=1) > wanted
        if not left.any():
            break
        if not left.all():
            going, at, curvature, penalties, wanted = (v[left] for v in (going, at, curvature, penalties, wanted))
            residual, direction, energy, ratio = (v[left] for v in (residual, direction, energy, ratio))
        scaled = features.precondition(residual, ratio)
        new_energy = (residual * scaled).sum(dim=1, keepdim=True)
        direction = scaled + new_energy / energy.clamp_min(1e-300) * direction
        energy = new_energy
    return step
