"""Planning: what a sweep of a corpus can show about depth, before any work.

Corpora with the speakers and trials of the one at hand are drawn, in which two depths are equally
good. Their scores are normal; two thirds of the variance are of the speaker (or of the attack,
where attacks are drawn as well), and 95 % are common to both depths, as heads on the demo corpus
have it (0.67 to 0.75, and correlations of 0.93 and more). How far the two error rates come out
apart is then the standard error; the rest follows as in `probing.sweep.depth_finding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from probing.metrics import Resamples, draw, eer
from probing.metrics.clusters import Clusters, Levels
from probing.sweep.depth_finding import LEVEL, POWER, clusters_needed
from probing.sweep.margin import Margin

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
CORPORA = 200  # as many are drawn, fewer of a large corpus
MOST_VALUES = 8_000_000
OF_CLUSTER = 2 / 3
SHARED = 0.95


@dataclass(frozen=True)
class Plan:
    """What a corpus can show at several error rates.

    table: one row an EER: eer; half_width, of a 95 % interval; margin, the excess that is allowed;
        shown_from, the excess that is told from none in four corpora of five; power, the chance
        that a depth is named if all are equally good; needed, how many `unit` would make it four in
        five. Rates in per cent and points.
    unit: of what there are fewest in a class, and fewest: how many.
    drawn: what is drawn, with its numbers.
    margin: what is allowed.
    """

    table: pd.DataFrame
    unit: str
    fewest: int
    drawn: str
    margin: Margin

    @property
    def sentence(self) -> str:
        """The power in words."""
        enough = self.table[self.table["power"] >= 100 * POWER]
        lead = f"Intervals {self.drawn}. A margin of {self.margin.in_words()} "
        if enough.empty:
            return (
                lead + "is shown in four corpora of five at none of these error "
                "rates, however good a smaller depth is."
            )
        return (
            lead + "is shown in four corpora of five at an EER of "
            f"{', '.join(f'{x:g}' for x in enough['eer'])} %."
        )


def plan(
    bonafide: NDArray[np.bool_],
    clusters: Clusters,
    margin: float | str = 0.1,
    *,
    rates: Sequence[float] = RATES,
    seed: int = 0,
) -> Plan:
    """What trials with these clusters can show.

    Args:
        bonafide: (N,) true for bona fide trials of eval.
        clusters: what is drawn of them, see `probing.metrics.clusters.clusters_of`.
        margin: that a depth may be worse by: relative, as 0.1, or points of EER, as `2pt`.
        rates: error rates to assume, 0 to 1.
        seed: of the corpora drawn.
    """
    allowed = Margin.of(margin)
    drawn = draw(bonafide, clusters, n=1, seed=seed)
    generator = np.random.default_rng(seed)
    n = int(np.clip(MOST_VALUES // len(bonafide), 30, CORPORA))
    found = np.empty((n, len(rates), 2))
    for i in range(n):
        common = _noise(bonafide, drawn, generator)
        for j in range(2):
            own = _noise(bonafide, drawn, generator)
            scores = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
            for k, rate in enumerate(rates):
                found[i, k, j] = eer(bonafide, scores - 2 * norm.ppf(rate) * bonafide)
    rows = []
    for k, rate in enumerate(rates):
        one = found[:, k, 0]
        other = found[:, k, 1]
        at = allowed.allowed(rate)
        error = float(np.std(one - other - allowed.allowed(other), ddof=1))
        z = float(norm.ppf(1 - LEVEL))
        rows.append(
            {
                "eer": 100 * rate,
                "half_width": 100 * 1.96 * float(np.std(found[:, k], ddof=1)),
                "margin": 100 * at,
                "shown_from": 100 * (z + float(norm.ppf(POWER))) * error,
                "power": 100 * float(norm.cdf(at / error - z)) if error else 100.0 * (at > 0),
                "needed": clusters_needed(error, at, drawn.fewest),
            }
        )
    return Plan(
        pd.DataFrame(rows).astype({"needed": "Int64"}),
        drawn.scarcest,
        fewest=drawn.fewest,
        drawn=drawn.drawn,
        margin=allowed,
    )


def _noise(
    bonafide: NDArray[np.bool_], drawn: Resamples, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Scores of no class with variance 1, the trials of a cluster alike."""
    noise = np.empty(len(bonafide))
    for kind, levels in zip((bonafide, ~bonafide), drawn.levels, strict=True):
        noise[kind] = _of_class(levels, generator)
    return noise


def _of_class(levels: Levels, generator: np.random.Generator) -> NDArray[np.float64]:
    n = len(levels.cell)
    shares = [OF_CLUSTER / len(levels.sizes)] * len(levels.sizes)
    if max(levels.sizes) == n:  # single trials
        return generator.normal(size=n)
    noise = np.sqrt(1 - OF_CLUSTER) * generator.normal(size=n)
    for size, of_cells, share in zip(levels.sizes, levels.of_cells, shares, strict=True):
        noise += np.sqrt(share) * generator.normal(size=size)[of_cells[levels.cell]]
    return noise
