"""Layers against targets: held-out correlations find what is planted and nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import CCA
from stored_states import store, table_of

from analysis.similarity import cca_with, similarity_map, target_curves
from analysis.similarity.cca import Moments, held_out, held_out_released
from cache import Cache, ProbeError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """300 utterances x 3 layers x 10: layer 1 holds speaker and attack, layer 2 the measures, layer
    0 nothing.
    """
    generator = np.random.default_rng(0)
    table = table_of(300)
    measures = generator.normal(size=(300, 4)) * [1, 10, 1000, 5] + [3, -20, 6000, -60]
    x = generator.normal(size=(3, 300, 2, 10))
    x[1, :, 0, :5] += 6 * pd.get_dummies(table["speaker"]).to_numpy()
    x[1, :, 0, 5:9] += 6 * pd.get_dummies(table["attack"]).to_numpy()
    x[2, :, 0, :4] += 5 * (measures - measures.mean(0)) / measures.std(0)
    return store(tmp_path_factory.mktemp("cca") / "c", 20 + x, table, measures=measures)


@pytest.mark.parametrize(
    ("target", "layer"), [("speaker", 1), ("attack", 1), ("label", 1), ("trivial", 2), (2, 2)]
)
def test_the_layer_that_holds_a_target_is_found(
    cache: Cache, target: str | int, layer: int
) -> None:
    table = cca_with(cache, target)
    others = table["value"].drop(layer)
    assert table["value"][layer] > 0.85
    if target != 2:
        assert others.abs().max() < 0.25
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_unrelated_numbers_give_nothing_where_fitted_rows_would_give_much(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    wide = store(tmp_path / "w", generator.normal(size=(1, 120, 2, 60)))
    own = pd.DataFrame(generator.normal(size=(120, 3)), index=wide.utterances["utterance_id"])
    assert abs(cca_with(wide, own).loc[0, "value"]) < 0.2
    x = wide.pooled()[0, :, 0]
    a, b = CCA(1).fit_transform(x, own.to_numpy())
    assert np.corrcoef(a[:, 0], b[:, 0])[0, 1] > 0.7


def test_held_out_correlations_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(4000, 5))
    y = x @ generator.normal(size=(5, 2)) + 2 * generator.normal(size=(4000, 2))
    joined = np.concatenate([x, y], axis=1)
    fitted, measured = joined[:2000], joined[2000:]
    model = CCA(n_components=2, max_iter=5000, tol=1e-12).fit(fitted[:, :5], fitted[:, 5:])
    a, b = model.transform(measured[:, :5], measured[:, 5:])
    rho = np.array([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(2)])
    scaled = (measured[:, 5:] - measured[:, 5:].mean(0)) / fitted[:, 5:].std(0)
    b = b - b.mean(0)
    weight = np.abs((b / np.linalg.norm(b, axis=0)).T @ scaled).sum(axis=1)
    found = held_out(np.cov(fitted.T, bias=True), np.cov(measured.T, bias=True), 5, [1e-9])
    assert found[0] == pytest.approx((weight * rho).sum() / weight.sum(), abs=1e-5)


def test_memory_order_and_shift_change_nothing(cache: Cache, tmp_path: Path) -> None:
    expected = cca_with(cache, "speaker")
    pd.testing.assert_frame_equal(expected, cca_with(cache, "speaker", memory_gb=1e-4), rtol=1e-6)
    assert not expected.equals(cca_with(cache, "speaker", seed=1))
    moved = store(
        tmp_path / "m",
        -3 * cache.pooled().astype(np.float64) + 7,
        cache.utterances[list(table_of(1))],
    )
    again = cca_with(moved, "speaker")
    assert np.allclose(expected["value"], again["value"], atol=1e-4)


def test_what_cannot_be_a_target_is_refused(cache: Cache, tmp_path: Path) -> None:
    alone = store(
        tmp_path / "a",
        np.random.default_rng(0).normal(size=(1, 60, 2, 3)),
        table_of(60, speaker=["x"] * 60),
    )
    own = pd.DataFrame({"text": ["a"]}, index=["u"])
    twice = pd.DataFrame({"f0": [1.0, 2.0]}, index=["u", "u"])
    for message, what in {
        "expected one of mel": lambda: cca_with(cache, "age"),
        "no layer 9": lambda: cca_with(cache, 9),
        "1 speakers have 10 or more": lambda: cca_with(alone, "speaker"),
        "without numbers": lambda: cca_with(cache, own),
        "target: u is there twice": lambda: cca_with(cache, twice),
        "tier=word: expected pooled or frames": lambda: cca_with(cache, "label", tier="word"),
        "does not say how its audio was read": lambda: cca_with(cache, "mel"),
        "expected 40 or more": lambda: cca_with(
            cache, "trivial", where=[True] * 30 + [False] * 270
        ),
        "splits=2": lambda: cca_with(cache, "label", splits=2),
    }.items():
        with pytest.raises(ProbeError, match=message):
            what()


def test_pictures_show_the_tables(cache: Cache) -> None:
    tables = {name: cca_with(cache, name) for name in ("label", "trivial")}
    ax = target_curves(tables)
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert np.allclose(drawn["trivial"], tables["trivial"]["value"])
    ax.figure.canvas.draw()
    table = pd.DataFrame([[1.0, 0.5], [0.25, 1.0]], index=[0, 3], columns=[0, 3])
    ax = similarity_map(table)
    assert np.allclose(ax.collections[0].get_array(), table)
    ax.figure.canvas.draw()


def moments_of(rows: np.ndarray, shift: np.ndarray) -> Moments:
    apart = rows - shift
    return Moments(len(rows), apart.sum(0), apart.T @ apart, shift)


def inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.linalg.pinv(matrix))
    return (vectors * np.sqrt(values)) @ vectors.T


def released_score(fitted: np.ndarray, measured: np.ndarray, width: int, epsilon: float) -> float:
    """The convention of the released code, on rows instead of moments: directions made orthogonal
    row by row.
    """
    own = [np.cov(fitted[:, :width].T), np.cov(fitted[:, width:].T)]
    largest = [np.abs(c).max() for c in own]
    roots = [
        inverse_root(c / m + epsilon * np.eye(len(c))) for c, m in zip(own, largest, strict=True)
    ]
    cross = np.cov(fitted.T)[:width, width:] / np.sqrt(largest[0] * largest[1])
    u, _, v = np.linalg.svd(roots[0] @ cross @ roots[1], full_matrices=False)
    views, directions = (measured[:, :width], measured[:, width:]), (u.T @ roots[0], v @ roots[1])
    a, b = (d @ (x - x.mean(0)).T for d, x in zip(directions, views, strict=True))
    rho = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
    x, projected = (views[0], a) if width < measured.shape[1] - width else (views[1], b)
    x = x[:, : len(rho)]
    q, _ = np.linalg.qr((projected + x.mean(0)[:, None]).T)
    weight = np.abs(q.T @ x).sum(1)
    return float(weight @ rho / weight.sum())


@pytest.mark.parametrize("width", [3, 5, 8])
def test_the_released_convention_is_that_of_its_rows(width: int) -> None:
    generator = np.random.default_rng(width)
    x = generator.normal(size=(800, width)) * generator.uniform(0.5, 5, width) + generator.normal(
        size=width
    )
    y = x @ generator.normal(size=(width, 5)) + 4 * generator.normal(size=(800, 5)) + 2
    joined = np.concatenate([x, y], axis=1)
    fitted, measured = joined[:500], joined[500:]
    shift = joined[7]
    epsilons = (1e-8, 1e-3)
    found = held_out_released(
        moments_of(fitted, shift), moments_of(measured, shift), width, epsilons
    )
    assert found == pytest.approx(
        [released_score(fitted, measured, width, e) for e in epsilons], rel=1e-6
    )
    moved = [rows + 50.0 for rows in (fitted, measured)]
    offset = held_out_released(*(moments_of(rows, shift) for rows in moved), width, epsilons)
    assert np.abs(offset - found).max() > 1e-3  # a constant changes it, as it does theirs


def test_the_convention_is_stated_and_chosen(cache: Cache) -> None:
    ours, theirs = cca_with(cache, "speaker"), cca_with(cache, "speaker", convention="released")
    assert "variance 1" in ours.attrs["convention"]
    assert "Pasad" in theirs.attrs["convention"]
    assert theirs["value"].idxmax() == 1
    assert (theirs["epsilon"] <= 1e-5).all()
    with pytest.raises(ProbeError, match="expected one of centred, released"):
        cca_with(cache, "speaker", convention="pasad")
