"""Back-ends with batch norm, and merges that draw: they learn, each model as if alone, and go on
after a kill.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from head_equations import score
from numpy.typing import NDArray
from torch import Tensor, nn

from probing.heads.head import Head, load_head
from probing.heads.modules import BatchNorm
from probing.heads.recipes import Recipe
from probing.heads.sources import Batch, PooledSource, Source
from probing.heads.stack import HeadStack, Model
from probing.heads.training import train
from probing.metrics import eer
from probing.runs import RunWriter

N, N_LAYERS, DIM, N_FRAMES = 48, 3, 20, 9
BONAFIDE = np.arange(N) % 2 == 0
RECIPE = Recipe(batch=16, epochs=3, min_epochs=1, keep=2)
NORMED = ("sls", "nes2net", "conformer", "aasist")


class Clips:
    """A source in memory, of the frames of N utterances of 2 to 9 frames; layer 2 tells the classes
    apart.
    """

    frames, n_layers, dim = True, N_LAYERS, DIM
    part_size = N

    def __init__(self, seed: int, strength: float = 3) -> None:
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(N, N_LAYERS, N_FRAMES, DIM))
        x[BONAFIDE, 1, :, :5] += strength
        self.x = torch.from_numpy(x).float()
        self.mask = (
            torch.arange(N_FRAMES)
            < torch.from_numpy(generator.integers(2, N_FRAMES + 1, N))[:, None]
        )
        self.mask[:16] = True

    def __len__(self) -> int:
        return N

    def batches(
        self, order: NDArray[np.intp], size: int, crop_seed: int | None = None
    ) -> Iterator[Batch]:
        for rows in np.split(order, range(size, len(order), size)):
            yield Batch(rows, self.x[rows, :], self.mask[rows])

    def moments(self) -> tuple[Tensor, Tensor]:
        return self.x.mean((0, 2)), self.x.std((0, 2))


def pooled(seed: int) -> PooledSource:
    x = np.random.default_rng(seed).normal(size=(N_LAYERS, N, DIM))
    x[1, BONAFIDE, :5] += 3
    return PooledSource(x)


def sources(frames: bool) -> tuple[Source, Source]:
    make: Callable[[int], Source] = Clips if frames else pooled
    return make(0), make(1)


def fit(stack: HeadStack, recipe: Recipe = RECIPE, **more: object) -> NDArray[np.float64]:
    """Scores (M, N) on dev of a stack trained here."""
    learn_from, dev = sources(stack.frames)
    train([stack], learn_from, BONAFIDE, dev, BONAFIDE, recipe, **more)  # type: ignore[arg-type]
    batches = dev.batches(np.arange(N), N)
    return np.hstack(
        [
            stack.score(batch.x[:, : stack.n_layers], batch.mask).double().numpy()
            for batch in batches
        ]
    )


def stack_of(head: str, depths: tuple[int, ...] = (1, 3, 3), rate: float = 3e-3) -> HeadStack:
    merge, backend = head.split("+")
    models = [Model(merge, backend, depth, seed, rate, 0.01) for seed, depth in enumerate(depths)]
    return HeadStack(models, N_LAYERS, DIM, backend != "linear")


@pytest.mark.parametrize(
    ("head", "rate", "epochs"),
    [
        ("weighted-sum-kv+mhfa", 3e-3, 6),
        ("sls+sls", 3e-3, 4),
        ("single+nes2net", 1e-2, 8),
        pytest.param("single+conformer", 3e-3, 4, marks=pytest.mark.long),
        pytest.param("single+aasist", 5e-3, 4, marks=pytest.mark.long),
    ],
)
def test_it_learns_what_one_layer_says(head: str, rate: float, epochs: int) -> None:
    (scores,) = fit(stack_of(head, (2,), rate), replace(RECIPE, epochs=epochs, keep=1))
    assert eer(BONAFIDE, scores) < 0.15


def test_a_gumbel_choice_finds_the_layer() -> None:
    stack = stack_of("gumbel+linear", (1, 3, 3, 3), 0.03)
    scores = fit(stack, replace(RECIPE, epochs=40, patience=40))
    layers = stack.merge.gates(torch.zeros(1, N_LAYERS, 1, DIM))[:, 0]
    assert layers.argmax(dim=1).tolist() == [0, 1, 1, 1]
    assert layers.sum(dim=1).tolist() == [1] * 4
    assert eer(BONAFIDE, scores[0]) > 0.3
    assert all(eer(BONAFIDE, of_head) < 0.2 for of_head in scores[1:])


@pytest.mark.parametrize(
    "head",
    [
        "se+linear",
        "gumbel+linear",
        pytest.param("gumbel+nes2net", marks=pytest.mark.long),
        "weighted-sum-kv+mhfa",
    ],
)
def test_a_stack_trains_as_each_model_alone(head: str) -> None:
    together = fit(stack_of(head).double())
    for m, model in enumerate(stack_of(head).models):
        alone = fit(HeadStack([model], model.depth, DIM, "linear" not in head).double())
        assert np.allclose(alone[0], together[m], atol=1e-4)


def test_what_a_merge_draws_does_not_depend_on_the_parts_of_a_batch() -> None:
    found = []
    for part_size in (16, 5):
        stack = HeadStack(
            [Model("gumbel", "linear", 3, seed) for seed in (0, 1)], N_LAYERS, DIM, True
        ).double()
        learn_from, dev = Clips(0), Clips(1)
        learn_from.part_size = part_size
        train([stack], learn_from, BONAFIDE, dev, BONAFIDE, RECIPE)
        found.append(stack.score(dev.x, dev.mask))
    assert torch.allclose(*found, atol=1e-6)


@pytest.mark.parametrize("head", ["gumbel+linear", "gumbel+nes2net"])
def test_a_killed_training_goes_on_as_if_it_had_not_been(
    head: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("probing.heads.training.CHECKPOINT_EVERY_S", 0.0)

    def killed(text: str) -> None:
        if text.startswith("epoch 2,"):
            raise KeyboardInterrupt

    expected = fit(stack_of(head))
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(stack_of(head), checkpoint=checkpoint, say=killed)
    assert np.array_equal(fit(stack_of(head), checkpoint=checkpoint), expected)


@pytest.mark.parametrize("backend", NORMED)
def test_running_statistics_are_stored_with_a_head(backend: str, tmp_path: Path) -> None:
    stack = stack_of(f"mean+{backend}", (1, 3))
    scores = fit(stack, replace(RECIPE, epochs=1))
    head = Head(stack.take(1))
    writer = RunWriter(tmp_path / "r", {})
    writer.add_heads(head.name, head.tensors(), head.config())
    loaded = load_head(writer.partial / "heads" / f"{head.name}.safetensors")
    clips = Clips(1)
    for i in (0, 40):
        x = clips.x[i][:, clips.mask[i]].numpy()
        assert loaded.score(x) == pytest.approx([float(scores[1, i])], abs=1e-4)
        first = Head(stack.before_training().take(1)).score(x)
        assert first != pytest.approx(loaded.score(x), abs=1e-3)


@pytest.mark.parametrize("masked", [True, False])
def test_batch_norm_is_that_of_pytorch_over_valid_frames(masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = BatchNorm(2, 5)
    peers = [nn.BatchNorm1d(5), nn.BatchNorm1d(5)]
    mask = torch.arange(6) < torch.tensor([6, 2, 4])[:, None] if masked else None
    for step in range(4):
        if step == 3:
            norm.eval()
        x = 3 + torch.randn(2, 3, 6, 5, generator=generator)
        found = norm(x, None if mask is None else mask[None, :, :, None])
        for m, peer in enumerate(peers):
            peer.train(step < 3)
            valid = torch.ones(3, 6, dtype=torch.bool) if mask is None else mask
            assert torch.allclose(found[m][valid], peer(x[m][valid]), atol=1e-5)
            assert torch.allclose(norm.mean[m], peer.running_mean, atol=1e-5)
            assert torch.allclose(norm.variance[m], peer.running_var, atol=1e-5)
    as_maps = norm(
        x.permute(1, 0, 3, 2), None if mask is None else mask[:, None, None], model=1, channel=2
    )
    assert torch.allclose(as_maps.permute(1, 0, 3, 2), found, atol=1e-6)


@pytest.mark.parametrize("backend", NORMED)
def test_frames_after_the_end_change_nothing_in_a_training_step(backend: str) -> None:
    clips = Clips(0)
    gradients = []
    for filling in (0.0, 100.0):
        stack = stack_of(f"mean+{backend}")
        stack.start()
        stack.train()
        x = torch.where(clips.mask[:, None, :, None], clips.x, filling)[20:40]
        stack(x, clips.mask[20:40]).square().sum().backward()
        gradients.append([value.grad for value in stack.parameters()] + [*stack.learned().values()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.parametrize("backend", NORMED)
def test_long_and_short_utterances_of_wide_layers_are_scored_by_the_equations(backend: str) -> None:
    dim, lengths = 130, (29, 2, 14)
    stack = HeadStack([Model("mean", backend, 2)] * 2, 2, dim, True).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        stack.start()
        for name, value in stack.learned().items():
            drawn = torch.randn(value.shape, generator=generator)
            value.copy_(drawn.exp() if name.endswith("variance") else value + 0.03 * drawn)
    x = torch.randn(3, 2, max(lengths), dim, generator=generator).double()
    found = stack.score(x, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])
    for m in range(2):
        p = {name: value[m].numpy() for name, value in stack.learned().items()}
        for i, length in enumerate(lengths):
            assert float(found[m, i]) == pytest.approx(
                score("mean", backend, p, x[i, :, :length].numpy()), rel=1e-8
            )


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("backend", ["mhfa", *NORMED])
def test_other_targets_have_outputs_of_their_own(backend: str, outputs: int) -> None:
    stack = HeadStack(
        [Model("mean", backend, 2, seed) for seed in (0, 1)], 2, 5, True, outputs=outputs
    )
    stack.start()
    scores = stack.score(torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == ((2, 3) if outputs == 1 else (2, 3, 4))
    assert torch.isfinite(scores).all()


def test_the_gradients_of_batch_norm_are_those_of_its_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    valid = (torch.arange(4) < torch.tensor([4, 1, 2])[:, None])[None, :, :, None]
    x = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)

    def normalized(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        norm = BatchNorm(2, 5).double()
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x, valid))

    parameters = [
        torch.randn(2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(2)
    ]
    assert torch.autograd.gradcheck(normalized, (x, *parameters))
