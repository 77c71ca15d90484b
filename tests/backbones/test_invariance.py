from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from tiny_models import TINY_NAMES

from probing.backbones import ClipUnusable, load_backbone

EQUAL = {"data2vec-audio", "wav2vec2-conformer", "hubert-batch-norm", "sew", "sew-d"}
EQUAL |= {"moonshine", "moonshine-streaming"}
TOLERANCE = 5e-5  # of the layer's root mean square; the promise is 1e-4


def worst(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape
    scale = other.pow(2).mean(dim=(1, 2), keepdim=True).sqrt()
    return float(((one - other).abs() / scale).max())


@pytest.mark.parametrize("name", TINY_NAMES)
def test_padding_is_declared(name, loaded_tiny):
    assert loaded_tiny(name).padding == ("equal" if name in EQUAL else "exact")


@pytest.mark.parametrize("name", [name for name in TINY_NAMES if name not in EQUAL])
def test_a_clip_gives_the_same_layers_alone_and_padded(name, loaded_tiny, speech, record_property):
    backbone = loaded_tiny(name)
    batch = backbone.hidden_states(speech)
    difference = max(
        worst(batch.clip(i), backbone.hidden_states([clip]).clip(0))
        for i, clip in enumerate(speech)
    )
    record_property("difference", difference)
    assert difference < TOLERANCE


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_clip_gives_the_same_layers_alone_and_among_equals(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    equals = [clip[-9_613:] for clip in speech]
    batch = backbone.hidden_states(equals)
    for i, clip in enumerate(equals):
        assert worst(batch.clip(i), backbone.hidden_states([clip]).clip(0)) < TOLERANCE


@pytest.mark.parametrize("name", sorted(EQUAL))
def test_unequal_clips_are_refused_where_padding_leaks(name, loaded_tiny, speech):
    with pytest.raises(ClipUnusable, match=r"9613 to 31999 samples.*equal length"):
        loaded_tiny(name).hidden_states(speech)


def test_the_tolerance_would_notice_a_group_norm_over_padding(tiny, loaded_tiny, speech):
    model = transformers.AutoModel.from_pretrained(tiny("hubert-group")).eval()
    short, long = speech[0], speech[3]
    padded = torch.from_numpy(np.stack([np.pad(short, (0, len(long) - len(short))), long]))
    mask = (torch.arange(len(long)) < torch.tensor([[len(short)], [len(long)]])).long()
    backbone = loaded_tiny("hubert-group")
    with torch.inference_mode():
        naive = model(padded, attention_mask=mask).last_hidden_state[
            :1, : backbone.n_frames(len(short))
        ]
    assert worst(naive, backbone.hidden_states([short]).clip(0)[-1:]) > 0.05


def test_a_quiet_clip_is_not_disturbed_by_a_loud_neighbour(loaded_tiny, speech):
    backbone = loaded_tiny("wavlm")
    quiet = speech[0] * 1e-3
    batch = backbone.hidden_states([quiet, speech[3] * 2])
    assert worst(batch.clip(0), backbone.hidden_states([quiet]).clip(0)) < TOLERANCE


def test_the_front_end_is_back_in_place_after_a_padded_batch(tiny, speech):
    backbone = load_backbone(str(tiny("hubert-group")))
    before = backbone.fingerprint()
    backbone.hidden_states(speech)
    assert backbone.fingerprint() == before
    again = load_backbone(str(tiny("hubert-group")))
    again.hidden_states(speech)
    assert again.fingerprint() == before
