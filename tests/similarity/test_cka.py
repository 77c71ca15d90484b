"""CKA is what its definition says, and has the invariances it is chosen for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_states import store, table_of

from analysis.similarity import cka
from analysis.similarity.cka import hsic
from cache import ProbeError


def u_centred(gram: np.ndarray) -> np.ndarray:
    """The U-centred matrix of Székely and Rizzo (2014), entry by entry from the definition."""
    n = len(gram)
    gram = gram - np.diag(np.diag(gram))
    rows = gram.sum(axis=1)
    centred = (
        gram - rows[:, None] / (n - 2) - rows[None, :] / (n - 2) + gram.sum() / ((n - 1) * (n - 2))
    )
    return centred - np.diag(np.diag(centred))


def cka_by_gram(x: np.ndarray, y: np.ndarray) -> float:
    a, b = u_centred(x @ x.T), u_centred(y @ y.T)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def states(n: int = 60, n_layers: int = 4, dim: int = 7, seed: int = 0) -> np.ndarray:
    """Layers (L, N, 2, D) that drift away from each other, far from zero."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2, dim))
    layers = []
    for layer in range(n_layers):
        layers.append(50 + 10.0**layer * x)
        x = x + 0.7 * generator.normal(size=x.shape)
    return np.stack(layers)


def test_all_rows_at_once_are_the_definition(tmp_path: Path) -> None:
    pooled = states()
    cache = store(tmp_path / "c", pooled)
    x = pooled.astype(np.float32).astype(np.float64)
    for deviation in (False, True):
        table = cka(cache, batch_size=None, deviation=deviation)
        for i in range(4):
            for j in range(4):
                rows = [x[k].reshape(60, -1) if deviation else x[k, :, 0] for k in (i, j)]
                assert table.loc[i, j] == pytest.approx(cka_by_gram(*rows), abs=1e-9)


def test_minibatches_average_hsic_and_come_near_the_whole(tmp_path: Path) -> None:
    cache = store(tmp_path / "c", states(600))
    whole, parts = cka(cache, batch_size=None), cka(cache, batch_size=60)
    assert np.abs(whole - parts).to_numpy().max() < 0.03
    assert parts.attrs["how"] == "unbiased HSIC, 10 minibatches"
    assert np.abs(cka(cache, batch_size=60, seed=1) - parts).to_numpy().max() > 0
    order = np.random.default_rng(0).permutation(600)
    x = cache.pooled()[:, :, 0].astype(np.float64)
    total = np.zeros((4, 4))
    for batch in np.array_split(order, 10):
        centred = [u_centred(layer[batch] @ layer[batch].T) for layer in x]
        total += [[(a * b).sum() for b in centred] for a in centred]
    expected = total / np.sqrt(np.outer(np.diag(total), np.diag(total)))
    assert np.allclose(parts, expected, atol=1e-9)


def test_unrelated_layers_give_zero_with_fewer_utterances_than_units() -> None:
    generator = np.random.default_rng(0)
    values = []
    for _ in range(20):
        found = hsic(list(generator.normal(size=(2, 40, 80))))
        values.append(found[0, 1] / np.sqrt(found[0, 0] * found[1, 1]))
    assert abs(np.mean(values)) < 0.03  # the biased estimate would be about 0.66


def test_two_models_are_joined_by_utterance_id(tmp_path: Path) -> None:
    pooled = states(40)
    first = store(tmp_path / "one", pooled)
    table = table_of(40)
    order = np.random.default_rng(3).permutation(40)[:30]
    renamed = table.iloc[order].reset_index(drop=True)
    wider = np.concatenate([pooled, pooled[..., :2] ** 2], axis=-1)[1:3]
    two = store(tmp_path / "two", wider[:, order], renamed, name="other")
    found = cka(first, [0, 2], two, [1], batch_size=None)
    assert list(found.index) == [0, 2]
    assert list(found.columns) == [1]
    common = np.sort(order)
    x, y = pooled[2, common, 0].astype(np.float32), wider[1, common, 0].astype(np.float32)
    assert found.loc[2, 1] == pytest.approx(cka_by_gram(x.astype(float), y.astype(float)), abs=1e-6)
    assert found.attrs["sample"] == "30 utterances"
    assert "other" in found.attrs["columns"]


def test_frames_are_taken_at_even_distances_one_of_an_utterance_at_a_time(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    lengths = [5, 9, 2, 7, 6, 8, 9, 5, 7]
    frames = [generator.normal(size=(2, n, 4)).cumsum(axis=0) for n in lengths]
    pooled = np.stack([np.stack([f.mean(1), f.std(1)], axis=1) for f in frames], axis=1)
    cache = store(tmp_path / "c", pooled, frames=frames)
    found = cka(cache, tier="frames", frames_per_utterance=3)
    total = np.zeros((2, 2))
    for k in range(3):
        picked = [
            f[:, int((k + 0.5) * f.shape[1] / min(3, f.shape[1]))] for f in frames if f.shape[1] > k
        ]
        rows = np.stack(picked, axis=1).astype(np.float32).astype(np.float64)
        a = [u_centred(x @ x.T) for x in rows]
        n = rows.shape[1]
        total += np.array([[(p * q).sum() for q in a] for p in a]) / (n * (n - 3))
    assert found.loc[0, 1] == pytest.approx(
        total[0, 1] / np.sqrt(total[0, 0] * total[1, 1]), abs=1e-9
    )


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    cache = store(tmp_path / "c", states(40))
    frames = [np.zeros((1, 3 + i % 2 * 9, 2)) for i in range(40)]
    long = store(tmp_path / "l", np.zeros((1, 40, 2, 2)), frames=frames)
    short = store(tmp_path / "s", np.zeros((1, 40, 2, 2)), frames=[f[:, :3] for f in frames])
    foreign = store(
        tmp_path / "f", states(40), table_of(40).assign(utterance_id=[f"x{i}" for i in range(40)])
    )
    for message, what in {
        "no layer 9": lambda: cka(cache, [0, 9]),
        "no tier 'frames'": lambda: cka(cache, tier="frames"),
        "also in": lambda: cka(cache, other=foreign),
        "expected 4 or more": lambda: cka(cache, where=[True] * 3 + [False] * 37),
        "larger memory_gb": lambda: cka(cache, memory_gb=1e-6),
        "other frame rates": lambda: cka(long, other=short, tier="frames"),
        "has no deviation": lambda: cka(long, tier="frames", deviation=True),
    }.items():
        with pytest.raises(ProbeError, match=message):
            what()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), n=st.integers(5, 30))
def test_rotation_scale_shift_and_order_change_nothing(seed: int, scale: float, n: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(n, 5)), generator.normal(size=(n, 3))
    rotation = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    expected = hsic([x, y])
    turned = hsic([scale * x @ rotation + generator.normal(size=5), y])
    assert np.allclose(
        turned, expected * np.array([[scale**4, scale**2], [scale**2, 1]]), rtol=1e-6, atol=1e-9
    )
    order = generator.permutation(n)
    assert np.allclose(hsic([x[order], y[order]]), expected)
