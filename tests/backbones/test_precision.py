"""16-bit precision is asked for, measured, reported and part of the fingerprint."""

from __future__ import annotations

import pytest
import torch

from probing.backbones import BackboneUnsupported, load_backbone
from probing.backbones.precision import BOUND, full_float32

BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
needs_bf16 = pytest.mark.skipif(not BF16, reason="this CPU has no bfloat16 instructions")


def test_a_cpu_computes_in_float32_by_default(tiny):
    for asked in ("auto", "float32"):
        backbone = load_backbone(str(tiny("wavlm")), device="cpu", precision=asked)
        assert (backbone.precision, backbone.precision_note) == ("float32", "")
        assert backbone.fingerprint()["precision"] == "float32"


@needs_bf16
@pytest.mark.parametrize("name", ["wavlm", "wavlm-group", "hubert", "whisper"])
def test_bf16_gives_nearly_the_same_layers_as_float32_and_says_how_near(
    name, tiny, loaded_tiny, speech
):
    exact = loaded_tiny(name, device="cpu")
    rough = load_backbone(str(tiny(name)), device="cpu", precision="bf16")
    assert rough.fingerprint() == exact.fingerprint() | {"precision": "bf16"}
    assert "bf16 moves layer" in rough.precision_note
    clips = [clip[:9_613] for clip in speech]
    for one, other in zip(
        rough.hidden_states(clips).layers, exact.hidden_states(clips).layers, strict=True
    ):
        assert one.dtype == torch.float32
        assert float((one - other).square().mean().sqrt() / other.square().mean().sqrt()) < BOUND
    assert not torch.equal(one, other)


@needs_bf16
def test_bf16_stays_with_a_backbone_of_fewer_blocks_and_with_replicas(tiny, speech):
    backbone = load_backbone(str(tiny("wavlm")), device="cpu", precision="bf16")
    for kept in (backbone.truncate(2), backbone.replica()):
        assert kept.precision == "bf16"
        layers = kept.hidden_states([speech[0]]).layers
        torch.testing.assert_close(
            layers, backbone.hidden_states([speech[0]]).layers[: len(layers)]
        )


@needs_bf16
def test_a_clip_alone_in_bf16_is_near_the_same_clip_padded(tiny, speech):
    backbone = load_backbone(str(tiny("wavlm")), device="cpu", precision="bf16")
    batch = backbone.hidden_states(speech[:2]).clip(0)
    alone = backbone.hidden_states(speech[:1]).clip(0)
    assert float((batch - alone).square().mean().sqrt() / alone.square().mean().sqrt()) < BOUND


@pytest.mark.parametrize("asked", ["half", "float16", ""])
def test_a_precision_that_there_is_not_is_refused(asked, tiny):
    with pytest.raises(BackboneUnsupported, match=r"expected auto, float32, bf16, fp16"):
        load_backbone(str(tiny("wavlm")), precision=asked)


@pytest.mark.skipif(
    torch.ops.mkldnn._is_mkldnn_fp16_supported(), reason="this CPU has float16 instructions"
)
def test_a_precision_that_the_cpu_would_imitate_is_refused(tiny):
    with pytest.raises(
        BackboneUnsupported, match=r"precision=fp16: this CPU .*Use precision=float32"
    ):
        load_backbone(str(tiny("wavlm")), device="cpu", precision="fp16")


def test_tf32_stays_off_until_the_last_of_several_passes_is_done():
    device = torch.device("cuda")  # the setting is there without one
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        first, second = full_float32(device), full_float32(device)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "highest"
        second.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
