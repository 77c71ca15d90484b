"""Heads compute their equations, whatever else is in their stack."""

from itertools import product

import numpy as np
import pytest
import torch
from head_equations import score
from torch import Tensor

from probing.heads.backends import BACKENDS, LSTM, make_backend
from probing.heads.merges import MERGES, AttentiveMerge
from probing.heads.stack import HeadStack, Model, make_stacks

N_LAYERS, DIM, LENGTHS = 5, 4, (7, 3, 5)
LARGE = ("sls", "nes2net", "conformer", "aasist")  # which take long, so that one merge is enough
EVERY = [
    f"{merge}+{backend}"
    for merge, backend in product(MERGES, BACKENDS)
    if backend not in LARGE or merge == "sls"
]


def random_stack(head: str, frames: bool, n: int = 4, seed: int = 0) -> HeadStack:
    """Models of all depths (of full depth where the merge allows no other), every parameter and
    statistic random.
    """
    merge, backend = head.split("+")
    depths = [N_LAYERS] * n if merge == "attentive" else [1, 2, 4, 5][-n:]
    stack = HeadStack(
        [Model(merge, backend, depth) for depth in depths], N_LAYERS, DIM, frames, rank=3
    ).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn_values = {
            name: value for name, value in stack.learned().items() if not name.endswith("chosen")
        }
        for name, value in [*drawn_values.items(), ("mean", stack.mean)]:
            drawn = torch.randn(value.shape, generator=generator)
            n_inputs = (
                value[0, ..., 0].numel() if name.startswith("backend") and value.ndim > 2 else 1
            )
            value.copy_(
                drawn.exp() if name.endswith("variance") else drawn * min(0.5, n_inputs**-0.5)
            )
        stack.scale.copy_(0.5 + torch.rand(stack.scale.shape, generator=generator))
    return stack


def utterances(frames: bool, seed: int = 1) -> tuple[Tensor, Tensor | None]:
    """Utterances of several lengths, or of one vector each."""
    n_frames = max(LENGTHS) if frames else 1
    x = torch.randn(
        len(LENGTHS), N_LAYERS, n_frames, DIM, generator=torch.Generator().manual_seed(seed)
    ).double()
    return x, torch.arange(n_frames) < torch.tensor(LENGTHS)[:, None] if frames else None


def test_the_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        counts = {
            depth: AttentiveMerge([depth], depth, 1024, None).parameters() for depth in (12, 24)
        }
        backend = LSTM(1, 1024).parameters()
    assert {depth: sum(p.numel() for p in found) for depth, found in counts.items()} == {
        12: 40_899_728,
        24: 157_295_168,
    }
    assert sum(p.numel() for p in backend) == 935_810


@pytest.mark.parametrize(
    ("backend", "outputs", "count"),
    [
        ("nes2net", None, 511_014),  # "511 k": one logit, no reduction in the squeeze-excitation
        ("conformer", None, 2_506_324),  # "2,51k": 4 blocks of 144, positions up to 512 apart
        # "447 k", of which 512 are of batch norms that are computed and not used
        ("aasist", None, 446_730),
        # "23.4 M", of 67 x 341 values; two more for the prior, and 1,025 of the gates
        ("sls", None, 23_398_406),
        ("mhfa", None, 1_315_874),  # 32 heads of 128 -> 256 -> 2; beside it 2 weights a layer
        ("nes2net", 2, 512_039),
        ("mhfa", 5, 1_316_645),
    ],
)
def test_back_ends_have_as_many_parameters_as_published_for_1024_features(
    backend: str, outputs: int | None, count: int
) -> None:
    with torch.device("meta"):
        made = make_backend(backend, 1, 1024, True, outputs)
    assert sum(p.numel() for p in made.parameters()) == count


@pytest.mark.parametrize("n", [4, 1])
@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("head", EVERY)
def test_scores_are_those_of_the_equations(head: str, frames: bool, n: int) -> None:
    if not frames and BACKENDS[head.split("+")[1]].needs_frames:
        pytest.skip("needs frames")
    stack, (x, mask) = random_stack(head, frames, n), utterances(frames)
    scores = stack.score(x, mask).numpy()
    ready = ((x - stack.mean[:, None]) / stack.scale[:, None]).numpy()
    for m, model in enumerate(stack.models):
        p = {name: value[m].detach().numpy() for name, value in stack.learned().items()}
        for i, length in enumerate(LENGTHS):
            expected = score(
                model.merge, model.backend, p, ready[i, : model.depth, : length if frames else 1]
            )
            assert scores[m, i] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("head", EVERY)
def test_frames_after_the_end_and_layers_above_the_depth_change_nothing(head: str) -> None:
    stack, (x, mask) = random_stack(head, True), utterances(True)
    assert mask is not None
    other = torch.where(mask[:, None, :, None], x, 100 * torch.randn_like(x))
    assert torch.equal(stack.score(other, mask), stack.score(x, mask))
    for m, model in enumerate(stack.models):
        above = x.clone()
        above[:, model.depth :] = 50.0
        assert torch.equal(stack.score(above, mask)[m], stack.score(x, mask)[m])


@pytest.mark.parametrize("head", EVERY)
def test_a_model_taken_out_scores_as_the_stack(head: str) -> None:
    stack, (x, mask) = random_stack(head, True), utterances(True)
    together = stack.score(x, mask)
    for m, model in enumerate(stack.models):
        alone = stack.take(m).double()  # take gives float32
        assert alone.n_layers == model.depth
        assert torch.allclose(alone.score(x[:, : model.depth], mask)[0], together[m], atol=1e-5)


def test_selected_layers_are_the_four_that_rank_highest_of_those_seen() -> None:
    stack = random_stack("selected+linear", False)
    every = stack.merge.weights()
    stack.merge.rank([4, 1, 5, 2, 3])
    for m, layers in enumerate(([0], [0, 1], [0, 1, 2, 3], [0, 1, 3, 4])):
        chosen = torch.zeros(N_LAYERS, dtype=torch.bool)
        chosen[layers] = True
        assert torch.allclose(stack.merge.weights()[m], every[m] * chosen / every[m][chosen].sum())
        assert torch.equal(stack.take(m).merge.chosen[0] > 0, chosen[: stack.models[m].depth])


def test_faithful_merges_of_several_depths_are_not_put_together() -> None:
    with pytest.raises(ValueError, match="expected 3 only"):
        AttentiveMerge([2, 3], 3, DIM, None)
    models = [
        Model(merge, "linear", depth) for merge in ("attentive", "mean") for depth in (1, 2, 3)
    ]
    stacks = make_stacks(models, 3, DIM, True)
    assert sorted((stack.n_layers, len(stack.models)) for stack in stacks) == [
        (1, 1),
        (2, 1),
        (3, 1),
        (3, 3),
    ]
    assert [
        len(stack.models) for stack in make_stacks(models[3:], 3, DIM, True, memory_gb=1e-9)
    ] == [1, 1, 1]


def test_first_gates_are_saturated_as_published_and_not_when_scaled() -> None:
    x = torch.randn(50, 24, 1, 256, generator=torch.Generator().manual_seed(0))
    saturated = {}
    for scaled in (False, True):
        stack = HeadStack(
            [Model("attentive-compact", "linear", 24, seed) for seed in range(8)], 24, 256, False
        )
        stack.start(scaled)
        gates = stack.merge.gates(x).detach().numpy()
        saturated[scaled] = float(np.mean((gates < 0.01) | (gates > 0.99)))
    assert saturated[False] > 0.3
    assert saturated[True] == 0
