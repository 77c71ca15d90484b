"""Erased directions are orthonormal, all that a probe reads, and gone from features."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.probes.erasure import erase, new_directions, random_directions


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(2, 12), st.integers(1, 4))
def test_directions_of_rounds_are_orthonormal_and_erase_what_weights_read(
    seed: int, n_classes: int, p: int, n_rounds: int
) -> None:
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(generator.normal(size=(30, p)))
    erased = torch.zeros(0, p, dtype=torch.float64)
    left = x.clone()
    for _ in range(n_rounds):
        rows = generator.normal(size=(n_classes, p)) * 10.0 ** generator.uniform(-6, 6)
        weight = torch.from_numpy(rows if n_classes > 1 else rows[0])
        more = new_directions(weight, erased)
        assert len(more) == min(max(1, n_classes - 1), p - len(erased))
        erased = torch.cat([erased, more])
        assert torch.allclose(
            erased @ erased.T, torch.eye(len(erased), dtype=torch.float64), atol=1e-12
        )
        erase(left, more)
        differences = weight - weight.mean(dim=0) if n_classes > 1 else weight[None]
        if len(more) == max(1, n_classes - 1):  # room for all that these weights read
            assert (left @ differences.T).abs().max() < 1e-9 * differences.abs().max()
    projection = torch.eye(p, dtype=torch.float64) - erased.T @ erased
    assert torch.allclose(projection @ projection, projection, atol=1e-12)
    assert torch.allclose(left, x @ projection, atol=1e-11)
    again = left.clone()
    erase(again, erased)
    assert torch.allclose(again, left, atol=1e-11)


def test_what_was_erased_has_no_new_directions() -> None:
    weight = torch.tensor([[1.0, 2.0, 0.0], [-1.0, 0.5, 0.0], [0.0, 0.0, 0.0]])
    erased = new_directions(weight, torch.zeros(0, 3))
    assert erased.shape == (2, 3)
    assert len(new_directions(weight, erased)) == 0
    assert len(new_directions(torch.zeros(3), torch.zeros(0, 3))) == 0
    # alike in every class, which decides nothing
    assert len(new_directions(torch.ones(4, 3), torch.zeros(0, 3))) == 0


def test_random_directions_are_orthonormal_seeded_and_nested() -> None:
    five, three = random_directions(5, 8, seed=2), random_directions(3, 8, seed=2)
    assert torch.allclose(five @ five.T, torch.eye(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(five[:3], three, atol=1e-12)
    assert not torch.allclose(three, random_directions(3, 8, seed=3))
