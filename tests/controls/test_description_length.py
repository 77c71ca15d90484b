"""Code lengths of labels: long for noise, short for what is easily learnt, and those of their
definition.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from stored_states import store, table_of

from analysis.controls import description_length
from cache import Cache, ProbeError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Layer 0 holds nothing, layer 1 something, layer 2 tells the classes apart."""
    generator = np.random.default_rng(0)
    table = table_of(400)
    x = generator.normal(size=(3, 400, 2, 6))
    x[:, :, 0, 0] += np.array([0, 2, 12])[:, None] * (table["label"] == "spoof").to_numpy()
    return store(tmp_path_factory.mktemp("mdl") / "c", x, table)


def test_noise_is_not_compressed_and_separable_labels_are(cache: Cache) -> None:
    table = description_length(cache, where="split != 'none'")
    assert table.loc[0, "compression"] == pytest.approx(1, abs=0.05)
    assert 1.3 < table.loc[1, "compression"] < 3
    assert table.loc[2, "compression"] > 6  # 16 if all but the first portion cost nothing
    assert table["shuffled"].between(0.93, 1.05).all()
    assert table["frequencies"].between(0.93, 1.05).all()
    assert (table["low"] <= table["compression"]).all()
    assert (table["compression"] <= table["high"]).all()


def test_the_code_is_that_of_its_definition(cache: Cache) -> None:
    found = description_length(
        cache, [1], where="split != 'none'", seeds=[3], strengths=[1e-3, 0.1], deviation=False
    )
    assert found.attrs["portions"] == [25, 50, 100, 200, 400]
    x = cache.pooled([1])[0, :, 0].astype(np.float64)
    y = (cache.utterances["label"] == "bonafide").to_numpy()
    order = np.random.default_rng([3, 2]).permutation(400)
    x, y = x[order], y[order]
    codes = []
    for c in (1e-3, 0.1):
        code = 25.0
        for begin, end in ((25, 50), (50, 100), (100, 200), (200, 400)):
            scaler = StandardScaler().fit(x[:begin])
            model = LogisticRegression(C=c, class_weight="balanced", tol=1e-9, max_iter=1000)
            model.fit(scaler.transform(x[:begin]), y[:begin])
            odds = model.decision_function(scaler.transform(x[begin:end]))
            odds = odds + np.log((y[:begin].sum() + 0.5) / ((~y[:begin]).sum() + 0.5))
            p = 1 / (1 + np.exp(-odds))
            code -= np.log2(np.where(y[begin:end], p, 1 - p)).sum()
        codes.append(code)
    assert found.loc[1, "bits"] == pytest.approx(
        -np.log2(np.mean(2.0 ** -np.array(codes))), abs=0.01
    )


def test_classes_of_different_size_are_compressed_by_their_frequencies(tmp_path: Path) -> None:
    labels = ["bonafide" if i % 10 == 0 else "spoof" for i in range(400)]
    cache = store(
        tmp_path / "c",
        np.random.default_rng(0).normal(size=(1, 400, 2, 4)),
        table_of(400, label=labels),
    )
    table = description_length(cache, where="split != 'none'", first=50)
    entropy = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    assert table.loc[0, "frequencies"] == pytest.approx(400 / (50 + 350 * entropy), rel=0.1)
    assert table.loc[0, "compression"] == pytest.approx(table.loc[0, "frequencies"], rel=0.1)


def test_the_code_of_three_classes_is_that_of_its_definition(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    colours = [("red", "green", "blue")[i % 3] for i in range(300)]
    x = generator.normal(size=(1, 300, 2, 4))
    x[0, :, 0, 0] += 2 * np.array([name == "red" for name in colours])
    cache = store(tmp_path / "c", x, table_of(300, colour=colours))
    asked = {
        "where": "split != 'none'",
        "seeds": [3],
        "strengths": [0.1],
        "deviation": False,
        "first": 75,
    }
    found = description_length(cache, [0], target="colour", **asked)
    table = cache.utterances[["utterance_id", "colour"]]
    table.iloc[::-1].to_csv(tmp_path / "beside.csv", index=False)
    beside = description_length(
        cache, [0], target="colour", labels=tmp_path / "beside.csv", **asked
    )
    pd.testing.assert_frame_equal(found, beside)
    x = cache.pooled([0])[0, :, 0].astype(np.float64)
    order = np.random.default_rng([3, 2]).permutation(300)
    x, y = x[order], np.unique(table["colour"], return_inverse=True)[1][order]
    code = 75 * np.log2(3)
    for begin, end in ((75, 150), (150, 300)):
        scaler = StandardScaler().fit(x[:begin])
        model = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-9, max_iter=1000)
        model.fit(scaler.transform(x[:begin]), y[:begin])
        odds = model.decision_function(scaler.transform(x[begin:end])) + np.log(
            np.bincount(y[:begin]) + 0.5
        )
        code -= (log_softmax(odds, axis=1)[np.arange(end - begin), y[begin:end]] / np.log(2)).sum()
    assert found.loc[0, "bits"] == pytest.approx(code, abs=0.01)
    assert found.loc[0, "compression"] == pytest.approx(300 * np.log2(3) / code, abs=1e-3)


def test_shuffled_labels_compare_with_true_ones_that_say_nothing_on_small_sets(
    tmp_path: Path,
) -> None:
    n, apart = 40, []
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(2, n, 2, 16))
        table = description_length(
            store(tmp_path / f"{seed}", x, table_of(n)),
            where="split != 'none'",
            strengths=(1e-3, 0.1),
        )
        apart += (table["compression"] - table["shuffled"]).tolist()
        assert (
            table[["compression", "shuffled"]].sub(table["frequencies"], axis=0).abs() < 0.05
        ).all(axis=None)
    assert abs(np.mean(apart)) < 0.01


def test_memory_changes_nothing_and_seeds_do(cache: Cache) -> None:
    expected = description_length(cache)
    pd.testing.assert_frame_equal(expected, description_length(cache, memory_gb=1e-6))
    pd.testing.assert_frame_equal(expected, description_length(cache))
    assert not expected.equals(description_length(cache, seeds=(7,)))


def test_what_cannot_be_coded_is_refused(cache: Cache, tmp_path: Path) -> None:
    aged = store(
        tmp_path / "c", np.zeros((1, 60, 2, 2)), table_of(60, age=[f"{20 + i}" for i in range(60)])
    )
    few = store(
        tmp_path / "f",
        np.zeros((1, 20, 2, 2)),
        table_of(20, age=[f"{20 + i % 5}" for i in range(20)]),
    )
    for message, what in {
        "of one class": lambda: description_length(cache, where={"label": "spoof"}),
        "no two portions": lambda: description_length(cache, first=300),
        "expected some": lambda: description_length(cache, seeds=()),
        "most are 20 2, .* of 5 at least. Choose others with where, or another column$": (
            lambda: description_length(few, target="age")
        ),
        "is a number": lambda: description_length(aged, target="age"),
    }.items():
        with pytest.raises(ProbeError, match=message):
            what()
