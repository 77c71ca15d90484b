"""A truncated Newton method for many problems whose losses are convex in margins of rows.

Dembo & Steihaug 1983; Lin, Weng & Keerthi, JMLR 9, 2008. All problems share each pass over the
features, as rows of one matrix product; a problem that is solved leaves it. The conjugate gradients
are preconditioned: a Hessian is about c (X'X / n + r I), with c the mean curvature and r = penalty
/ c, so problems whose r are alike share the Cholesky factor of that matrix, and few steps are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from cache.errors import ProbeError
from probing.probes.features import Features

MAX_NEWTON_STEPS = 100
MAX_GRADIENT_STEPS = 200
LONGEST = 30.0  # most that a step moves a margin of many classes

State = tuple[torch.Tensor, ...]


class NotConverged(ProbeError, RuntimeError):
    """The solver did not reach its tolerance."""


class Loss(Protocol):
    """The loss of Q problems, each of which has C margins a row: margins are (Q, C, N)."""

    def of(self, chosen: torch.Tensor) -> Loss:
        """The loss of some of the problems."""

    def values(self, margins: torch.Tensor) -> torch.Tensor:
        """The loss of each problem, (Q,)."""

    def odds(self, margins: torch.Tensor) -> torch.Tensor:
        """What slopes and curvatures are computed from, (Q, C, N)."""

    def slopes(self, odds: torch.Tensor) -> torch.Tensor:
        """The slope of the loss in each margin, (Q, C, N)."""

    def state(self, odds: torch.Tensor) -> State:
        """What `bend` takes, a row a problem.

        The first are the curvatures in each margin, (Q, C, N).
        """

    @staticmethod
    def bend(state: State, margins: torch.Tensor) -> torch.Tensor:
        """How the slopes change along a direction whose margins are given, (Q, C, N)."""


@dataclass(frozen=True)
class TwoClasses:
    """log(1 + exp(-margin)) of the second class or, with the sign turned, the first.

    `y` and `weights` are (Q, N).
    """

    y: torch.Tensor
    weights: torch.Tensor

    def of(self, chosen: torch.Tensor) -> TwoClasses:
        """See `Loss`."""
        return TwoClasses(self.y[chosen], self.weights[chosen])

    def values(self, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        inner = margins[:, 0]
        loss = torch.nn.functional.softplus(inner) - self.y * inner
        return (self.weights * loss).sum(dim=1)

    def odds(self, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        return torch.sigmoid(margins)

    def slopes(self, odds: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        return (self.weights * (odds[:, 0] - self.y))[:, None]

    def state(self, odds: torch.Tensor) -> State:
        """See `Loss`."""
        return (self.weights[:, None] * odds * (1 - odds),)

    @staticmethod
    def bend(state: State, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        return state[0] * margins


@dataclass(frozen=True)
class ManyClasses:
    """-log softmax(margins)[y], with y (Q, N) whole numbers from 0 to C - 1 and weights (Q, N)."""

    y: torch.Tensor
    weights: torch.Tensor

    def of(self, chosen: torch.Tensor) -> ManyClasses:
        """See `Loss`."""
        return ManyClasses(self.y[chosen], self.weights[chosen])

    def values(self, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        loss = margins.logsumexp(dim=1) - margins.gather(1, self.y[:, None])[:, 0]
        return (self.weights * loss).sum(dim=1)

    def odds(self, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        return margins.softmax(dim=1)

    def slopes(self, odds: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        ones = torch.ones_like(self.weights)[:, None]
        return odds.scatter_add(1, self.y[:, None], -ones) * self.weights[:, None]

    def state(self, odds: torch.Tensor) -> State:
        """See `Loss`."""
        weighted = self.weights[:, None] * odds
        return weighted * (1 - odds), weighted, odds

    @staticmethod
    def bend(state: State, margins: torch.Tensor) -> torch.Tensor:
        """See `Loss`."""
        _, weighted, odds = state
        return weighted * (margins - (odds * margins).sum(dim=1, keepdim=True))


@dataclass(frozen=True)
class Products:
    """Products of Q problems with the features that they share.

    Each has `n` vectors of P + 1 values, end to end.
    """

    features: Features
    n: int

    def margins(self, u: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """(Q, n, N) from (Q, n (P + 1)) and the labelling of each problem, (Q,)."""
        flat = self.features.margins(u.reshape(len(u) * self.n, -1), self._of(labelling))
        return flat.reshape(len(u), self.n, -1)

    def gradients(self, slopes: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """(Q, n (P + 1)) from (Q, n, N)."""
        return self.features.gradients(slopes.flatten(0, 1), self._of(labelling)).reshape(
            len(slopes), -1
        )

    def precondition(
        self, residual: torch.Tensor, ratio: torch.Tensor, curvature: torch.Tensor
    ) -> torch.Tensor:
        """About the inverse Hessian on (Q, n (P + 1)), up to a factor a problem.

        `ratio` and `curvature` are (Q, n).
        """
        flat = self.features.precondition(
            residual.reshape(len(residual) * self.n, -1), ratio.flatten(), self.n > 1
        )
        if self.n > 1:  # with one vector a problem a factor changes no direction
            flat = flat / curvature.reshape(-1, 1)
        return flat.reshape(len(residual), -1)

    def _of(self, labelling: torch.Tensor) -> torch.Tensor:
        return labelling if self.n == 1 else labelling.repeat_interleave(self.n)


def minimise(
    products: Products,
    labelling: torch.Tensor,
    loss: Loss,
    penalties: torch.Tensor,
    u: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Minimise all problems from u (Q, n (P + 1)), in place.

    Args:
        products: with the features.
        labelling: (Q,) ascending.
        loss: of the problems.
        penalties: of u, half of which times its square is added to the loss.
        u: where to begin.
        tolerance: largest component of the gradient at the solution.

    Raises:
        NotConverged: after 100 Newton steps.
    """
    margins = products.margins(u, labelling)
    values = loss.values(margins) + _penalty(u, penalties)
    slack = 1e-15 if products.features.x.dtype == torch.float64 else 1e-7
    # problems under way; gradient of those that got stuck
    at = torch.arange(len(u), device=u.device)
    worst = 0.0
    for _ in range(MAX_NEWTON_STEPS):
        odds = loss.odds(margins[at])
        loss_at = loss.of(at)
        gradient = products.gradients(loss_at.slopes(odds), labelling[at]) + penalties[at] * u[at]
        sizes = gradient.abs().amax(dim=1)
        going = ~(sizes <= tolerance)
        if not going.any():
            break
        at = at[going]
        gradient = gradient[going]
        loss_at = loss_at.of(going)
        penalties_at = penalties[at]
        value = values[at]
        of = labelling[at]
        step = _conjugate_gradients(
            products,
            of,
            loss=loss_at,
            odds=odds[going],
            penalties=penalties_at,
            gradient=gradient,
            tolerance=tolerance,
        )
        slope = (gradient * step).sum(dim=1)
        old = u[at]
        old_margins = margins[at]
        step_margins = products.margins(step, of)
        length = torch.ones_like(slope)[:, None]
        if products.n > 1:
            # further out a softmax is flat: a class that a step has taken there comes back slowly,
            # or, in float32, never
            moved = step_margins.abs().amax(dim=(1, 2))
            length = (LONGEST / moved).clamp(max=1)[:, None].to(length)
        for _ in range(40):
            new = old + length * step
            new_margins = old_margins + length[..., None] * step_margins
            reached = loss_at.values(new_margins) + _penalty(new, penalties_at)
            short = ~(reached <= value + 1e-4 * length[:, 0] * slope + slack * value.abs())
            if not short.any():
                break
            length[short] /= 2
        else:
            worst = max(worst, float(sizes[going][short].nan_to_num(torch.inf).max()))
            at = at[~short]
            new = new[~short]
            new_margins = new_margins[~short]
            reached = reached[~short]
        u[at] = new
        margins[at] = new_margins
        values[at] = reached
        if not len(at):
            break
    else:
        worst = max(worst, float(sizes.nan_to_num(torch.inf).max()))
    if worst > 1e3 * tolerance:
        raise NotConverged(
            "logistic regression stopped at a gradient of "
            f"{worst:.1e}. Are the features standardised?"
        )
    return u


