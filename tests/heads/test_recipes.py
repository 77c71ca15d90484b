"""The two recipes of Pan et al.: as described, and as the released code behaves, re-derived on
made-up losses.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import ProbeError
from probing.heads.averaging import Best, Successors
from probing.heads.backends import BACKENDS
from probing.heads.losses import prior_log_odds
from probing.heads.recipes import ATTM, ATTM_RELEASED, NAMES, QUICK, recipe_of
from probing.heads.scoring import scores_of
from probing.heads.sources import PooledSource
from probing.heads.stack import HeadStack, Model, log_odds
from probing.heads.training import train


def test_every_recipe_is_found_by_its_name() -> None:
    assert [recipe_of(name, "frames").name for name in NAMES] == list(NAMES)
    with pytest.raises(ProbeError, match="expected one of quick, attm, attm-released"):
        recipe_of("attm-relaesed", "frames")


def test_the_released_rate_is_one_of_an_epoch() -> None:
    rates = [
        ATTM_RELEASED.rate(epoch + within) for epoch in range(30) for within in (0.0, 0.3, 0.99)
    ]
    released = [0.2, 0.4, 0.6, 0.8, 1.0, *(0.8**n for n in range(25))]
    assert rates == pytest.approx(np.repeat(released, 3))
    assert 1e-4 * ATTM_RELEASED.rate(10) == pytest.approx(0.33e-4, rel=0.01)
    assert 1e-4 * ATTM_RELEASED.rate(29) == pytest.approx(4.7e-7, rel=0.01)
    assert ATTM.rate(2.5) == 0.5


def released_stop(losses: list[float]) -> int:
    """Epochs that the released code trains: a count is compared for equality at index
    20 or later.
    """
    best, count = np.inf, 0
    for index, loss in enumerate(losses):
        best, count = (loss, 0) if loss < best else (best, count + 1)
        if index >= 20 and count == 5:
            return index + 1
    return len(losses)


def released_files(losses: list[float]) -> list[int]:
    """Numbers of the files that the released code averages: losses are counted from 1, files from
    0.
    """
    best = sorted(range(1, len(losses) + 1), key=lambda number: losses[number - 1])[:5]
    return sorted(number for number in best if number < len(losses))


def falling_until(index: int) -> list[float]:
    return [1.0 - 0.01 * min(i, index) for i in range(30)]


@pytest.mark.parametrize("last", [3, 13, 14, 15, 16, 20, 24, 25, 29])
def test_the_released_code_stops_only_at_five_epochs_without_gain_after_twenty(last: int) -> None:
    losses, epoch, best, gained = falling_until(last), 0, np.inf, 0
    while epoch < len(losses):
        epoch += 1
        if losses[epoch - 1] < best:
            best, gained = losses[epoch - 1], epoch
        if ATTM_RELEASED.stops(epoch, epoch - gained):
            break
    assert epoch == released_stop(losses)
    if last <= 14:
        assert epoch == 30  # the count is past five at index 20, and never equals it again


LOSSES = {
    "falling": [1 - 0.01 * i for i in range(12)],
    "rising": [1 + 0.01 * i for i in range(12)],
    "best first": [0.1, *(1 + 0.01 * i for i in range(11))],
    "in between": [9, 3, 8, 1, 7, 2, 6, 4, 9.5, 5, 9.7, 9.9],
    "few": [3.0, 1.0, 2.0],
    "one": [1.0],
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", [Best, Successors])
def test_what_is_averaged(name: str, kind: type[Best]) -> None:
    losses = LOSSES[name]
    stack = HeadStack([Model("mean", "linear", 2, 0, 1e-4, 1e-4)], 2, 3, frames=False)
    kept = kind(stack, 5)
    for epoch, loss in enumerate(losses, 1):
        with torch.no_grad():
            for value in stack.parameters():
                value.fill_(float(epoch - 1))  # file number
        kept.offer(stack, torch.tensor([loss]), epoch, torch.tensor([True]))
    kept.restore(stack)
    files = (
        sorted(np.argsort(losses, kind="stable")[:5]) if kind is Best else released_files(losses)
    )
    expected = np.mean(files) if files else len(losses) - 1
    for value in stack.parameters():
        assert value.flatten().tolist() == pytest.approx([float(expected)] * value.numel())


def test_the_score_of_two_logits_is_their_difference() -> None:
    logits = torch.tensor([[[0.5, 2.0], [3.0, -1.0]]])
    assert log_odds(logits).tolist() == [[1.5, -4.0]]
    assert torch.allclose(torch.sigmoid(log_odds(logits)), torch.softmax(logits, -1)[..., 1])
    assert log_odds(logits[..., :1]).tolist() == [[0.5, 3.0]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_shift_moves_the_log_odds_of_every_model_by_itself(backend: str) -> None:
    stack = HeadStack([Model("mean", backend, 2, seed) for seed in (0, 1)], 2, 3, frames=True)
    stack.start()
    x = torch.randn(4, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    before = stack.score(x)
    stack.backend.shift(-1.5)
    assert torch.allclose(stack.score(x), before - 1.5, atol=1e-5)


@pytest.mark.parametrize(
    ("bonafide_weight", "share"), [(0.9, 0.5), (0.9, 0.1), (0.2, 0.5), (None, 0.1)]
)
def test_scores_are_log_likelihood_ratios_whatever_the_weights_of_the_classes(
    bonafide_weight: float | None, share: float
) -> None:
    n, generator = 6000, np.random.default_rng(0)
    bonafide = np.arange(n) < share * n
    x = generator.normal(size=(1, n, 2)) + 2.0 * bonafide[:, None] * [1, 0]
    ratio = 2 * x[0, :, 0] - 2  # of N(2, 1) against N(0, 1)
    recipe = replace(QUICK, bonafide_weight=bonafide_weight, epochs=12, learning_rates=(3e-2,))
    stack = HeadStack([Model("mean", "linear", 1, 0, 3e-2, 0.01)], 1, 2, frames=False)
    train([stack], PooledSource(x), bonafide, PooledSource(x), bonafide, recipe)
    scores = scores_of([stack], PooledSource(x))[0][0].numpy()
    assert np.abs(scores - ratio).mean() < 0.3
    weight = (
        1.0
        if bonafide_weight is None
        else bonafide_weight / (1 - bonafide_weight) * share / (1 - share)
    )
    assert prior_log_odds(bonafide, recipe) == pytest.approx(np.log(weight), abs=1e-5)
