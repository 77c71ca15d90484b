"""RawBoost does what its equations say: gains and bands of the notches, share of touched samples,
SNR.
"""

import numpy as np
import pytest
from scipy.signal import firwin, freqz, lfilter

from probing.augmentation import Augmentation
from probing.augmentation.rawboost import (
    convolutive,
    filtered,
    impulsive,
    norm1,
    notch_filter,
    stationary,
)

DRAWS = 60


def clip(seed: int, n: int = 8000) -> np.ndarray:
    x = np.random.default_rng(seed).normal(0, 0.1, n) * np.hanning(n)
    return 0.9 * x / np.abs(x).max()


def test_a_notch_filter_is_five_band_stops_in_series() -> None:
    rng = np.random.default_rng(3)
    expected = np.ones(1)
    for _ in range(5):
        centre = rng.uniform(20, 8000)
        width = rng.uniform(100, 1000)
        taps = int(rng.uniform(10, 100))
        taps += taps % 2 == 0
        edges = [max(centre - width / 2, 1e-3), min(centre + width / 2, 8000 - 1e-3)]
        expected = np.convolve(firwin(taps, edges, window="hamming", fs=16000), expected)
    gain = rng.uniform(-20, -5)
    expected *= 10 ** (gain / 20) / np.abs(freqz(expected, 1, fs=16000)[1]).max()
    made = notch_filter(np.random.default_rng(3), (-20, -5))
    np.testing.assert_allclose(made, expected, atol=1e-12)
    assert 20 * np.log10(np.abs(freqz(made, 1)[1]).max()) == pytest.approx(gain)


def test_a_filter_gives_the_padded_output_from_half_its_length_on() -> None:
    x, b = clip(0, 500), notch_filter(np.random.default_rng(1))
    n = len(b) + 1
    padded = lfilter(b, 1, np.pad(x, (0, n)))
    np.testing.assert_allclose(filtered(x, b), padded[n // 2 : -n // 2], atol=1e-12)


def test_convolutive_noise_is_a_sum_of_filtered_powers_without_a_mean() -> None:
    x, rng = clip(1), np.random.default_rng(5)
    parts = [filtered(x, notch_filter(rng))]
    parts += [filtered(x**power, notch_filter(rng, (-20, -5))) for power in range(2, 6)]
    y = sum(parts) - np.mean(sum(parts))
    np.testing.assert_allclose(
        convolutive(x, np.random.default_rng(5)), y / max(1, np.abs(y).max()), atol=1e-12
    )


def test_convolutive_noise_has_notches_where_its_first_filter_has_them() -> None:
    x = 0.01 * np.random.default_rng(0).normal(0, 1, 1 << 17)  # higher powers vanish
    y = convolutive(x, np.random.default_rng(7))
    b = notch_filter(np.random.default_rng(7))
    bands = np.abs(np.fft.rfft(y)).reshape(-1)[:-1].reshape(128, -1)
    ratio = np.sqrt(
        (bands**2).mean(1) / (np.abs(np.fft.rfft(x))[:-1].reshape(128, -1) ** 2).mean(1)
    )
    response = np.sqrt((np.abs(freqz(b, 1, worN=1 << 14)[1]).reshape(128, -1) ** 2).mean(1))
    np.testing.assert_allclose(ratio, response, atol=0.03)
    assert response.min() < 0.3


def test_impulsive_noise_touches_at_most_a_tenth_of_the_samples_by_the_product_of_two_draws() -> (
    None
):
    x, shares, factors = np.full(8000, 0.1), [], []
    for seed in range(DRAWS):
        y = impulsive(x, np.random.default_rng(seed))
        touched = y != x
        shares.append(touched.mean())
        factors.append((y[touched] / 0.1 - 1) / 2)
    product = np.concatenate(factors)
    assert max(shares) <= 0.1
    assert np.mean(shares) == pytest.approx(0.05, abs=0.01)
    assert np.abs(product).max() <= 1
    assert np.mean(product**2) == pytest.approx(1 / 9, abs=0.01)  # E u1^2 E u2^2
    assert np.mean(np.abs(product)) == pytest.approx(1 / 4, abs=0.01)


def test_stationary_noise_has_an_snr_of_10_to_40_db() -> None:
    x, ratios = clip(2), []
    for seed in range(DRAWS):
        noise = stationary(x, np.random.default_rng(seed)) - x
        ratios.append(20 * np.log10(np.linalg.norm(x) / np.linalg.norm(noise)))
    assert 10 <= min(ratios) < 13
    assert 37 < max(ratios) <= 40
    assert np.mean(ratios) == pytest.approx(25, abs=3)


@pytest.mark.parametrize(
    ("algorithm", "steps"),
    [
        (0, []),
        (1, [convolutive]),
        (2, [impulsive]),
        (3, [stationary]),
        (4, [convolutive, impulsive, stationary]),
        (5, [convolutive, impulsive]),
        (6, [convolutive, stationary]),
        (7, [impulsive, stationary]),
    ],
)
def test_algorithms_are_series_of_the_three(algorithm: int, steps: list) -> None:
    x, rng = clip(3).astype(np.float32), np.random.default_rng(11)
    expected = x.astype(np.float64)
    for step in steps:
        expected = step(expected, rng)
    [transform] = Augmentation.of(f"rawboost:{algorithm}")
    np.testing.assert_allclose(transform.apply(x, np.random.default_rng(11)), expected, atol=1e-7)


def test_algorithm_8_adds_the_first_two() -> None:
    x, rng = clip(4), np.random.default_rng(12)
    expected = norm1(convolutive(x, rng) + impulsive(x, rng))
    [transform] = Augmentation.of("rawboost:8")
    made = transform.apply(x.astype(np.float32), np.random.default_rng(12))
    np.testing.assert_allclose(made, expected, atol=1e-5)
