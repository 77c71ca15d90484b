"""Scores of a cache equal slow computations from the rows, and rise with what a layer holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from stored_states import store, table_of

from analysis.transferability import transfer_scores
from cache import Cache, ProbeError


def evidence(f: np.ndarray, y: np.ndarray) -> float:
    """The log density of y ~ N(0, FF'/a + I/b) per row, maximised over a and b numerically."""

    def lost(logs: np.ndarray) -> float:
        covariance = f @ f.T / np.exp(logs[0]) + np.eye(len(y)) / np.exp(logs[1])
        fit = y @ np.linalg.solve(covariance, y) + np.linalg.slogdet(covariance)[1]
        return float(fit / len(y) + np.log(2 * np.pi)) / 2

    return -minimize(
        lost, [2.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-10}
    ).fun


def centred_evidence(f: np.ndarray, y: np.ndarray) -> float:
    """That of rows and targets less their means, in the n - 1 dimensions that are left."""
    basis = null_space(np.ones((1, len(y))))
    return evidence(basis.T @ f, basis.T @ y)


def regularised_h(f: np.ndarray, y: np.ndarray) -> float:
    covariance, share = ledoit_wolf(f)
    f = f - f.mean(0)
    g = np.stack([f[y == label].mean(axis=0) for label in y])
    return float(np.trace(np.linalg.inv(covariance) @ ((1 - share) * g.T @ g / len(f))))


def coding_gain(f: np.ndarray, y: np.ndarray) -> float:
    def rate(z: np.ndarray) -> float:
        return 0.5 * np.linalg.slogdet(np.eye(z.shape[1]) + z.T @ z / (len(z) * 1e-4))[1]

    f = f - f.mean(0)
    labels, counts = np.unique(y, return_counts=True)
    rates = [rate(f[y == label] - f[y == label].mean(0)) for label in labels]
    return float(rate(f) - np.average(rates, weights=counts))


def overlap(f: np.ndarray, y: np.ndarray) -> float:
    z = PCA(min(64, *f.shape)).fit_transform(f)
    total = 0.0
    for i, a in enumerate(np.unique(y)):
        for b in np.unique(y)[i + 1 :]:
            one, other = z[y == a], z[y == b]
            middle = np.diag(one.var(0) + other.var(0)) / 2
            apart = one.mean(0) - other.mean(0)
            distance = apart @ np.linalg.inv(middle) @ apart / 8 + 0.5 * np.log(
                np.linalg.det(middle) / np.sqrt(np.prod(one.var(0)) * np.prod(other.var(0)))
            )
            total -= np.exp(-distance)
    return float(total)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Three layers of 4 that hold the label more and more."""
    generator = np.random.default_rng(0)
    table = table_of(180)
    x = generator.normal(size=(3, 180, 2, 4)) * [1, 3, 0.2, 10]
    x[:, :, 0, 1] += np.array([0, 3, 12])[:, None] * (table["label"] == "spoof").to_numpy()
    return store(tmp_path_factory.mktemp("scores") / "c", 5 + x, table)


@pytest.mark.parametrize("target", ["label", "attack"])
def test_scores_are_those_of_their_definitions(cache: Cache, target: str) -> None:
    found = transfer_scores(cache, target=target)
    # read in three passes
    pd.testing.assert_frame_equal(found, transfer_scores(cache, target=target, memory_gb=1e-6))
    for layer in cache.layers:
        x, table = cache.layer(layer, where={"split": "train"})
        f = x.reshape(len(x), -1).astype(np.float64)
        f = (f - f.mean(0)) / f.std(0)
        y = table[target].to_numpy()
        rest = [centred_evidence(f, (y == label).astype(float)) for label in np.unique(y)]
        assert found.loc[layer, "logme"] == pytest.approx(np.mean(rest), abs=1e-6)
        assert found.loc[layer, "h_score"] == pytest.approx(regularised_h(f, y), rel=1e-6)
        assert found.loc[layer, "transrate"] == pytest.approx(coding_gain(f, y), rel=1e-6)
        assert found.loc[layer, "gbc"] == pytest.approx(overlap(f, y), rel=1e-6)


def test_features_as_they_are_give_the_published_scores(cache: Cache) -> None:
    found = transfer_scores(cache, [1], standardize=False, deviation=False)
    x, table = cache.layer(1, where={"split": "train"})
    f, y = x[:, 0].astype(np.float64), table["label"].to_numpy()
    rest = [evidence(f, (y == label).astype(float)) for label in np.unique(y)]
    assert found.loc[1, "logme"] == pytest.approx(np.mean(rest), abs=1e-6)
    assert found.loc[1, "h_score"] == pytest.approx(regularised_h(f, y), rel=1e-6)
    assert found.loc[1, "transrate"] == pytest.approx(coding_gain(f, y), rel=1e-6)


def test_what_a_layer_holds_is_ranked_by_every_score(cache: Cache) -> None:
    found = transfer_scores(cache)
    for score in ("logme", "h_score", "transrate", "gbc"):
        assert found[score].is_monotonic_increasing, score


def test_fewer_rows_than_features_have_finite_scores(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 45, 2, 40))
    x[1, :, 1, 3] = 7  # a unit that does not vary
    x[1, :, 0, 0] += 4 * (table_of(45)["label"] == "spoof")
    found = transfer_scores(store(tmp_path / "c", x))
    assert np.isfinite(found).all().all()
    assert found["h_score"].is_monotonic_increasing
    # not in a basis of the rows
    by_columns = transfer_scores(Cache(tmp_path / "c"), memory_gb=1e-6)
    pd.testing.assert_frame_equal(found, by_columns, rtol=1e-6)
    table = store(tmp_path / "d", x, name="other")
    both = transfer_scores([Cache(tmp_path / "c"), table])
    assert list(both.index.names) == ["backbone", "layer"]
    pd.testing.assert_frame_equal(both.loc["stored"], found)
    twins = transfer_scores([Cache(tmp_path / "c"), Cache(tmp_path / "c")]).index.get_level_values(
        0
    )
    assert all("stored (" in name for name in twins)


def test_a_layer_that_is_the_same_everywhere_promises_nothing(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 60, 2, 3))
    x[0] = 4.0
    x[1, :, 0, 0] += 4 * (table_of(60)["label"] == "spoof")
    found = transfer_scores(store(tmp_path / "c", x))
    assert np.isfinite(found).all().all()
    assert found["h_score"][0] == 0
    assert found["logme"].is_monotonic_increasing


def test_some_scores_are_those_of_all(cache: Cache) -> None:
    some = transfer_scores(cache, scores=("gbc", "logme"))
    pd.testing.assert_frame_equal(some, transfer_scores(cache)[["gbc", "logme"]], rtol=1e-9)


def test_classes_of_a_table_beside_the_corpus_are_those_of_a_column(
    cache: Cache, tmp_path: Path
) -> None:
    table = cache.utterances[["utterance_id", "attack"]].rename(columns={"attack": "system"})
    table.iloc[::-1].to_parquet(tmp_path / "more.parquet")
    every = "split != 'none'"
    found = transfer_scores(
        cache, [1], every, target="system", labels=tmp_path / "more.parquet", scores=["h_score"]
    )
    known = table["system"] != "-"  # a mark of nothing, in a table as elsewhere
    attacks = {"attack": sorted(set(table["system"][known]))}
    expected = transfer_scores(cache, [1], attacks, target="attack", scores=["h_score"])
    pd.testing.assert_frame_equal(found, expected, check_exact=False)


def test_frames_are_rows_too(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frames = [generator.normal(size=(1, 6, 3)) for _ in range(30)]
    cache = store(tmp_path / "c", np.zeros((1, 30, 2, 3)), frames=frames)
    found = transfer_scores(cache, tier="frames", frames_per_utterance=6)
    train = [i for i in range(30) if i % 3 == 0]
    f = np.concatenate([frames[i][0] for i in train]).astype(np.float32).astype(np.float64)
    y = np.repeat(table_of(30)["label"].to_numpy()[train], 6)
    assert found.loc[0, "h_score"] == pytest.approx(
        regularised_h((f - f.mean(0)) / f.std(0), y), rel=1e-6
    )


def test_what_cannot_be_scored_is_refused(cache: Cache) -> None:
    for message, what in {
        "scores=leep: expected some of logme": lambda: transfer_scores(cache, scores=["leep"]),
        "no such column": lambda: transfer_scores(cache, target="age"),
        "1 classes of label": lambda: transfer_scores(cache, where={"label": "spoof"}),
        "no utterances for where": lambda: transfer_scores(cache, where={"split": "none"}),
    }.items():
        with pytest.raises(ProbeError, match=message):
            what()


def test_a_path_where_an_open_cache_is_expected_is_refused() -> None:
    with pytest.raises(ProbeError, match=r"'my\.cache': expected an open cache, as cache\.Cache"):
        transfer_scores("my.cache")  # type: ignore[arg-type]


def test_a_small_class_does_not_make_a_transrate_of_its_own(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = table_of(400).assign(label=np.where(np.arange(400) % 10 == 0, "bonafide", "spoof"))
    x = generator.normal(size=(2, 400, 2, 20))
    x[1, :, 0] += 2 * (table["label"] == "spoof").to_numpy()[:, None]
    found = transfer_scores(store(tmp_path / "c", x, table), where=None)
    gain = found["transrate"] - found["transrate_shuffled"]
    assert abs(gain[0]) < 0.4
    assert gain[1] > 0.8
