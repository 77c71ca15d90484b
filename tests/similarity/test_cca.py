"""Layers against targets: held-out correlations find what is planted and nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import CCA
from stored_states import store, table_of

from analysis.similarity import cca_with, similarity_map, target_curves
from analysis.similarity.cca import held_out
from cache import Cache, ProbeError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """300 utterances x 3 layers x 10: layer 1 holds speaker and attack, layer 2 the measures, layer 0 nothing."""
    generator = np.random.default_rng(0)
    table = table_of(300)
    measures = generator.normal(size=(300, 4)) * [1, 10, 1000, 5] + [3, -20, 6000, -60]
    x = generator.normal(size=(3, 300, 2, 10))
    x[1, :, 0, :5] += 6 * pd.get_dummies(table["speaker"]).to_numpy()
    x[1, :, 0, 5:9] += 6 * pd.get_dummies(table["attack"]).to_numpy()
    x[2, :, 0, :4] += 5 * (measures - measures.mean(0)) / measures.std(0)
    return store(tmp_path_factory.mktemp("cca") / "c", 20 + x, table, measures=measures)


@pytest.mark.parametrize(("target", "layer"), [("speaker", 1), ("attack", 1), ("label", 1), ("trivial", 2), (2, 2)])
def test_the_layer_that_holds_a_target_is_found(cache: Cache, target: str | int, layer: int) -> None:
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
    moved = store(tmp_path / "m", -3 * cache.pooled().astype(np.float64) + 7, cache.utterances[list(table_of(1))])
    again = cca_with(moved, "speaker")
    assert np.allclose(expected["value"], again["value"], atol=1e-4)


def test_what_cannot_be_a_target_is_refused(cache: Cache, tmp_path: Path) -> None:
    alone = store(tmp_path / "a", np.random.default_rng(0).normal(size=(1, 60, 2, 3)), table_of(60, speaker=["x"] * 60))
    own = pd.DataFrame({"text": ["a"]}, index=["u"])
    for message, what in {
        "expected one of mel": lambda: cca_with(cache, "age"),
        "no layer 9": lambda: cca_with(cache, 9),
        "1 speakers have 10 or more": lambda: cca_with(alone, "speaker"),
        "without numbers": lambda: cca_with(cache, own),
        "does not say how its audio was read": lambda: cca_with(cache, "mel"),
        "expected 40 or more": lambda: cca_with(cache, "trivial", where=[True] * 30 + [False] * 270),
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
