"""Logistic regression for many layers, labellings and strengths at once.

Every problem is the one scikit-learn's LogisticRegression(C, class_weight="balanced") solves,

    min over w, b of  C * sum_i s_i log(1 + exp(-y_i (w.x_i + b))) + |w|^2 / 2,     s_i = n / (2 n of the class of i),

solved by a truncated Newton method (Dembo & Steihaug 1983; Lin, Weng & Keerthi, JMLR 9, 2008): all problems share each
matrix product. The features of a layer are first rotated to their principal axes. That changes nothing (the penalty is
rotation invariant, and directions without variance get no weight) but makes the Hessian nearly diagonal, so that a
diagonal preconditioner leaves few conjugate-gradient steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cache.errors import ProbeError

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
    x: torch.Tensor, targets: torch.Tensor, strengths: Sequence[float], *, tolerance: float = 1e-7
) -> Solution:
    """Fit every layer x labelling x strength.

    Args:
        x: (L, N, P) float64 features, standardised.
        targets: (K, N) boolean, one row a labelling; each needs both classes.
        strengths: S values of C, the inverse of the penalty.
        tolerance: largest component of the gradient of the mean loss at the solution.

    Raises:
        NotConverged: after 100 Newton steps; features that are not standardised are the usual cause.
    """
    n_layers, n, _ = x.shape
    rotated, axes = _principal_axes(x)
    ones = torch.ones(n_layers, n, 1, dtype=x.dtype, device=x.device)
    z = torch.cat([rotated, ones], dim=2)
    y = targets.to(x.dtype).T.repeat_interleave(len(strengths), dim=1)  # (N, K*S)
    n_positive = y.sum(dim=0)
    weights = torch.where(y > 0, 0.5 / n_positive, 0.5 / (n - n_positive))  # s_i / n
    c = torch.as_tensor(list(strengths), dtype=x.dtype, device=x.device)
    penalty = (1 / (c * n)).repeat(len(targets)) * torch.ones(z.shape[2], 1, dtype=x.dtype, device=x.device)
    penalty[-1] = 0
    solution = _newton(z, y, weights, penalty, tolerance)
    shape = (n_layers, len(targets), len(strengths))
    weight = (axes @ solution[:, :-1]).transpose(1, 2).reshape(*shape, -1)
    return Solution(weight, solution[:, -1].reshape(shape))


def _principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates (L, N, R) and axes (L, P, R) of the features, R = min(N, P)."""
    _, n, p = x.shape
    if p <= n:
        _, axes = torch.linalg.eigh(x.transpose(1, 2) @ x)
        return x @ axes, axes
    values, left = torch.linalg.eigh(x @ x.transpose(1, 2))
    scale = values.clamp_min(0).sqrt()
    used = scale > 1e-7 * scale.amax(dim=1, keepdim=True)
    inverse = torch.where(used, 1 / scale.clamp_min(1e-300), torch.zeros_like(scale))
    axes = x.transpose(1, 2) @ left * inverse[:, None]
    return left * torch.where(used, scale, torch.zeros_like(scale))[:, None], axes


def _newton(
    z: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, penalty: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """Minimise all problems from zero; returns (L, R + 1, Q)."""
    u = torch.zeros(z.shape[0], z.shape[2], y.shape[1], dtype=z.dtype, device=z.device)
    margins, squares, zt = z @ u, z.square().transpose(1, 2), z.transpose(1, 2)
    value = _objective(u, margins, y, weights, penalty)
    for _ in range(MAX_NEWTON_STEPS):
        odds = torch.sigmoid(margins)
        gradient = zt @ (weights * (odds - y)) + penalty * u
        if gradient.abs().max() <= tolerance:
            return u
        curvature = weights * odds * (1 - odds)
        diagonal = (squares @ curvature + penalty).clamp_min(1e-12)
        step = _conjugate_gradients(z, zt, curvature, penalty, diagonal, gradient, tolerance)
        slope = (gradient * step).sum(dim=1)
        step_margins = z @ step
        length = torch.ones_like(slope)
        for _ in range(40):
            new = _objective(u + length[:, None] * step, margins + length[:, None] * step_margins, y, weights, penalty)
            short = new > value + 1e-4 * length * slope + 1e-15 * value.abs()
            if not short.any():
                break
            length = torch.where(short, length / 2, length)
        else:
            length = torch.where(short, torch.zeros_like(length), length)
            if (length == 0).all():
                break
        u = u + length[:, None] * step
        margins = margins + length[:, None] * step_margins
        value = torch.where(length > 0, new, value)
    odds = torch.sigmoid(margins)
    worst = float((zt @ (weights * (odds - y)) + penalty * u).abs().max())
    if worst > 1e3 * tolerance:
        raise NotConverged(f"logistic regression stopped at a gradient of {worst:.1e}. Are the features standardised?")
    return u


def _objective(
    u: torch.Tensor, margins: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, penalty: torch.Tensor
) -> torch.Tensor:
    loss = torch.nn.functional.softplus(margins) - y * margins
    return (weights * loss).sum(dim=1) + 0.5 * (penalty * u.square()).sum(dim=1)


def _conjugate_gradients(
    z: torch.Tensor,
    zt: torch.Tensor,
    curvature: torch.Tensor,
    penalty: torch.Tensor,
    diagonal: torch.Tensor,
    gradient: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Solve Hessian @ step = -gradient, the more exactly the nearer the solution."""
    step, residual = torch.zeros_like(gradient), -gradient
    scaled = residual / diagonal
    direction, energy = scaled, (residual * scaled).sum(dim=1)
    norm = gradient.norm(dim=1)
    wanted = (norm * norm.sqrt().clamp(max=0.1)).clamp_min(tolerance / 2)
    for _ in range(MAX_GRADIENT_STEPS):
        active = residual.norm(dim=1) > wanted
        if not active.any():
            break
        product = zt @ (curvature * (z @ direction)) + penalty * direction
        size = torch.where(active, energy / (direction * product).sum(dim=1).clamp_min(1e-300), 0.0)
        step = step + size[:, None] * direction
        residual = residual - size[:, None] * product
        scaled = residual / diagonal
        new_energy = (residual * scaled).sum(dim=1)
        direction = scaled + (new_energy / energy.clamp_min(1e-300))[:, None] * direction
        energy = new_energy
    return step
