from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from tiny_models import TINY_NAMES

from probing.backbones import load_backbone

FINAL_NORM = {"wavlm", "hubert", "wav2vec2", "unispeech", "unispeech-sat"}


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def encoder_of(folder):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    return model.get_encoder() if model.config.is_encoder_decoder else model


def inputs_for(folder, name, clip):
    """What transformers' own preprocessor gives for one clip."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = dict(extractor(clip, sampling_rate=16000, return_tensors="pt"))
    mask = inputs.pop("attention_mask", None)
    # whole frames of 80 samples, and a mask, without which no window slides
    if name == "moonshine-streaming":
        return {
            key: value[:, : len(clip) // 80 * 80]
            for key, value in (*inputs.items(), ("attention_mask", mask))
        }
    if name == "wav2vec2-bert":
        inputs["input_features"] = inputs["input_features"][
            :, : load_backbone(str(folder)).n_frames(len(clip))
        ]
    return inputs


@pytest.mark.parametrize("name", TINY_NAMES)
def test_layers_agree_with_transformers_up_to_the_last(name, tiny, speech):
    folder = tiny(name)
    encoder = encoder_of(folder)
    with torch.inference_mode():
        expected = encoder(
            **inputs_for(folder, name, speech[1]), output_hidden_states=True
        ).hidden_states
    backbone = load_backbone(str(folder))
    found = backbone.hidden_states([speech[1]])
    assert len(expected) == len(found.layers) == backbone.n_layers + 1
    for layer in range(backbone.n_layers):
        close(found.layers[layer], expected[layer][:, : found.n_frames[0]].clone())


@pytest.mark.parametrize(
    "name", ["wavlm", "wavlm-group", "hubert", "hubert-group", "wav2vec2", "unispeech-sat-group"]
)
def test_layers_are_those_of_the_blocks_run_by_hand(name, tiny, loaded_tiny, speech):
    model = encoder_of(tiny(name))
    encoder = model.encoder
    stable = model.config.do_stable_layer_norm
    with torch.inference_mode():
        values = inputs_for(tiny(name), name, speech[1])["input_values"]
        projected = model.feature_projection(model.feature_extractor(values).transpose(1, 2))
        states = projected[0] if isinstance(projected, tuple) else projected
        states = states + encoder.pos_conv_embed(states)
        states = states if stable else encoder.layer_norm(states)
        expected, bias = [states], None
        for block in encoder.layers:
            output = (
                block(states, position_bias=bias) if name.startswith("wavlm") else block(states)
            )
            states, bias = output if isinstance(output, tuple) else (output, None)
            expected.append(states)
    found = loaded_tiny(name).hidden_states([speech[1]]).layers
    for one, other in zip(found, expected, strict=True):
        close(one.clone(), other.clone())


@pytest.mark.parametrize("name", [*sorted(FINAL_NORM), "whisper", "moonshine"])
def test_the_last_layer_is_taken_before_the_final_norm(name, tiny, loaded_tiny, speech):
    encoder = encoder_of(tiny(name))
    with torch.inference_mode():
        normed = encoder(**inputs_for(tiny(name), name, speech[1])).last_hidden_state
    states = loaded_tiny(name).hidden_states([speech[1]])
    last, normed = states.layers[-1].clone(), normed[:, : states.n_frames[0]].clone()
    norm = encoder.encoder.layer_norm if name in FINAL_NORM else encoder.layer_norm
    assert (last - normed).abs().max() > 0.1
    close(norm(last).detach(), normed)


@pytest.mark.parametrize("name", ["wavlm", "wav2vec2-bert", "whisper"])
def test_no_layer_is_dropped_at_random(name, build_tiny, speech):
    overrides = (
        {"encoder_layerdrop": 0.5, "dropout": 0.5} if name == "whisper" else {"layerdrop": 0.5}
    )
    backbone = load_backbone(str(build_tiny(name, **overrides)))
    first = backbone.hidden_states([speech[0]])
    for _ in range(3):
        again = backbone.hidden_states([speech[0]])
        assert all(
            torch.equal(one, other) for one, other in zip(first.layers, again.layers, strict=True)
        )


def test_layers_are_float32_without_gradient(loaded_tiny, speech):
    for layer in loaded_tiny("wavlm").hidden_states(speech).layers:
        assert layer.dtype == torch.float32
        assert not layer.requires_grad


def test_layers_differ_from_one_another_and_between_clips(loaded_tiny, speech):
    states = loaded_tiny("hubert").hidden_states([speech[1], speech[2][:16000]])
    one, other = states.clip(0), states.clip(1)
    assert all((one[k] - one[k + 1]).abs().mean() > 0.1 for k in range(len(one) - 1))
    assert (one - other).abs().mean() > 0.1


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-group", "wavlm-group"])
def test_a_clip_is_normalised_as_the_preprocessor_config_says(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    loud = backbone.hidden_states([speech[1] * 0.5 + 0.1]).clip(0)
    plain = backbone.hidden_states([speech[1]]).clip(0)
    same = bool((loud - plain).abs().max() < 1e-2)
    assert same == (name != "wavlm-group")
    assert backbone.fingerprint()["normalization_source"] == "preprocessor config"


def test_normalisation_is_that_of_the_feature_extractor(loaded_tiny, speech):
    backbone = loaded_tiny("wav2vec2")
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = extractor(speech[2], sampling_rate=16000, return_tensors="np")["input_values"][0]
    assert np.abs(backbone._input.normalized(speech[2]) - expected).max() < 1e-5


def test_normalisation_can_be_decided(tiny, speech):
    folder = str(tiny("wavlm-group"))
    off, on = load_backbone(folder), load_backbone(folder, normalize="on")
    assert off.fingerprint()["normalization"] == "none"
    assert on.fingerprint()["normalization"] == "zero mean and unit variance per clip"
    assert on.fingerprint()["normalization_source"] == "asked for"
    assert (
        on.hidden_states(speech[:1]).clip(0) - off.hidden_states(speech[:1]).clip(0)
    ).abs().max() > 0.01
