"""The best head and depth is named as chosen on dev, whatever the head of full depth does."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from probing.metrics import draw
from probing.sweep.best_head import find_best
from probing.sweep.depth_finding import find_depth

R = 400
DRAWN = draw(np.arange(200) < 100, n=R)  # of 100 trials a class
Key = tuple[str, int]


def resampled(
    rates: dict[Key, float], spread: float, seed: int = 0
) -> dict[Key, NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    return {key: rate + spread * generator.normal(size=R) for key, rate in rates.items()}


def test_a_good_head_at_a_small_depth_is_named_where_full_depth_is_at_chance() -> None:
    dev = {
        ("mean+linear", 2): 0.4,
        ("mean+linear", 4): 0.45,
        ("sum+lstm", 2): 0.015,
        ("sum+lstm", 4): 0.47,
    }
    on_eval = {
        ("mean+linear", 2): 0.42,
        ("mean+linear", 4): 0.49,
        ("sum+lstm", 2): 0.02,
        ("sum+lstm", 4): 0.48,
    }
    best = find_best(dev, resampled(dev, 0.005), on_eval, resampled(on_eval, 0.005, 1), DRAWN)
    assert (best.head, best.depth, best.n, best.better_than_chance) == ("sum+lstm", 2, 4, True)
    full = {depth: on_eval["mean+linear", depth] for depth in (2, 4)}
    of_full = {
        depth: rate + 0.05 * np.random.default_rng(2).normal(size=R) for depth, rate in full.items()
    }
    found = replace(find_depth("b", "mean+linear", full, of_full, 0.1, DRAWN), best=best)
    assert found.reason == "chance"
    sentence = found.sentence()
    assert "mean+linear, is not shown to be better than chance" in sentence
    assert (
        "Lowest dev EER of 4 heads and depths: sum+lstm on layers 1..2, 1.5 %; eval EER 2.0 % ["
        in sentence
    )
    assert found.as_dict()["best"]["head"] == "sum+lstm"


def test_what_is_at_chance_everywhere_is_said_to_be() -> None:
    rates = {("h", depth): 0.48 for depth in (1, 2, 3)}
    best = find_best(rates, resampled(rates, 0.03), rates, resampled(rates, 0.03, 1), DRAWN)
    assert not best.better_than_chance
    assert best.depth == 1  # among equals the smallest
    assert best.sentence(("h", 3)).endswith("], not shown to be better than chance.")
    assert "eval EER" not in best.sentence(("h", 1))


@pytest.mark.parametrize("n", [1, 4, 30])
def test_the_price_of_choosing_is_what_the_lowest_of_many_gains_by_luck(n: int) -> None:
    """Dev figures that are truth plus noise, again and again: on average the lowest is that much
    below its truth.
    """
    generator, spread, prices, gains = np.random.default_rng(0), 0.02, [], []
    for _ in range(60):
        dev = {("h", depth): 0.3 + spread * generator.normal() for depth in range(n)}
        noise = {key: rate + spread * generator.normal(size=R) for key, rate in dev.items()}
        best = find_best(dev, noise, dev, noise, DRAWN)
        prices.append(best.price)
        gains.append(0.3 - best.dev)
    # with candidates that differ by luck only, resamples hold their luck already: the price is at
    # most the gain
    assert np.mean(prices) <= np.mean(gains) + 0.004
    assert np.mean(prices) >= 0.5 * np.mean(gains) - 0.004
    if n == 1:
        assert abs(np.mean(prices)) < 0.002
        assert best.sentence(("other", 1)) == ""
