"""Evidence of frames: its mean is the score, and it lies where the score comes from."""

from itertools import product

import numpy as np
import pytest
import torch

from analysis.inspection import frame_evidence
from probing.heads.backends import BACKENDS
from probing.heads.head import Head, HeadUnusable
from probing.heads.merges import MERGES
from probing.heads.stack import HeadStack, Model
from probing.serving.layer_probe import LayerProbe

DEPTH, DIM, N_FRAMES = 3, 4, 11


def random_head(merge: str, backend: str, frames: bool, n_frames: int | None = None) -> Head:
    stack = HeadStack(
        [Model(merge, backend, DEPTH)], DEPTH, DIM if frames else 2 * DIM, frames, rank=3
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in [*stack.parameters(), stack.mean]:
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
        stack.scale.copy_(0.5 + torch.rand(stack.scale.shape, generator=generator))
    return Head(stack, n_frames)


def clip(seed: int = 0, n_frames: int = N_FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, size=(DEPTH, n_frames, DIM)).astype(np.float32)


def score(head: Head, x: np.ndarray) -> float:
    """Log odds of bona fide; of two logits the difference."""
    stack = head.stack
    if head.tier == "pooled":
        values = np.concatenate([x.mean(1), x.std(1)], axis=-1)[None, :, None]
    else:
        values = x[None, :, : head.n_frames]
    with torch.no_grad():
        logits = stack(stack.standardized(torch.from_numpy(values)))[0, 0]
    return float(logits[-1] if len(logits) == 1 else logits[1] - logits[0])


def test_a_linear_probe_is_a_mean_of_its_frames() -> None:
    generator = np.random.default_rng(0)
    probe = LayerProbe(2, generator.normal(size=2 * DIM), 0.7)
    x = clip()[2:]
    found = frame_evidence(probe, x)
    expected = probe.score(np.stack([x.mean(1), x.std(1)], axis=1)[:, None])[0]
    assert found.values.mean() == pytest.approx(expected, abs=1e-5)
    assert found.score == pytest.approx(expected, abs=1e-5)
    only_mean = LayerProbe(2, np.concatenate([probe.weight[:DIM], np.zeros(DIM)]), 0.7)
    assert np.allclose(frame_evidence(only_mean, x).values, x[0] @ probe.weight[:DIM] + 0.7)


@pytest.mark.parametrize(("merge", "backend"), list(product(MERGES, BACKENDS)))
def test_the_mean_is_the_score_of_every_head(merge: str, backend: str) -> None:
    for frames in (True, False) if backend in ("linear", "mlp") else (True,):
        head = random_head(merge, backend, frames)
        found = frame_evidence(head, clip())
        assert found.values.shape == (N_FRAMES,)
        assert found.values.mean() == pytest.approx(found.score, abs=1e-4)
        assert found.score == pytest.approx(score(head, clip()), abs=1e-3)
        assert np.ptp(found.values) > 0


def test_pooled_heads_that_are_linear_need_no_correction() -> None:
    head = random_head("weighted-sum", "linear", frames=False)
    x = clip().astype(np.float64)
    found = frame_evidence(head, x)
    assert found.how.startswith("exact:")
    stack = head.stack
    weight = (
        stack.backend.weight[0, :, 0].detach().numpy()
        * stack.merge.weights()[0].detach().numpy()[:, None]
    )
    weight = weight / stack.scale.numpy()
    own = [
        sum(
            weight[k, :DIM] @ x[k, t]
            + weight[k, DIM:] @ ((x[k, t] - x[k].mean(0)) ** 2 / x[k].std(0))
            for k in range(DEPTH)
        )
        for t in range(N_FRAMES)
    ]
    assert np.allclose(found.values - found.values.mean(), own - np.mean(own), atol=1e-4)
    assert frame_evidence(random_head("attentive-compact", "mlp", frames=False), x).how.startswith(
        "first order"
    )


def test_evidence_of_an_lstm_is_that_of_its_outputs() -> None:
    """The mean over the first t frames is the score of a head that sees those alone."""
    head = random_head("weighted-sum", "lstm", frames=True)
    found = frame_evidence(head, clip())
    for t in (1, 4, N_FRAMES):
        assert found.values[:t].mean() == pytest.approx(score(head, clip()[:, :t]), abs=1e-4)


def test_evidence_of_attention_lies_where_it_looks() -> None:
    head = random_head("single", "asp", frames=True)
    weight = head.stack.backend.weight
    with torch.no_grad():
        weight[:, :DIM], weight[:, DIM:] = 1.0, 0.0
        weight[..., 0] = 0
    x = clip()
    found = frame_evidence(head, x)
    with torch.no_grad():
        merged = head.stack.merge(head.stack.standardized(torch.from_numpy(x)[None]))
        share = head.stack.backend.attention(merged, None)[0, 0].numpy()
    assert np.allclose(share.sum(axis=0), 1, atol=1e-5)
    own = N_FRAMES * (share * merged[0, 0].numpy()).sum(axis=1)
    assert np.allclose(found.values - found.values.mean(), own - own.mean(), atol=1e-4)


def test_frames_beyond_the_crop_are_not_seen() -> None:
    head = random_head("mean", "linear", frames=True, n_frames=5)
    found = frame_evidence(head, clip())
    assert np.isnan(found.values[5:]).all()
    assert found.values[:5].mean() == pytest.approx(score(head, clip()[:, :5]), abs=1e-4)


def test_other_layers_are_refused() -> None:
    head = random_head("mean", "linear", frames=True)
    for x in (clip()[:2], clip()[..., :3], clip()[:, :0], clip()[0]):
        with pytest.raises(HeadUnusable, match="expected"):
            frame_evidence(head, x)


def test_a_single_frame_and_a_unit_that_stands_still() -> None:
    probe = LayerProbe(0, np.ones(2 * DIM), 0.0)
    assert np.isfinite(frame_evidence(probe, clip()[:1, :1]).values).all()
    still = clip()[:1]
    still[..., 0] = 3
    assert np.isfinite(frame_evidence(probe, still).values).all()
