"""Transferability scores from the moments of features and classes; higher promises a better probe.

All of them are functions of centred second moments, so features are read block by block and never
held whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal, eigvalsh_tridiagonal, lapack, solveh_banded

Matrix = NDArray[np.float64]
RATE_EPSILON = 1e-4
COMPONENTS = 64  # of GBC
ITERATIONS = 200  # of LogME; about 11 are enough but where the evidence is flat
SMALLEST = 1e-300
BLOCK = 64  # columns that LAPACK takes at once


@dataclass(frozen=True)
class Spectrum:
    """The features of n rows, about a centre, in axes Q where their second moment is tridiagonal:
    F'F = Q T Q'.

    Eigenvalues and the solutions of (F'F + c)x = b cost next to nothing there, and finding Q is a
    fraction of the work of finding eigenvectors.

    n: rows.
    counts: (C,) rows of each class.
    width: of the features; where they are fewer rows than columns, P below it is the rank.
    values: (P,) eigenvalues of F'F, ascending.
    diagonal, below: (P,) and (P - 1,) of T.
    reflectors, factors: Householder form of Q, as LAPACK's sytrd gives it.
    sums: (C, P) sums of the features of each class, in the axes of Q.
    fourth: sum over rows of the fourth power of the norm.

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> s.values.tolist()
    [4.0]
    """

    n: int
    counts: NDArray[np.int64]
    width: int
    values: Matrix
    diagonal: Matrix
    below: Matrix
    reflectors: Matrix
    factors: Matrix
    sums: Matrix
    fourth: float

    @staticmethod
    def of(
        n: int, counts: NDArray[np.int64], width: int, second: Matrix, sums: Matrix, fourth: float
    ) -> Spectrum:
        """The spectrum from second moments and sums, in the same axes.

        `second` (P, P) is read in its lower half alone; `sums` (C, P) are those of the classes.
        """
        reflectors, diagonal, below, factors, _ = lapack.dsytrd(
            second, lower=1, lwork=BLOCK * len(second)
        )
        values = eigvalsh_tridiagonal(diagonal, below) if len(diagonal) > 1 else diagonal
        turned = _turned(reflectors, factors, sums.T, "T").T
        return Spectrum(
            n,
            counts,
            width=width,
            values=values.clip(0),
            diagonal=diagonal,
            below=below,
            reflectors=reflectors,
            factors=factors,
            sums=turned,
            fourth=fourth,
        )

    def solve(self, ridge: float, right: Matrix) -> Matrix:
        """(T + ridge)^-1 applied to (P, ...); a ridge below the rounding of T is that rounding."""
        # T + ridge stays invertible
        ridge = max(ridge, 1e-14 * len(self.values) * float(self.values[-1]), SMALLEST)
        if len(self.diagonal) == 1:
            return np.asarray(right / (self.diagonal + ridge))
        bands = np.stack([self.diagonal + ridge, np.append(self.below, 0.0)])
        return np.asarray(solveh_banded(bands, right, lower=True, check_finite=False))

    def components(self, k: int) -> Matrix:
        """(P, K) eigenvectors of the k largest eigenvalues, without those that are zero."""
        first = max(len(self.values) - k, 0)
        first += int((self.values[first:] <= 1e-10 * self.values[-1]).sum())
        last = len(self.values) - 1
        if first > last or len(self.diagonal) == 1:
            return (
                np.ones((len(self.values), 1)) if first <= last else np.zeros((len(self.values), 0))
            )
        found = eigh_tridiagonal(self.diagonal, self.below, select="i", select_range=(first, last))[
            1
        ]
        return _turned(self.reflectors, self.factors, found, "N")


def _turned(reflectors: Matrix, factors: Matrix, vectors: Matrix, trans: str) -> Matrix:
    """Q ("N") or its transpose ("T") applied to vectors (P, K); the first axis is one of Q's."""
    turned = np.array(vectors, np.float64, order="F")
    if len(turned) > 1:
        turned[1:] = lapack.dormqr(
            "L", trans, reflectors[1:, :-1], factors, turned[1:], BLOCK * turned.shape[1]
        )[0]
    return turned


def log_evidence(s: Spectrum, products: Matrix, square: float, n: int) -> float:
    """LogME: log evidence per row of a Bayesian regression, largest over both precisions.

    You et al., ICML 2021, algorithm 1: y ~ N(Fw, 1/beta), w ~ N(0, 1/alpha). With a = alpha / beta
    the mean of w is m = (F'F + a)^-1 F'y, and since F'F m = F'y - a m, the residual is y'y - m'F'y
    - a m'm.

    Args:
        s: of F.
        products: (P,) F'y in its axes.
        square: y'y.
        n: rows, or dimensions that y is known in.

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> log_evidence(s, s.sums[1], 4.0, 4) < 0
    True
    """
    values = s.values
    alpha = 1.0
    beta = 1.0
    last = -np.inf
    for _ in range(ITERATIONS):
        ratio = alpha / beta
        mean = s.solve(ratio, products)
        norm = float(mean @ mean)
        residual = max(float(square - mean @ products - ratio * norm), 1e-12 * square)
        log_prior = 0.5 * (len(values) * np.log(alpha) - np.log(alpha + beta * values).sum())
        fit = 0.5 * (n * np.log(beta) - beta * residual - alpha * norm - n * np.log(2 * np.pi))
        evidence = float(log_prior + fit) / n
        if abs(evidence - last) < 1e-10:
            break
        last = evidence
        gamma = float((values / (values + ratio)).sum())
        alpha = max(gamma, SMALLEST) / max(norm, SMALLEST)
        beta = max(n - gamma, SMALLEST) / residual
    return evidence


def logme(s: Spectrum, centred: bool = True) -> float:
    """Mean LogME over the one-vs-rest targets of the classes, centred as the features are, or as 0
    and 1.

    Centred rows are known in n - 1 dimensions: with n, fewer rows than columns would have evidence
    without bound.

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> logme(s) > 0
    True
    """
    found = []
    for count, total in zip(s.counts, s.sums, strict=True):
        square = count * (1 - count / s.n) if centred else float(count)
        found.append(log_evidence(s, total, square, s.n - 1 if centred else s.n))
        if centred and len(s.counts) == 2:
            break  # the targets are each other's negative
    return float(np.mean(found))


def shrinkage(s: Spectrum) -> tuple[float, float]:
    """The share that Ledoit and Wolf (2004) shrink a covariance by, and to what variance.

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> len(shrinkage(s))
    2
    """
    width = s.width
    trace = s.values.sum() / s.n
    level = trace / width
    square = float(s.values @ s.values) / s.n**2
    apart = (square - 2 * level * trace + width * level**2) / width
    noise = min((s.fourth / s.n - square) / (width * s.n), apart)
    return (float(noise / apart) if apart > 0 and noise > 0 else 0.0), float(level)


def h_score(s: Spectrum) -> float:
    """H-score (Bao et al., ICIP 2019) with a shrunk covariance.

    (1 - a) tr(S_a^-1 B), S_a the covariance shrunk by a, B that of the class means; features must
    be centred (Ibrahim et al., ECML 2022, equation 5).

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> round(h_score(s), 2)
    1.0
    """
    share, level = shrinkage(s)
    shrunk = (
        s.solve(share * level * s.n / (1 - share), s.sums.T)
        if share < 1
        else np.zeros_like(s.sums.T)
    )
    return float((s.sums.T * shrunk / s.counts).sum())


def coding_rate(second: Matrix, n: int) -> float:
    """1/2 log det(I + Z'Z / (n 1e-4)) of a second moment Z'Z (P, P), its lower half, or of its
    eigenvalues (P,).

    >>> round(coding_rate(np.zeros((2, 2)), 10), 3)
    0.0
    """
    scaled = second / (n * RATE_EPSILON)
    if scaled.ndim == 1:
        return float(0.5 * np.log1p(scaled.clip(0)).sum())
    scaled[np.diag_indices_from(scaled)] += 1
    root, _ = lapack.dpotrf(np.asfortranarray(scaled), lower=1, clean=0, overwrite_a=1)
    return float(np.log(np.diag(root)).sum())


def transrate(s: Spectrum, class_rates: list[float]) -> float:
    """TransRate (Huang et al., ICML 2022): coding rate of all rows less the mean over classes.

    The mean is weighted by the share of each class, as in the authors' experiments: unweighted, a
    class of a tenth of the rows has so much smaller a rate that shuffled labels score as
    informative ones do.

    Each class is centred by its own mean: by the mean of all, as in the authors' code, two classes
    of one size whose means differ have the rate of all rows each, and the score is 0 however far
    they are apart.

    >>> second, sums = np.array([[4.0]]), np.array([[-2.0], [2.0]])
    >>> s = Spectrum.of(4, np.array([2, 2]), 1, second, sums, 4.0)
    >>> transrate(s, [0.0, 0.0]) > 0
    True
    """
    return coding_rate(s.values, s.n) - float(np.average(class_rates, weights=s.counts))


def gbc(means: Matrix, variances: Matrix) -> float:
    """Gaussian Bhattacharyya coefficient (Pandy et al., CVPR 2022): - sum over pairs of classes
    exp(-distance).

    Args:
        means: (C, K) of the classes, in the first principal components.
        variances: (C, K) of diagonal Gaussians.

    >>> round(gbc(np.array([[0.0], [2.0]]), np.ones((2, 1))), 3)
    -0.607
    """
    variances = variances.clip(1e-12)
    distances = []
    for i, j in combinations(range(len(means)), 2):
        middle = (variances[i] + variances[j]) / 2
        apart = ((means[i] - means[j]) ** 2 / middle).sum() / 8
        distances.append(apart + 0.5 * np.log(middle / np.sqrt(variances[i] * variances[j])).sum())
    return float(-np.exp(-np.array(distances)).sum())
