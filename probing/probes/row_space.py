"""The span of the rows of features, in which solutions lie if rows are fewer than features.

With Z (N, P) and a penalty on |w|^2 the weights are w = Z'a. L is the Cholesky factor of Z Z',
which is that of a QR decomposition of Z' at a fraction of its cost. With u = L'a, Z w = L u and
|w| = |u|, so L (N, N) takes the place of Z.
"""

import torch

from probing.probes.features import Features, lower_product

# over the mean diagonal: what rounding leaves of Z Z'
RIDGE = {torch.float32: 1e-7, torch.float64: 1e-12}
BLOCK = 512  # features at once


class RowSpace(Features):
    """N < P features in the coordinates of their rows.

    Args:
        z: (N, P).
        scale: (K, P) what each of K labellings divides the features by; None nothing. Factors of K
            labellings are alike, so that the Gram matrix of undivided features preconditions them
            all.

    Attributes:
        z: as given. x: (N, N) factor of the features undivided.
    """

    def __init__(self, z: torch.Tensor, scale: torch.Tensor | None = None) -> None:
        product = _product(z)
        super().__init__(_factor(product, RIDGE[torch.float64]).to(z.dtype))
        self.z, self.scale = z, scale
        self.factors = self.x[None]
        if scale is not None:
            ridge = RIDGE[z.dtype]
            # small: its rounding is small beside the whole
            surplus = (scale.double() ** -2 - 1).to(z.dtype)
            self.factors = torch.stack(
                [
                    _factor(product + lower_product(z * of_one, z.T), ridge).to(z.dtype)
                    for of_one in surplus
                ]
            )

    def coordinates(self, weights: torch.Tensor) -> torch.Tensor:
        """See `Features`; of features undivided."""
        margins = (weights.to(self.z.dtype) @ self.z.T).double()
        return torch.linalg.solve_triangular(self.x.double(), margins.T, upper=False).T

    def weights(self, coordinates: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """See `Features`; weights that act on z, whatever divides it."""
        out = coordinates.new_empty(len(coordinates), self.z.shape[1])
        for rows, k in self._parts(labelling):
            factor = self.factors[k].double().T
            of_rows = torch.linalg.solve_triangular(factor, coordinates[rows].T, upper=True).T
            out[rows] = _times(of_rows, self.z)
            if self.scale is not None:
                out[rows] /= self.scale[k].double().square()
        return out

    def margins(self, u: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """See `Features`."""
        inner = u[:, :-1].to(self.x.dtype)
        parts = [inner[rows] @ self.factors[k].T for rows, k in self._parts(labelling)]
        return torch.cat(parts).to(u.dtype).add_(u[:, -1:])

    def gradients(self, slopes: torch.Tensor, labelling: torch.Tensor) -> torch.Tensor:
        """See `Features`."""
        inner = slopes.to(self.x.dtype)
        parts = [inner[rows] @ self.factors[k] for rows, k in self._parts(labelling)]
        return torch.cat(
            [torch.cat(parts).to(slopes.dtype), slopes.sum(dim=1, keepdim=True)], dim=1
        )

    def _parts(self, labelling: torch.Tensor) -> list[tuple[slice, int]]:
        """The problems of each labelling, and which factor is theirs."""
        if self.scale is None:
            return [(slice(0, len(labelling)), 0)]
        found, counts = labelling.unique_consecutive(return_counts=True)
        ends = counts.cumsum(0).tolist()
        return [
            (slice(first, last), k)
            for first, last, k in zip([0, *ends[:-1]], ends, found.tolist(), strict=True)
        ]


def _product(z: torch.Tensor) -> torch.Tensor:
    """Z Z' (N, N) in float64, not above the diagonal, some features at a time."""
    out = torch.zeros(len(z), len(z), dtype=torch.float64, device=z.device)
    for block in z.split(BLOCK, dim=1):
        part = block.double()
        out += lower_product(part, part.T)
    return out


def _times(left: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """A product (Q, P) in float64, some features at a time."""
    return torch.cat([left @ block.double() for block in z.split(BLOCK, dim=1)], dim=1)


def _factor(product: torch.Tensor, ridge: float) -> torch.Tensor:
    """The Cholesky factor of Z Z' and as much of a ridge as it needs to be positive.

    The product is overwritten.
    """
    diagonal = product.diagonal()
    step = diagonal.mean().clamp_min(1) * ridge
    for _ in range(10):
        diagonal += step
        factor, failed = torch.linalg.cholesky_ex(product)
        if not failed:
            break
        step = 10 * step
    return factor
