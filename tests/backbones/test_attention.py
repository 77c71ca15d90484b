"""The fused attention of WavLM gives the stock hidden states, and changes nothing else of a
backbone.
"""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from probing.backbones import BackboneUnsupported, load_backbone
from probing.backbones.attention import FusedAttention, fuse, stock_attention, unfuse
from probing.backbones.layers import relative_differences
from probing.backbones.products import OneDnnLinear, linear_onednn, use_fast_products

# stable layer norm as in Large; post-norm and group norm as in Base
KINDS = ("wavlm", "wavlm-group")
TOLERANCE = 1e-5  # of the layer's root mean square


def differences(found, expected) -> float:
    return max(relative_differences(found, expected))


def pair(folder):
    return load_backbone(str(folder), attention="stock"), load_backbone(str(folder))


@pytest.mark.parametrize("name", KINDS)
def test_every_hidden_state_is_that_of_the_stock_module(name, tiny, speech):
    stock, fused = pair(tiny(name))
    assert (stock.attention, fused.attention) == ("stock", "fused")
    assert type(stock._blocks[0].attention) is WavLMAttention
    for clips in ([speech[0]], speech, [clip[:9_613] for clip in speech]):
        assert differences(fused.hidden_states(clips), stock.hidden_states(clips)) < TOLERANCE


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_longer_or_shorter_than_the_last_one_is_attended_to_as_by_the_stock_module(
    name, tiny, speech
):
    stock, fused = pair(tiny(name))
    # the position bias of one length serves the others
    for n_samples in (31_999, 400, 9_613, 719, 22_000):
        clip = speech[3][:n_samples]
        assert differences(fused.hidden_states([clip]), stock.hidden_states([clip])) < TOLERANCE


def test_the_bias_table_is_that_of_the_stock_module_bit_for_bit(loaded_tiny):
    attention = loaded_tiny("wavlm")._blocks[0].attention
    assert isinstance(attention, FusedAttention)
    # beyond 800 frames every distance falls in the last bucket
    for n_frames in (1, 2, 149, 37, 1200):
        assert torch.equal(
            attention.bias_table(n_frames), attention.compute_bias(n_frames, n_frames)
        )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("blocks", [[1, 2], [2, 3], [3]])
def test_a_backbone_of_fewer_blocks_attends_as_the_stock_one_of_these_blocks(
    name, blocks, tiny, speech
):
    stock, fused = (backbone.keep(blocks) for backbone in pair(tiny(name)))
    assert fused.attention == "fused"
    assert differences(fused.hidden_states(speech), stock.hidden_states(speech)) < TOLERANCE
    assert (
        differences(fused.replica().hidden_states(speech), stock.hidden_states(speech)) < TOLERANCE
    )


def test_replicas_share_every_weight_also_the_joined_projections(loaded_tiny):
    fused = loaded_tiny("wavlm")
    mine, others = fused._blocks[1].attention, fused.replica()._blocks[1].attention
    assert mine is not others
    assert mine._qkv_weight is others._qkv_weight
    joined = mine._qkv_weight.untyped_storage().data_ptr()
    projections = (mine.q_proj, mine.k_proj, mine.v_proj)
    assert {projection.weight.untyped_storage().data_ptr() for projection in projections} == {
        joined
    }


@pytest.mark.parametrize("name", KINDS)
def test_fingerprint_names_and_saved_weights_are_those_of_the_stock_model(name, tiny, tmp_path):
    stock, fused = pair(tiny(name))
    assert fused.fingerprint() == stock.fingerprint()
    assert list(fused._encoder.state_dict()) == list(stock._encoder.state_dict())
    names = [name for name, _ in stock._encoder.named_parameters()]
    assert [name for name, _ in fused._encoder.named_parameters()] == names
    for backbone, folder in ((stock, "stock"), (fused, "fused")):
        backbone.truncate(2).save(tmp_path / folder)
    one, other = (
        load_file(tmp_path / folder / "model.safetensors") for folder in ("stock", "fused")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_unfused_again_it_is_the_stock_module_with_nothing_left_behind(tiny, speech):
    stock, fused = pair(tiny("wavlm"))
    with stock_attention(fused._encoder):
        inside = fused.hidden_states(speech)
    assert isinstance(fused._blocks[0].attention, FusedAttention)
    unfuse(fused._encoder)
    assert differences(fused.hidden_states(speech), inside) == 0
    assert vars(fused._blocks[0].attention).keys() == vars(stock._blocks[0].attention).keys()
    assert (
        dict(fused._encoder.named_buffers()).keys() == dict(stock._encoder.named_buffers()).keys()
    )
    assert fuse(fused._encoder)
    assert not fuse(fused._encoder)


def test_a_stock_module_that_computes_something_else_is_kept_with_a_warning(
    tiny, speech, monkeypatch
):
    """As a later version of transformers might: the fused kernel then computes another model."""
    before = WavLMAttention.torch_multi_head_self_attention

    def doubled(self, hidden_states, attention_mask, gated_position_bias):
        return before(self, hidden_states, attention_mask, 2 * gated_position_bias)

    monkeypatch.setattr(WavLMAttention, "torch_multi_head_self_attention", doubled)
    with pytest.warns(
        UserWarning,
        match=r"fused attention gives other hidden states .*layer 1 .*stock one is used",
    ):
        backbone = load_backbone(str(tiny("wavlm")))
    assert backbone.attention == "stock"
    stock = load_backbone(str(tiny("wavlm")), attention="stock")
    assert differences(backbone.hidden_states(speech), stock.hidden_states(speech)) < TOLERANCE


def test_other_families_keep_their_attention(loaded_tiny):
    assert loaded_tiny("hubert").attention == "stock"


def test_an_attention_that_there_is_not_is_refused(tiny):
    with pytest.raises(BackboneUnsupported, match=r"attention=flash: expected auto or stock"):
        load_backbone(str(tiny("wavlm")), attention="flash")


@torch.inference_mode()
def test_a_product_through_onednn_is_the_product():
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(7, 32, generator=generator), torch.randn(7, generator=generator)
    x = torch.randn(4, 6, 32, generator=generator)
    for given in (x, x[:, ::2], x.transpose(0, 1), x[0], x[0, 0], x[None], x[:0]):
        torch.testing.assert_close(
            linear_onednn(given, weight, bias), functional.linear(given, weight, bias)
        )
        torch.testing.assert_close(
            linear_onednn(given, weight, None), functional.linear(given, weight)
        )
    with torch.autocast("cpu", torch.bfloat16):
        assert linear_onednn(x, weight, bias).dtype == torch.bfloat16
    assert linear_onednn(x.double(), weight.double(), None).dtype == torch.float64


@pytest.mark.parametrize("name", ["hubert", "wav2vec2-conformer", "whisper", "moonshine"])
def test_linear_layers_through_onednn_give_the_same_layers_in_other_families(name, tiny, speech):
    stock, fast = pair(tiny(name))
    if not use_fast_products(fast._encoder, fast.device):
        for module in fast._encoder.modules():
            if type(module) is torch.nn.Linear:
                module.__class__ = OneDnnLinear
    assert any(isinstance(module, OneDnnLinear) for module in fast._encoder.modules())
    assert not any(isinstance(module, OneDnnLinear) for module in stock._encoder.modules())
    clips = [clip[:9_613] for clip in speech]
    assert differences(fast.hidden_states(clips), stock.hidden_states(clips)) < 5e-5
    assert fast.fingerprint() == stock.fingerprint()
