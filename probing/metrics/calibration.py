"""How well scores are calibrated: minCllr, the least of any monotone map, and reliability.

The pool adjacent violators give the map (Brümmer & du Preez, Computer Speech & Language 20, 2006,
section 4): Cllr less that of the mapped scores is what calibration loses, and minCllr what
discrimination lacks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import beta

from probing.metrics.costs import cllr
from probing.metrics.eer import operating_points

BINS = 10


def best_ratios(bonafide: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The log-likelihood ratios (N,) that cost least of all that rise with the scores.

    Infinite at clean ends.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> best_ratios([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0]).tolist()
    [inf, 0.0, 0.0, -inf]
    """
    from sklearn.isotonic import isotonic_regression  # slow to import

    points = operating_points(bonafide, scores)
    n_bonafide, n_spoof = points.counts()
    weight = n_bonafide / n_bonafide.sum() + n_spoof / n_spoof.sum()  # both classes alike
    share = isotonic_regression(
        n_bonafide / n_bonafide.sum() / weight, sample_weight=weight, y_min=0, y_max=1
    )
    share = np.clip(share, 0, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(share) - np.log1p(-share))[points.group]


def min_cllr(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """Least Cllr, in bits, of all maps that rise with the scores: their discrimination alone.

    Args and errors: as `best_ratios`.

    >>> round(min_cllr([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.3333
    """
    return cllr(bonafide, best_ratios(bonafide, scores))


@dataclass(frozen=True)
class Reliability:
    """Claimed probabilities of bona fide and found shares, in bins, both classes counting alike.

    claimed: (B,) mean probability that the ratios claim at even prior.
    found: (B,) share of bona fide.
    low, high: (B,) ends of the 95 % interval of that share.
    n: (B,) trials.
    """

    claimed: NDArray[np.float64]
    found: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]


def reliability(bonafide: ArrayLike, ratios: ArrayLike, bins: int = BINS) -> Reliability:
    """Compare probabilities at even prior with shares of bona fide.

    Bins without trials are left out.

    The interval is that of Jeffreys for the trials of a bin, as if each were independent.

    Args:
        bonafide: (N,) true for bona fide trials.
        ratios: (N,) natural log-likelihood ratios of bona fide against spoof.
        bins: of equal width, of the probability.

    Raises:
        ScoresError: lengths differ, a ratio is NaN, or a class is missing.

    >>> found = reliability([1, 1, 0, 0], [2.0, 2.0, -2.0, 2.0], bins=2)
    >>> found.claimed.round(2).tolist(), found.found.round(2).tolist(), found.n.tolist()
    ([0.12, 0.88], [0.0, 0.67], [1, 3])
    """
    points = operating_points(bonafide, ratios)
    is_bonafide = points.bonafide
    claimed = expit(points.distinct)[points.group]
    weight = np.where(is_bonafide, 0.5 / is_bonafide.sum(), 0.5 / (~is_bonafide).sum())
    place = np.minimum((claimed * bins).astype(int), bins - 1)
    n = np.bincount(place, minlength=bins)
    kept = n > 0
    total = np.bincount(place, weight, bins)[kept]
    n_bonafide = np.bincount(place, is_bonafide, bins)[kept]
    n = n[kept]
    ends = [beta.ppf(level, n_bonafide + 0.5, n - n_bonafide + 0.5) for level in (0.025, 0.975)]
    odds = (~is_bonafide).sum() / is_bonafide.sum()  # that a count of the bin has to be weighed by
    low, high = (end * odds / (end * odds + 1 - end) for end in ends)
    found = np.bincount(place, weight * is_bonafide, bins)[kept] / total
    return Reliability(
        np.bincount(place, weight * claimed, bins)[kept] / total, found, low=low, high=high, n=n
    )
