"""Front ends with layer norms, computed with channels last, give the frames of the
stock modules.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.wavlm.modeling_wavlm import WavLMLayerNormConvLayer

from probing.backbones import load_backbone
from probing.backbones.costs import costs
from probing.backbones.front_end import PIECE, ChannelsLast
from probing.backbones.layers import relative_differences

# of the layer's root mean square; positional convolutions of random weights enlarge what they get
TOLERANCE = 5e-5


def pair(folder):
    return load_backbone(str(folder), attention="stock"), load_backbone(str(folder), device="cpu")


def is_fast(backbone):
    return isinstance(backbone._encoder.feature_extractor, ChannelsLast)


@pytest.mark.parametrize("name", ["wavlm", "hubert", "wav2vec2-conformer", "data2vec-audio"])
def test_every_hidden_state_is_that_of_the_stock_modules(name, tiny, speech):
    stock, fast = pair(tiny(name))
    assert is_fast(fast)
    assert not is_fast(stock)
    for clips in ([speech[0][: fast.min_samples]], [speech[3]], [clip[:9_613] for clip in speech]):
        found, expected = fast.hidden_states(clips), stock.hidden_states(clips)
        assert max(relative_differences(found, expected)) < TOLERANCE
    assert fast.fingerprint() == stock.fingerprint()
    assert list(fast._encoder.state_dict()) == list(stock._encoder.state_dict())


def test_a_clip_of_many_pieces_has_the_frames_of_the_stock_module(tiny):
    stock, fast = pair(tiny("wavlm"))
    clip = np.random.default_rng(0).normal(0, 0.05, 16_000 * 5).astype(np.float32)
    step = stock._encoder.feature_extractor.conv_layers[0].conv.stride[0]
    assert len(clip) // step > 2 * PIECE
    assert (
        max(relative_differences(fast.hidden_states([clip]), stock.hidden_states([clip])))
        < TOLERANCE
    )


@torch.inference_mode()
def test_frames_of_a_clip_are_the_same_bits_in_any_batch(loaded_tiny):
    front_end = loaded_tiny("wavlm", device="cpu")._encoder.feature_extractor
    batch = torch.randn(3, 20_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(front_end(batch)[1:2], front_end(batch[1:2]))
    assert torch.equal(front_end(batch.T.contiguous().T), front_end(batch))


@pytest.mark.parametrize("name", ["hubert-group", "whisper", "moonshine"])
def test_other_front_ends_stay_as_they_are(name, loaded_tiny):
    assert not any(
        isinstance(module, ChannelsLast) for module in loaded_tiny(name)._encoder.modules()
    )


def test_gradients_and_16_bits_go_through_the_stock_module(loaded_tiny):
    backbone = loaded_tiny("wavlm", device="cpu")
    front_end = backbone._encoder.feature_extractor
    wave = torch.randn(1, 5_000, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    front_end(wave).square().sum().backward()
    assert wave.grad is not None
    assert wave.grad.abs().sum() > 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert front_end(wave.detach()).dtype == torch.bfloat16


def test_a_front_end_that_computes_something_else_stays_and_says_so(tiny, monkeypatch):
    before = WavLMLayerNormConvLayer.forward
    monkeypatch.setattr(
        WavLMLayerNormConvLayer, "forward", lambda self, frames: 2 * before(self, frames)
    )
    with pytest.warns(UserWarning, match=r"fast front end gives other frames .*stock one is used"):
        backbone = load_backbone(str(tiny("wavlm")), device="cpu")
    assert not is_fast(backbone)


def test_operations_are_counted_alike(tiny):
    stock, fast = pair(tiny("wavlm"))
    assert (
        costs(fast, seconds=1.0, repeats=1)["macs"].tolist()
        == costs(stock, seconds=1.0, repeats=1)["macs"].tolist()
    )


def test_a_replica_and_a_truncated_backbone_have_it_too(loaded_tiny, speech):
    fast = loaded_tiny("wavlm", device="cpu")
    assert is_fast(fast.replica())
    assert is_fast(fast.truncate(1))
    assert is_fast(fast.trainable().frozen())
