"""Intervals of error rates and of their differences, from the resamples of a bootstrap.

The plain percentile interval is too short at low error rates and with few clusters
(tests/benchmarks/README.md has the figures, tests/benchmarks/coverage.py makes them). So the
interval of an error rate is the wider, at either end, of two that fail in different places. One is
that of a proportion: the standard error over resamples says how many independent trials the trials
are worth; that number is lowered for the degrees of freedom that clusters leave (Korn & Graubard,
Survey Methodology 24, 1998), and Jeffreys' interval of so many trials is taken (Brown, Cai &
DasGupta, Statistical Science 16, 2001; for clustered trials Franco et al., JSSAM 7, 2019). It is
never empty. The other has the standard error over resamples on the probit scale, on which rates of
scores that are nearly normal spread evenly, and Student's t. A difference of two systems has the
interval of Student's t.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.bootstrap import eer_resamples
from probing.metrics.eer import eer
from probing.metrics.resamples import Resamples

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The figure and its interval in per cent.

        >>> str(Interval(0.125, 0.1, 0.151))
        '12.5 % [10.0, 15.1]'
        """
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same resamples (paired).

    difference: EER of the first less that of the second; below 0 where the first is better.
    first_better: share of resamples where the first has the lower EER, ties counted half.

    >>> Comparison(Interval(-0.01, -0.02, 0.01), first_better=0.8).difference.low
    -0.02
    """

    difference: Interval
    first_better: float


def rate_interval(
    value: float, resampled: NDArray[np.float64], resamples: Resamples, level: float = LEVEL
) -> Interval:
    """The interval of an error rate.

    Args:
        value: the rate, 0 to 1, of one system or the mean over several; NaN has no interval. If a
            class has one trial only, the rate may be anything.
        resampled: (R,) the same on resamples.
        resamples: whose they are.
        level: how often such an interval holds the true rate.

    >>> from probing.metrics import draw
    >>> bonafide = np.arange(100) < 50
    >>> scores = bonafide + np.sin(np.arange(100.0) ** 2)
    >>> drawn = draw(bonafide, n=500)
    >>> found = rate_interval(eer(bonafide, scores), eer_resamples(bonafide, scores, drawn), drawn)
    >>> f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
    '0.40 [0.31, 0.50]'
    """
    from scipy import special  # not stats, which takes a second to import

    if np.isnan(value):
        return Interval(value, np.nan, np.nan)
    if not resamples.degrees:
        return Interval(value, 0.0, 1.0)
    tail = (1 - level) / 2
    trials = resamples.most_trials
    if variance := standard_error(resampled, resamples) ** 2:
        trials = min(value * (1 - value) / variance, trials)
    trials *= (special.ndtri(tail) / special.stdtrit(resamples.degrees, tail)) ** 2
    errors = max(value * trials, 0.0)
    ends = np.array([tail, 1 - tail])
    proportion = special.betaincinv(errors + 0.5, trials - errors + 0.5, ends)
    error = standard_error(_on_probit(resampled, resamples), resamples)
    probit = special.ndtr(
        _on_probit(value, resamples) + special.stdtrit(resamples.degrees, ends) * error
    )
    low = min(proportion[0], probit[0]) if value > 0 else 0.0
    high = max(proportion[1], probit[1]) if value < 1 else 1.0
    return Interval(value, min(float(low), value), max(float(high), value))


def _on_probit(rates: ArrayLike, resamples: Resamples) -> NDArray[np.float64]:
    """Rates on the probit scale; none nearer to 0 or 1 than half a trial of the smaller class."""
    from scipy import special

    half_a_trial = 0.5 / min(len(level.cell) for level in resamples.levels if len(level.cell))
    return np.asarray(special.ndtri(np.clip(rates, half_a_trial, 1 - half_a_trial)))


def difference_interval(
    value: float, resampled: NDArray[np.float64], resamples: Resamples, level: float = LEVEL
) -> Interval:
    """The interval of a difference of error rates on the same resamples, within -1 and 1.

    Arguments as `rate_interval` has them.

    >>> from probing.metrics import draw
    >>> bonafide = np.arange(100) < 50
    >>> scores = bonafide + np.sin(np.arange(100.0) ** 2)
    >>> drawn = draw(bonafide, n=500)
    >>> one, other = (eer_resamples(bonafide, of, drawn) for of in (scores, -scores))
    >>> value = eer(bonafide, scores) - eer(bonafide, -scores)
    >>> difference_interval(value, one - other, drawn).high < 0
    True
    """
    from scipy import special

    if np.isnan(value) or not resamples.degrees:
        return Interval(value, -1.0 + 0 * value, 1.0 + 0 * value)
    half = float(special.stdtrit(resamples.degrees, (1 + level) / 2)) * standard_error(
        resampled, resamples
    )
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def figure_interval(
    value: float,
    resampled: NDArray[np.float64],
    resamples: Resamples,
    lowest: float = -np.inf,
    highest: float = np.inf,
    level: float = LEVEL,
) -> Interval:
    """The interval of a figure that is no error rate, by Student's t, cut to its range.

    Args:
        value: the figure; NaN has no interval.
        resampled: (R,) the same on resamples; those on which it is NaN, as R^2 of targets that are
            all alike, are left out.
        resamples: whose they are.
        lowest: what the figure can be.
        highest: likewise.
        level: how often such an interval holds the true figure.

    >>> from probing.metrics import draw
    >>> drawn = draw([True] * 50, n=500)
    >>> found = figure_interval(0.9, np.linspace(0.8, 1.0, 500), drawn, highest=1)
    >>> round(found.low, 2), found.high
    (0.78, 1)
    """
    from scipy import special

    known = resampled[np.isfinite(resampled)]
    if np.isnan(value) or not resamples.degrees or len(known) < 2:
        return Interval(value, float("nan"), float("nan"))
    half = float(special.stdtrit(resamples.degrees, (1 + level) / 2)) * standard_error(
        known, resamples
    )
    return Interval(value, max(value - half, lowest), min(value + half, highest))


def difference_p(value: float, resampled: NDArray[np.float64], resamples: Resamples) -> float:
    """Two-sided p of a difference of error rates: below .05 where its 95 % interval leaves 0 out.

    >>> from probing.metrics import draw
    >>> bonafide = np.arange(100) < 50
    >>> scores = bonafide + np.sin(np.arange(100.0) ** 2)
    >>> drawn = draw(bonafide, n=500)
    >>> one, other = (eer_resamples(bonafide, of, drawn) for of in (scores, -scores))
    >>> value = eer(bonafide, scores) - eer(bonafide, -scores)
    >>> difference_p(value, one - other, drawn) < 0.05, difference_p(0.0, one - other, drawn)
    (True, 1.0)
    """
    from scipy import special

    error = standard_error(resampled, resamples) if resamples.degrees else 0.0
    return float(2 * special.stdtr(resamples.degrees, -abs(value) / error)) if error else 1.0


def simultaneous_level(resampled: NDArray[np.float64], level: float = LEVEL) -> float:
    """The level that each of several intervals needs for all of them to hold at once at `level`.

    The largest deviation among the figures, each in its own standard errors, is looked up on the
    same resamples (max-t; Westfall & Young 1993), so that figures that go together, as those of
    layers do, cost less than by Bonferroni.

    Args:
        resampled: (L, R) L figures on the same resamples.
        level: of all together.

    >>> generator = np.random.default_rng(0)
    >>> round(simultaneous_level(generator.normal(size=(13, 2000))), 3)
    0.996
    """
    from scipy import special

    spread = resampled.std(axis=1, ddof=1)
    varies = spread > 0
    if not varies.any():
        return level
    away = (
        np.abs(resampled[varies] - resampled[varies].mean(axis=1, keepdims=True))
        / spread[varies, None]
    )
    critical = max(
        float(np.quantile(away.max(axis=0), level)), float(special.ndtri((1 + level) / 2))
    )
    return float(2 * special.ndtr(critical) - 1)


def standard_error(resampled: NDArray[np.float64], resamples: Resamples) -> float:
    """Standard error of a figure from its resamples (R,), corrected for the number of clusters.

    >>> from probing.metrics import draw
    >>> round(standard_error(np.array([0.1, 0.2, 0.3]), draw([True, False] * 10, n=3)), 2)
    0.11
    """
    return float(np.std(resampled, ddof=1) * resamples.correction)


def compare(
    bonafide: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    resamples: Resamples,
    level: float = LEVEL,
) -> Comparison:
    """Compare the equal error rates of two systems on the same resamples of the same trials.

    Args:
        bonafide: (N,) true for bona fide trials.
        first: (N,) scores of one system, higher for bona fide.
        second: (N,) scores of the other.
        resamples: of these trials.
        level: how often such an interval holds the true difference.

    Raises:
        ScoresError: lengths differ, a score is NaN, or a class is missing.

    >>> from probing.metrics import draw
    >>> bonafide = np.arange(100) < 50
    >>> scores = bonafide + np.sin(np.arange(100.0) ** 2)
    >>> found = compare(bonafide, scores, scores, draw(bonafide, n=500))
    >>> found.difference.value, found.first_better
    (0.0, 0.5)
    """
    difference = eer_resamples(bonafide, first, resamples) - eer_resamples(
        bonafide, second, resamples
    )
    interval = difference_interval(
        eer(bonafide, first) - eer(bonafide, second), difference, resamples, level
    )
    return Comparison(interval, float((difference < 0).mean() + (difference == 0).mean() / 2))
