"""Detection costs of ASVspoof 5 track 1, and accuracy.

The costs are those of Wang et al., ASVspoof 5 evaluation plan, 2024, section 4. minDCF and actDCF
are normalised by the better of accepting everything and rejecting everything. actDCF and Cllr read
scores as natural log-likelihood ratios of bona fide against spoof.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from probing.metrics.eer import checked
from probing.metrics.roc import Roc, roc


@dataclass(frozen=True)
class Costs:
    """What errors cost; the values of ASVspoof 5.

    p_spoof: prior probability of a spoof.
    miss: cost of rejecting bona fide.
    false_alarm: cost of accepting a spoof.

    >>> round(Costs().threshold, 6)
    -0.641854
    """

    p_spoof: float = 0.05
    miss: float = 1.0
    false_alarm: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.p_spoof < 1 or self.miss <= 0 or self.false_alarm <= 0:
            raise ValueError(f"{self}: expected a prior between 0 and 1 and costs above 0")

    @property
    def threshold(self) -> float:
        """The log-likelihood ratio from which accepting costs less (Bayes): -0.641854 for ASVspoof
        5.
        """
        return float(-np.log(self.miss * (1 - self.p_spoof) / (self.false_alarm * self.p_spoof)))

    def of(self, miss: ArrayLike, false_alarm: ArrayLike) -> np.ndarray:
        """Normalised cost of error rates."""
        weight_miss = self.miss * (1 - self.p_spoof)
        weight_false_alarm = self.false_alarm * self.p_spoof
        cost = weight_miss * np.asarray(miss) + weight_false_alarm * np.asarray(false_alarm)
        return cost / min(weight_miss, weight_false_alarm)


ASVSPOOF5 = Costs()


def min_dcf(
    bonafide: ArrayLike,
    scores: ArrayLike,
    costs: Costs = ASVSPOOF5,
    *,
    official: bool = False,
    curve: Roc | None = None,
) -> float:
    """Least normalised detection cost over all thresholds, 0 to 1.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.
        costs: priors and costs.
        official: read ties as the official code does; see `probing.metrics.roc`.
        curve: the curve of these scores where it is already there.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(min_dcf([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.3333
    """
    curve = curve or roc(bonafide, scores, official=official)
    return float(costs.of(curve.miss, curve.false_alarm).min())


def act_dcf(bonafide: ArrayLike, scores: ArrayLike, costs: Costs = ASVSPOOF5) -> float:
    """Normalised detection cost at the Bayes threshold; scores are natural log-likelihood ratios.

    Args and errors: as `min_dcf`.

    >>> round(act_dcf([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.3333
    """
    is_bonafide, values = checked(bonafide, scores)
    accepted = values >= costs.threshold
    return float(costs.of(1 - accepted[is_bonafide].mean(), accepted[~is_bonafide].mean()))


def cllr(bonafide: ArrayLike, scores: ArrayLike) -> float:
    """Cost of log-likelihood ratios (Cllr), in bits.

    Brümmer & du Preez, Computer Speech & Language 20, 2006, equation 33. 0 is perfect, 1 is what
    scores of 0 everywhere cost; infinite scores on the wrong side cost infinity.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) natural log-likelihood ratios of bona fide against spoof.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(cllr([1, 0], [0.0, 0.0]), 4)
    1.0
    >>> round(cllr([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.6126
    """
    is_bonafide, values = checked(bonafide, scores)
    of_bonafide = np.logaddexp(0, -values[is_bonafide]).mean()
    return float((of_bonafide + np.logaddexp(0, values[~is_bonafide]).mean()) / (2 * np.log(2)))


def accuracy(bonafide: ArrayLike, scores: ArrayLike, threshold: float = 0.0) -> float:
    """Share of trials decided rightly, 0 to 1, when scores at or above a threshold are accepted.

    Says little where classes are of unequal size: of 90 % spoofs, rejecting everything has 0.9.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) countermeasure scores, higher for bona fide.
        threshold: from where a trial is accepted.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> round(accuracy([1, 1, 1, 0, 0, 0], [2.0, 1.0, -0.5, 0.0, -1.0, -2.0]), 4)
    0.6667
    """
    is_bonafide, values = checked(bonafide, scores)
    return float(((values >= threshold) == is_bonafide).mean())
