"""Published weights, where they are present."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from tiny_models import ROOT

from probing.backbones import load_backbone

MODELS = ROOT.parent / "shared" / "data" / "models"
pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason="no published models beside the checkout"
)


@pytest.mark.parametrize(
    ("folder", "family", "n_layers", "dim", "n_frames"),
    [
        ("whisper-tiny.en-encoder", "whisper", 4, 384, 50),
        ("moonshine-tiny-encoder", "moonshine", 6, 288, 40),
    ],
)
def test_a_published_encoder_loads_without_noise(folder, family, n_layers, dim, n_frames, capfd):
    backbone = load_backbone(str(MODELS / folder))
    assert capfd.readouterr() == ("", "")
    assert (backbone.name, backbone.family, backbone.random) == (folder, family, False)
    assert (backbone.n_layers, backbone.dim, backbone.n_frames(16000)) == (n_layers, dim, n_frames)


@pytest.mark.parametrize("folder", ["whisper-tiny.en-encoder", "moonshine-tiny-encoder"])
def test_a_published_encoder_agrees_with_transformers(folder, speech):
    encoder = (
        transformers.AutoModel.from_pretrained(MODELS / folder, dtype=torch.float32)
        .eval()
        .get_encoder()
    )
    extractor = transformers.AutoFeatureExtractor.from_pretrained(MODELS / folder)
    inputs = extractor(speech[1], sampling_rate=16000, return_tensors="pt")
    inputs.pop("attention_mask", None)
    with torch.inference_mode():
        expected = encoder(**inputs, output_hidden_states=True).hidden_states
        final = encoder(**inputs).last_hidden_state
    states = load_backbone(str(MODELS / folder)).hidden_states([speech[1]])
    for found, layer in zip(states.layers[:-1], expected[:-1], strict=True):
        torch.testing.assert_close(
            found.clone(), layer[:, : states.n_frames[0]].clone(), rtol=1e-4, atol=1e-4
        )
    last = encoder.layer_norm(states.layers[-1].clone()).detach()
    torch.testing.assert_close(last, final[:, : states.n_frames[0]].clone(), rtol=1e-4, atol=1e-4)


def test_a_published_whisper_gives_the_same_layers_in_any_batch(speech):
    backbone = load_backbone(str(MODELS / "whisper-tiny.en-encoder"))
    batch = backbone.hidden_states(speech[:2])
    for i, clip in enumerate(speech[:2]):
        alone = backbone.hidden_states([clip]).clip(0)
        difference = (batch.clip(i) - alone).abs().amax((1, 2)) / alone.pow(2).mean((1, 2)).sqrt()
        assert float(difference.max()) < 1e-4


def test_a_trained_encoder_is_not_its_random_control(speech):
    folder = MODELS / "moonshine-tiny-encoder"
    trained, control = load_backbone(str(folder)), load_backbone(f"random:{folder}")
    assert control.name == "random weights: moonshine-tiny-encoder"
    one, other = (
        model.hidden_states(speech[:1]).clip(0)[-1].flatten().numpy()
        for model in (trained, control)
    )
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
