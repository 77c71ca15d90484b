"""Features as the solver of logistic regressions takes them."""

import torch

GRAM_ROWS_A_FEATURE = 4  # more rows do not make a better preconditioner
FINEST = {torch.float32: 5e-7, torch.float64: 1e-13}  # the gradient that rounding leaves


class Features:
    """Standardised features (N, P) of a layer, a column of ones, and what preconditions a fit."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x
        self._gram: torch.Tensor | None = None
        self._factors: dict[int, torch.Tensor] = {}
        self._inverses: dict[int, torch.Tensor] = {}

    def coordinates(self, weights: torch.Tensor) -> torch.Tensor:
        """What the problems are solved for, given weights of the features as they are, (Q, P)."""
        return weights

    def weights(self, coordinates: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """The other way."""
        return coordinates

    def margins(self, u: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """Log odds (Q, N) of weights and biases (Q, P + 1) of problems.

        `labelling` (Q,) is that of each problem, ascending.
        """
        return (u[:, :-1].to(self.x.dtype) @ self.x.T).to(u.dtype).add_(u[:, -1:])

    def gradients(self, slopes: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """Sums (Q, P + 1) over the rows, given the slope (Q, N) of each loss in its log odds."""
        sums = (slopes.to(self.x.dtype) @ self.x).to(slopes.dtype)
        return torch.cat([sums, slopes.sum(dim=1, keepdim=True)], dim=1)

    def precondition(
        self, residual: torch.Tensor, ratio: torch.Tensor, many: bool = False
    ) -> torch.Tensor:
        """About c times the inverse Hessian on (Q, P + 1), ratio (Q,) being penalty / c, taken to
        its power of ten.

        `many` problems are worth the inverse of a factor, with which a product takes half as long
        as with the factor.
        """
        out = residual.clone()
        # what keeps it exact
        least = (1e-6 if self.x.dtype == torch.float32 else 1e-12) * self.x.shape[1]
        powers = ratio.clamp_min(least).log10().ceil().int()
        for power in powers.unique().tolist():
            chosen = powers == power
            right = residual[chosen, :-1].to(self.x.dtype)
            if many:
                out[chosen, :-1] = (right @ self._inverse(power)).to(out.dtype)
            else:
                out[chosen, :-1] = torch.cholesky_solve(right.T, self._factor(power)).T.to(
                    out.dtype
                )
        return out

    def _inverse(self, power: int) -> torch.Tensor:
        """The inverse of what `_factor` is the factor of."""
        if power not in self._inverses:
            self._inverses[power] = torch.cholesky_inverse(self._factor(power))
        return self._inverses[power]

    def _factor(self, power: int) -> torch.Tensor:
        """The Cholesky factor of X'X / n + 10 ** power."""
        if power not in self._factors:
            if self._gram is None:
                some = self.x[:: max(1, len(self.x) // (GRAM_ROWS_A_FEATURE * self.x.shape[1]))]
                self._gram = lower_product(some.T, some) / len(some)
            matrix = self._gram.clone()
            matrix.diagonal().add_(10.0**power)
            self._factors[power] = torch.linalg.cholesky(matrix)
        return self._factors[power]


def lower_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A product (P, P) that is symmetric, of which only what is not above the diagonal is computed,
    block by block: a Cholesky factorisation reads no more of it.
    """
    n = left.shape[0]
    out = left.new_zeros(n, n)
    width = max(128, -(-n // 8))
    for first in range(0, n, width):
        out[first:, first : first + width] = left[first:] @ right[:, first : first + width]
    return out
