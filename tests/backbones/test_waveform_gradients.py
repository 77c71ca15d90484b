"""Gradients of hidden states with respect to the waveform, through the front end of every family,
by numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probing.backbones import ClipUnusable, load_backbone
from probing.backbones.layers import relative_differences

STEP = 1e-8
TOLERANCE = 1e-5  # of the slope
FRONT_ENDS = [
    "wavlm",
    "wavlm-group",
    "hubert",
    "data2vec-audio",
    "wav2vec2-conformer",
    "sew-d",
    "wav2vec2-bert",
    "whisper",
    "moonshine-streaming",
    "moonshine",
]


def loss_of(states):
    """A number that depends on every layer and every valid frame, with other weights on each."""
    total = torch.zeros((), dtype=torch.float64)
    for k, layer in enumerate(states.layers):
        weights = torch.linspace(-1, 1, layer.shape[2], dtype=torch.float64) + 0.1 * k
        for row, n in enumerate(states.n_frames):
            total = total + (layer[row, :n] * weights).tanh().mean() * (row + 1)
    return total


def check_slopes(model, clips):
    """Compare gradients in float64 with a central difference along a random direction through all
    clips.
    """
    waveforms = [torch.from_numpy(clip).double().requires_grad_() for clip in clips]
    loss_of(model(waveforms)).backward()
    generator = torch.Generator().manual_seed(0)
    along = [torch.randn(len(x), dtype=torch.float64, generator=generator) for x in waveforms]
    expected = sum(float(x.grad @ d) for x, d in zip(waveforms, along, strict=True))
    moved = (
        [x + sign * STEP * d for x, d in zip(waveforms, along, strict=True)] for sign in (1, -1)
    )
    with torch.no_grad():
        up, down = (float(loss_of(model(waveform))) for waveform in moved)
    assert (up - down) / (2 * STEP) == pytest.approx(expected, rel=TOLERANCE)
    assert abs(expected) > 1e-3  # there is a slope to compare


def clips_for(backbone, speech):
    if backbone.family == "whisper":  # its whole window, whatever the clip
        return speech[:1]
    return (
        [speech[0], speech[1][:12_345]]
        if backbone.padding == "exact"
        else [clip[:9_613] for clip in speech[:2]]
    )


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_waveforms_as_tensors_have_the_same_hidden_states_and_the_slopes_of_finite_differences(
    name, loaded_tiny, speech
):
    backbone = loaded_tiny(name, device="cpu")
    model = backbone.differentiable()
    clips = clips_for(backbone, speech)
    tensors = [torch.from_numpy(clip) for clip in clips]
    assert max(relative_differences(model(tensors), backbone.hidden_states(clips))) < 2e-4
    check_slopes(model.double(), clips)


def test_the_embedded_wavlm_has_the_slopes_of_finite_differences(speech):
    model = load_backbone("embedded", device="cpu").truncate(2).differentiable()
    check_slopes(model.double(), [speech[0][:6000]])


@pytest.mark.parametrize("name", ["log-mel", "lfcc"])
def test_acoustic_features_have_them_too(name, speech):
    backbone = load_backbone(name, device="cpu")
    clips = speech[:2]
    tensors = [torch.from_numpy(clip) for clip in clips]
    assert (
        max(relative_differences(backbone.differentiable()(tensors), backbone.hidden_states(clips)))
        < 1e-5
    )
    backbone._encoder.double()
    check_slopes(backbone.differentiable(), clips)


def test_tensors_are_checked_as_clips_are():
    model = load_backbone("embedded", device="cpu").truncate(1).differentiable()
    with pytest.raises(ClipUnusable, match="has 10 samples"):
        model([torch.zeros(10)])
    with pytest.raises(ClipUnusable, match="not finite"):
        model([torch.full((8000,), np.nan)])
    with pytest.raises(ClipUnusable, match="one channel"):
        model([torch.zeros(2, 8000)])
