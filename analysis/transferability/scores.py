"""Transferability scores from the moments of features and classes; higher promises a better probe.

All of them are functions of centred second moments, so features are read block by block and never held whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
RATE_EPSILON = 1e-4
COMPONENTS = 64  # of GBC
ITERATIONS = 200  # of LogME; about 11 are enough but where the evidence is flat
SMALLEST = 1e-300


@dataclass(frozen=True)
class Spectrum:
    """The features of n rows, about a centre, in the axes of their second moment F'F.

    n: rows. counts: (C,) rows of each class.
    values, axes: eigenvalues (P,) of F'F, ascending, and its eigenvectors (P, P).
    sums: (C, P) sums of the features of each class.
    fourth: sum over rows of the fourth power of the norm.
    """

    n: int
    counts: NDArray[np.int64]
    values: Matrix
    axes: Matrix
    sums: Matrix
    fourth: float


def log_evidence(values: Matrix, products: Matrix, square: float, n: int) -> float:
    """LogME: log marginal likelihood per row of a Bayesian linear regression, largest over both precisions.

    You et al., ICML 2021, algorithm 1, in the axes of F'F: y ~ N(Fw, 1/beta), w ~ N(0, 1/alpha).

    Args:
        values: (P,) eigenvalues of F'F.
        products: (P,) F'y in its eigenvectors.
        square: y'y.
        n: rows.
    """
    alpha, beta, last = 1.0, 1.0, -np.inf
    for _ in range(ITERATIONS):
        mean = beta * products / (alpha + beta * values)
        norm = float(mean @ mean)
        residual = max(float(square - 2 * mean @ products + values @ mean**2), 1e-12 * square)
        log_prior = 0.5 * (len(values) * np.log(alpha) - np.log(alpha + beta * values).sum())
        fit = 0.5 * (n * np.log(beta) - beta * residual - alpha * norm - n * np.log(2 * np.pi))
        evidence = float(log_prior + fit) / n
        if abs(evidence - last) < 1e-10:
            break
        last = evidence
        gamma = float((values / (values + alpha / beta)).sum())
        alpha, beta = gamma / max(norm, SMALLEST), (n - gamma) / residual
    return evidence


def logme(s: Spectrum, centred: bool = True) -> float:
    """Mean LogME over the one-vs-rest targets of the classes, centred as the features are, or as 0 and 1."""
    found = []
    for count, total in zip(s.counts, s.sums, strict=True):
        square = count * (1 - count / s.n) if centred else float(count)
        found.append(log_evidence(s.values.clip(0), total @ s.axes, square, s.n))
    return float(np.mean(found))


def shrinkage(s: Spectrum) -> tuple[float, float]:
    """The share of Ledoit and Wolf (2004) that a covariance is shrunk by, and the variance it is shrunk to."""
    width, trace = len(s.values), s.values.sum() / s.n
    level, square = trace / width, float(s.values @ s.values) / s.n**2
    apart = (square - 2 * level * trace + width * level**2) / width
    noise = min((s.fourth / s.n - square) / (width * s.n), apart)
    return (float(noise / apart) if apart > 0 and noise > 0 else 0.0), float(level)


def h_score(s: Spectrum) -> float:
    """H-score (Bao et al., ICIP 2019) with the shrunk covariance (Ibrahim et al., ECML 2022, equation 5).

    (1 - a) tr(S_a^-1 B), S_a the covariance shrunk by a, B that of the class means; features must be centred.
    """
    share, level = shrinkage(s)
    between = (s.sums @ s.axes) ** 2 / s.counts[:, None] / s.n
    return float((1 - share) * (between / ((1 - share) * s.values.clip(0) / s.n + share * level)).sum())


def coding_rate(second: Matrix, n: int) -> float:
    """1/2 log det(I + Z'Z / (n 1e-4)) of a second moment Z'Z (P, P), or of its eigenvalues (P,)."""
    scaled = second / (n * RATE_EPSILON)
    if scaled.ndim == 1:
        return float(0.5 * np.log1p(scaled.clip(0)).sum())
    scaled[np.diag_indices_from(scaled)] += 1
    return float(np.log(np.diag(np.linalg.cholesky(scaled))).sum())


def transrate(s: Spectrum, class_rates: list[float]) -> float:
    """TransRate (Huang et al., ICML 2022): coding rate of all rows less the mean of those of the classes.

    Each class is centred by its own mean: by the mean of all, as in the authors' code, two classes of one size whose
    means differ have the rate of all rows each, and the score is 0 however far they are apart.
    """
    return coding_rate(s.values, s.n) - float(np.mean(class_rates))


def gbc(means: Matrix, variances: Matrix) -> float:
    """Gaussian Bhattacharyya coefficient (Pandy et al., CVPR 2022): - sum over pairs of classes exp(-distance).

    Args:
        means: (C, K) of the classes, in the first principal components.
        variances: (C, K) of diagonal Gaussians.
    """
    variances = variances.clip(1e-12)
    distances = []
    for i, j in combinations(range(len(means)), 2):
        middle = (variances[i] + variances[j]) / 2
        apart = ((means[i] - means[j]) ** 2 / middle).sum() / 8
        distances.append(apart + 0.5 * np.log(middle / np.sqrt(variances[i] * variances[j])).sum())
    return float(-np.exp(-np.array(distances)).sum())
