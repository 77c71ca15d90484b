"""The batched logistic regression against scikit-learn, problem by problem."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from probing.probes import NotConverged, Scaling, fit_logistic, fit_selections

STRENGTHS = (1e-3, 0.1, 10.0)


def problem(
    n_layers: int, n: int, p: int, seed: int, separable: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    targets = np.stack([generator.permutation(np.arange(n) < max(2, n // 3)) for _ in range(2)])
    x = generator.normal(size=(n_layers, n, p)) @ generator.normal(size=(p, p))
    x[:, :, 0] += (5 if separable else 0.5) * targets[0]
    x = torch.from_numpy(x)
    return Scaling.of(x).apply(x), torch.from_numpy(targets)


@settings(max_examples=12, deadline=None)
@given(st.integers(8, 60), st.integers(1, 40), st.integers(0, 999), st.booleans())
def test_every_layer_labelling_and_strength_is_scikit_learns_solution(
    n: int, p: int, seed: int, separable: bool
) -> None:
    x, targets = problem(2, n, p, seed, separable)
    solution = fit_logistic(x, targets, STRENGTHS)
    for layer in range(2):
        for k in range(2):
            for s, strength in enumerate(STRENGTHS):
                oracle = LogisticRegression(
                    C=strength, class_weight="balanced", tol=1e-9, max_iter=50_000
                )
                oracle.fit(x[layer].numpy(), targets[k].numpy())
                ours, theirs = solution.weight[layer, k, s].numpy(), oracle.coef_[0]
                assert np.abs(ours - theirs).max() <= 2e-4 * max(1e-2, np.abs(theirs).max())
                assert float(solution.bias[layer, k, s]) == pytest.approx(
                    oracle.intercept_[0], abs=1e-3
                )


def test_a_problem_does_not_depend_on_what_it_is_solved_with() -> None:
    x, targets = problem(3, 50, 20, 0, False)
    together = fit_logistic(x, targets, STRENGTHS)
    alone = fit_logistic(x[1:2], targets[1:], STRENGTHS[2:])
    assert torch.allclose(together.weight[1, 1, 2], alone.weight[0, 0, 0], atol=1e-4)


@pytest.mark.parametrize("shape", [(30, 80), (80, 30)])
def test_more_features_than_utterances_and_fewer(shape: tuple[int, int]) -> None:
    x, targets = problem(1, *shape, 1, False)
    solution = fit_logistic(x, targets, [1.0])
    gradient = _gradient(x[0], targets[0], solution.weight[0, 0, 0], solution.bias[0, 0, 0], 1.0)
    assert gradient.abs().max() <= 1e-6


def _gradient(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, c: float
) -> torch.Tensor:
    n = len(y)
    s = torch.where(y, 0.5 / y.sum(), 0.5 / (n - y.sum())).double()
    return x.T @ (s * (torch.sigmoid(x @ weight + bias) - y.double())) + weight / (c * n)


def test_constant_and_duplicate_features_are_harmless() -> None:
    x, targets = problem(1, 40, 5, 2, False)
    x = torch.cat([x, torch.ones(1, 40, 1), x[:, :, :1]], dim=2)
    x = Scaling.of(x).apply(x)
    solution = fit_logistic(x, targets, [1.0])
    assert float(solution.weight[0, 0, 0, 5]) == pytest.approx(0, abs=1e-9)
    assert float(solution.weight[0, 0, 0, 6]) == pytest.approx(
        float(solution.weight[0, 0, 0, 0]), abs=1e-6
    )


def test_features_that_are_no_numbers_do_not_converge_silently() -> None:
    x, targets = problem(1, 20, 3, 0, False)
    with pytest.raises((NotConverged, RuntimeError)):
        fit_logistic(x * float("nan"), targets, [1.0])


def test_folded_weights_act_on_features_as_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 5 + 3 * torch.randn(2, 40, 6, generator=generator, dtype=torch.float64)
    scaling = Scaling.of(x)
    solution = fit_logistic(scaling.apply(x), torch.arange(40)[None] < 15, [0.5, 5.0])
    weight, bias = scaling.fold(solution.weight, solution.bias)
    folded = torch.einsum("lksp,lnp->lksn", weight, x) + bias[..., None]
    direct = (
        torch.einsum("lksp,lnp->lksn", solution.weight, scaling.apply(x)) + solution.bias[..., None]
    )
    assert torch.allclose(folded, direct, atol=1e-9)


def test_single_precision_products_give_the_same_solution() -> None:
    x, targets = problem(1, 300, 40, 3, False)
    single = fit_logistic(x.float(), targets, STRENGTHS, tolerance=1e-6)
    double = fit_logistic(x, targets, STRENGTHS)
    assert single.weight.dtype == torch.float64
    assert torch.allclose(single.weight, double.weight, atol=1e-3)


def test_rows_of_weight_zero_are_as_if_left_out() -> None:
    x, targets = problem(1, 90, 12, 4, False)
    rows = torch.arange(90) % 3 != torch.arange(3)[:, None]
    together = fit_logistic(x, targets[:1].expand(3, -1), STRENGTHS, rows=rows)
    for k in range(3):
        alone = fit_logistic(x[:, rows[k]], targets[:1, rows[k]], STRENGTHS)
        assert torch.allclose(together.weight[:, k], alone.weight[:, 0], atol=1e-4)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-5), (torch.float32, 2e-3)])
def test_selections_of_fewer_rows_than_features_are_solved_as_each_alone(
    dtype: torch.dtype, close: float
) -> None:
    x, targets = problem(1, 60, 150, 5, False)
    x = x.to(dtype)
    rows = torch.arange(60) % 7 != torch.arange(7)[:, None]  # more than are solved at once
    weight, bias = fit_selections(x, targets[0], rows, STRENGTHS, 1e-9, dtype=dtype)
    for k in range(7):
        own = x[:, rows[k]].double()
        scaling = Scaling.of(own)
        alone = fit_logistic(scaling.apply(own), targets[:1, rows[k]], STRENGTHS)
        found, intercept = scaling.fold(alone.weight, alone.bias)
        assert torch.allclose(weight[k], found[0, 0], atol=close)
        assert torch.allclose(bias[k], intercept[0, 0], atol=close)


def test_rows_that_are_there_twice_and_features_that_never_change_are_no_obstacle() -> None:
    x, targets = problem(1, 20, 120, 6, False)
    x = torch.cat([x, x], dim=1)
    x[..., :3] = 0
    solution = fit_logistic(x, torch.cat([targets, targets], dim=1), [1.0])
    once = fit_logistic(x[:, :20], targets, [2.0])  # twice the rows at half the strength
    assert torch.allclose(solution.weight, once.weight, atol=1e-6)
    assert (
        fit_logistic(torch.zeros(1, 4, 9), torch.arange(4)[None] < 2, [1.0]).weight.abs().max() == 0
    )
