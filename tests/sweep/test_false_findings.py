"""How often a depth is named that should not be, on scores drawn directly; see
benchmarks/false_findings.py.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from probing.metrics import draw, eer, eer_resamples
from probing.sweep.depth_finding import DepthFinding, find_depth

pytestmark = pytest.mark.long
SEEDS, FULL, MARGIN = 200, 3, 0.1
SPEAKERS, PER_SPEAKER = 40, 10
BONAFIDE = np.tile([True, False], SPEAKERS * PER_SPEAKER // 2)
SPEAKER = np.repeat(np.arange(SPEAKERS), PER_SPEAKER)
MOST = int(binom.ppf(0.95, SEEDS, 0.05))  # as many as 5 % may well give


def scores_at(rates: dict[int, float], seed: int) -> dict[int, NDArray[np.float64]]:
    """Scores of the true EER of each depth; a third of their variance is of the speaker and class,
    half is shared.
    """
    generator = np.random.default_rng(seed)

    def noise() -> NDArray[np.float64]:
        of_speaker = generator.normal(size=(SPEAKERS, 2))[SPEAKER, BONAFIDE.astype(int)]
        return (
            of_speaker / 3**0.5 + generator.normal(size=len(BONAFIDE)) * (2 / 3) ** 0.5
        ) / 2**0.5

    shared = noise()
    return {
        depth: shared + noise() - 2 * norm.ppf(rate) * BONAFIDE for depth, rate in rates.items()
    }


def found(rates: dict[int, float], seed: int) -> DepthFinding:
    scores = scores_at(rates, seed)
    resamples = draw(BONAFIDE, SPEAKER, n=200, seed=seed)
    values = {depth: eer(BONAFIDE, x) for depth, x in scores.items()}
    resampled = {depth: eer_resamples(BONAFIDE, x, resamples) for depth, x in scores.items()}
    return find_depth("b", "h", values, resampled, MARGIN, resamples)


def test_noise_is_called_chance_and_seldom_names_a_depth() -> None:
    findings = [found(dict.fromkeys(range(1, FULL + 1), 0.5), seed) for seed in range(SEEDS)]
    assert sum(finding.reason != "chance" for finding in findings) <= MOST
    assert sum(finding.depth is not None for finding in findings) <= MOST


def test_a_depth_at_the_margin_is_seldom_named_and_none_below_it() -> None:
    rates = {1: 0.2, 2: 0.2 * (1 + MARGIN), 3: 0.2}  # 1 is as good: the order must shield from it
    named = [found(rates, seed).depth for seed in range(SEEDS)]
    assert sum(depth is not None for depth in named) <= MOST


def test_a_depth_far_better_than_the_margin_is_named() -> None:
    named = [found({1: 0.4, 2: 0.12, 3: 0.2}, seed).depth for seed in range(50)]
    assert np.mean([depth == 2 for depth in named]) > 0.9
