"""PWCCA equals a computation from the rows themselves, and does not see invertible maps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA
from stored_states import store, table_of

from analysis.similarity import pwcca
from analysis.similarity.pwcca import projection_weighted, whitening
from cache import ProbeError


def by_rows(x: np.ndarray, y: np.ndarray) -> float:
    """PWCCA from orthonormal bases of the centred rows (Björck and Golub 1973)."""
    x, y = x - x.mean(0), y - y.mean(0)
    q, r = np.linalg.qr(x)[0], np.linalg.qr(y)[0]
    u, rho, _ = np.linalg.svd(q.T @ r, full_matrices=False)
    weight = np.abs((q @ u).T @ x).sum(axis=1)
    return float((weight * rho).sum() / weight.sum())


def related(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = generator.normal(size=(n, 6)) @ generator.normal(size=(6, 6))
    y = x[:, :4] @ generator.normal(size=(4, 5)) + generator.normal(size=(n, 5))
    return x, y


@pytest.mark.parametrize("memory_gb", [2.0, 2e-5])
def test_layers_of_a_cache_and_of_two(tmp_path: Path, memory_gb: float) -> None:
    generator = np.random.default_rng(0)
    pooled = 30 + generator.normal(size=(4, 90, 2, 6)).cumsum(axis=0) * np.array(
        [1, 5, 1, 1, 0.1, 20]
    )
    cache = store(tmp_path / "c", pooled)
    x = cache.pooled()[:, :, 0].astype(np.float64)
    found = pwcca(cache, memory_gb=memory_gb)
    expected = np.array([[by_rows(a, b) for b in x] for a in x])
    assert np.allclose(found, expected, atol=2e-6)
    assert not np.allclose(found, found.T, atol=1e-4)  # weighted by the layer of the row
    order = generator.permutation(90)[:80]
    other = store(
        tmp_path / "o",
        pooled[1:3, order, :, :4] ** 2,
        table_of(90).iloc[order].reset_index(drop=True),
    )
    found = pwcca(cache, [0, 3], other, memory_gb=memory_gb)
    y = other.pooled()[:, :, 0].astype(np.float64)
    common = cache.utterances["utterance_id"].isin(other.utterances["utterance_id"]).to_numpy()
    expected = np.array([[by_rows(x[i][common], b) for b in y] for i in (0, 3)])
    assert np.allclose(found, expected, atol=2e-6)


def test_both_directions_from_one_decomposition() -> None:
    generator = np.random.default_rng(1)
    x, y = related(200, generator)
    for a, b in ((x, y), (y, x)):
        sides = [whitening(z.mean(0), np.cov(z.T, bias=True)) for z in (a, b)]
        joint = (sides[0].apply(a).T @ sides[1].apply(b)).astype(np.float64) / 200
        there, back = projection_weighted(joint, *sides)
        assert there == pytest.approx(by_rows(a, b), abs=1e-5)
        assert back == pytest.approx(by_rows(b, a), abs=1e-5)


def test_the_correlations_are_those_of_scikit_learn() -> None:
    x, y = related(300, np.random.default_rng(2))
    sides = [whitening(z.mean(0), np.cov(z.T, bias=True)) for z in (x, y)]
    joint = sides[0].apply(x).T @ sides[1].apply(y) / 300
    variates = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    theirs = [abs(np.corrcoef(variates[0][:, k], variates[1][:, k])[0, 1]) for k in range(3)]
    assert np.allclose(np.linalg.svd(joint, compute_uv=False)[:3], theirs, atol=1e-4)


def test_a_share_of_the_variance_drops_small_directions() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(500, 4)) * [10, 5, 1, 0.01]
    covariance = np.cov(x.T, bias=True)
    assert whitening(x.mean(0), covariance).directions.shape == (4, 4)
    assert whitening(x.mean(0), covariance, 0.99).directions.shape == (4, 2)
    assert whitening(x.mean(0), covariance, 0.5).directions.shape == (4, 1)
    repeated = np.concatenate([x, x[:, :1] + x[:, 1:2]], axis=1)
    assert whitening(repeated.mean(0), np.cov(repeated.T, bias=True)).directions.shape == (5, 4)


def test_too_few_rows_and_empty_layers_are_refused(tmp_path: Path) -> None:
    cache = store(tmp_path / "c", np.random.default_rng(0).normal(size=(2, 20, 2, 12)))
    with pytest.raises(ProbeError, match="correlate perfectly"):
        pwcca(cache)
    assert pwcca(cache, variance=0.3).loc[0, 1] < 1
    flat = store(tmp_path / "f", np.ones((2, 20, 2, 3)))
    with pytest.raises(ProbeError, match="layer 0 is the same in all rows"):
        pwcca(flat)
    with pytest.raises(ProbeError, match="expected a share"):
        pwcca(cache, variance=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_invertible_maps_of_the_other_layer_change_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = related(80, generator)
    turn = np.linalg.qr(generator.normal(size=(5, 5)))[0] * generator.uniform(0.5, 2, 5)
    scores = []
    for z in (y, 3 + y @ turn):
        sides = [whitening(a.mean(0), np.cov(a.T, bias=True)) for a in (x, z)]
        scores.append(
            projection_weighted(sides[0].apply(x).T @ sides[1].apply(z) / 80.0, *sides)[0]
        )
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    assert 0 <= scores[0] <= 1 + 1e-6
