"""The scores of every head are log-likelihood ratios, however long it was trained and however the
loss is weighted.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from probing.heads.kinds import BACKENDS, MERGES
from probing.heads.recipes import ATTM, QUICK, Recipe
from probing.heads.scoring import scores_of
from probing.heads.sources import Batch, PooledSource, Source
from probing.heads.stack import HeadStack, Model
from probing.heads.training import train
from probing.metrics import cllr
from probing.metrics.calibration import min_cllr

N_LAYERS, DIM, N_FRAMES = 2, 8, 6
LARGE = ("nes2net", "conformer", "aasist")  # of which a step takes long
HEADS = [f"{merge}+linear" for merge in sorted(MERGES.built_in) if merge != "weighted-sum-kv"]
HEADS += [f"mean+{name}" for name in sorted(BACKENDS.built_in) if name not in ("linear", "mhfa")]
HEADS += ["weighted-sum-kv+mhfa"]
BOTH = ("mean+linear", "single+linear", "mean+mlp")  # of which balanced training is tried as well
POOLED = replace(QUICK, epochs=10, batch=32, learning_rates=(2e-2,))
FRAMES = replace(POOLED, epochs=3, learning_rates=(4e-3,))


class Clips:
    """A source in memory of the frames of n utterances; layer 2 tells most of them apart."""

    frames, n_layers, dim = True, N_LAYERS, DIM

    def __init__(self, seed: int, n: int, share: float) -> None:
        generator = np.random.default_rng(seed)
        self.bonafide = np.arange(n) < share * n
        x = generator.normal(size=(n, N_LAYERS, N_FRAMES, DIM))
        x[:, 1, :, :2] += generator.normal(size=(n, 1, 2))
        x[self.bonafide, 1, :, :2] += 1.5
        self.x = torch.from_numpy(x).float()
        self.part_size = n

    def __len__(self) -> int:
        return len(self.x)

    def batches(
        self, order: NDArray[np.intp], size: int, crop_seed: int | None = None
    ) -> Iterator[Batch]:
        for rows in np.split(order, range(size, len(order), size)):
            yield Batch(rows, self.x[rows, :], torch.ones(len(rows), N_FRAMES, dtype=torch.bool))

    def moments(self) -> tuple[Tensor, Tensor]:
        return self.x.mean((0, 2)), self.x.std((0, 2))


def trained(
    head: str, recipe: Recipe, share: float, n: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Classes and scores of other utterances than a head was trained on."""
    merge, backend = head.split("+")
    frames = BACKENDS.find(backend).needs_frames
    clips = [Clips(seed, n, share) for seed in (0, 1, 2)]
    sources: list[Source] = list(clips)
    if not frames:
        sources = [PooledSource(clip.x.mean(2).permute(1, 0, 2).numpy()) for clip in clips]
    stack = HeadStack(
        [Model(merge, backend, 2, 0, recipe.learning_rates[0], 0.01)], N_LAYERS, DIM, frames
    )
    bonafide = clips[0].bonafide
    train([stack], sources[0], bonafide, sources[1], bonafide, recipe)
    return bonafide, scores_of([stack], sources[2])[0][0].double().numpy()


@pytest.mark.parametrize("head", [head for head in HEADS if head.split("+")[1] not in LARGE])
def test_cllr_of_a_trained_head_is_near_the_least_that_its_order_allows(head: str) -> None:
    frames = BACKENDS.find(head.split("+")[1]).needs_frames
    for bonafide_weight, share in [(0.9, 0.5), *([(None, 0.2)] if head in BOTH else [])]:
        recipe = replace(FRAMES if frames else POOLED, bonafide_weight=bonafide_weight)
        bonafide, scores = trained(head, recipe, share, 224 if frames else 256)
        excess = cllr(bonafide, scores) - min_cllr(bonafide, scores)
        assert excess < (0.35 if frames else 0.2), (bonafide_weight, share)


@pytest.mark.parametrize(
    "head", ["mean+linear", *(head for head in HEADS if not head.endswith("+linear"))]
)
def test_a_head_that_has_hardly_learned_claims_nothing(head: str) -> None:
    """Not the weight of the classes either, which so few steps cannot teach it."""
    bonafide, scores = trained(head, replace(ATTM, epochs=1, n_frames=None), 0.5, 32)
    assert cllr(bonafide, scores) < 1.2