def _penalty(u: torch.Tensor, penalties: torch.Tensor) -> torch.Tensor:
    return 0.5 * (penalties * u.square()).sum(dim=1)


def _conjugate_gradients(
    products: Products,
    labelling: torch.Tensor,
    loss: Loss,
    odds: torch.Tensor,
    penalties: torch.Tensor,
    gradient: torch.Tensor,
    tolerance: float,
) -> torch.Tensor:
    """Solve Hessian @ step = -gradient, the more exactly the nearer the solution.

    All tensors are (Q, n (P + 1)) or (Q,).

    With several vectors a problem, all of it is in the type of the products: steps are measured in
    float64 anyway.
    """
    dtype = gradient.dtype if products.n == 1 else products.features.x.dtype
    least = 1e-300 if dtype == torch.float64 else torch.finfo(dtype).tiny
    gradient = gradient.to(dtype)
    penalties = penalties.to(dtype)
    state = tuple(part.to(dtype) for part in loss.state(odds))
    step = torch.zeros_like(gradient)
    residual = -gradient
    curvature = state[0].sum(dim=2).clamp_min(least)
    ratio = penalties[:, :1] / curvature
    direction = products.precondition(residual, ratio, curvature)
    energy = (residual * direction).sum(dim=1, keepdim=True)
    norm = gradient.norm(dim=1)
    wanted = (norm * norm.sqrt().clamp(max=0.1)).clamp_min(tolerance / 2)
    going = torch.arange(len(step), device=step.device)
    for _ in range(MAX_GRADIENT_STEPS):
        bent = loss.bend(state, products.margins(direction, labelling))
        product = products.gradients(bent, labelling) + penalties * direction
        size = energy / (direction * product).sum(dim=1, keepdim=True).clamp_min(least)
        step[going] += size * direction
        residual = residual - size * product
        left = residual.norm(dim=1) > wanted
        # the tolerance is of the largest component, which the norm of so many is far above
        if products.n > 1:
            left &= residual.abs().amax(dim=1) > tolerance / 2
        if not left.any():
            break
        if not left.all():
            going = going[left]
            labelling = labelling[left]
            state = tuple(part[left] for part in state)
            penalties = penalties[left]
            wanted = wanted[left]
            residual, direction, energy = (v[left] for v in (residual, direction, energy))
            ratio = ratio[left]
            curvature = curvature[left]
        scaled = products.precondition(residual, ratio, curvature)
        new_energy = (residual * scaled).sum(dim=1, keepdim=True)
        direction = scaled + new_energy / energy.clamp_min(least) * direction
        energy = new_energy
    return step.double()
