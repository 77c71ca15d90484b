from __future__ import annotations

import numpy as np
import pytest
from tiny_models import FRAMES_OF_30_S, TINY_NAMES

from probing.backbones import ClipUnusable, load_backbone
from probing.backbones.families import FrameRule
from probing.backbones.layers import measured_frame_rule

WINDOW_AND_HOP = {"wav2vec2-bert": (560, 320), "whisper": (1, 320), "moonshine": (895, 384)}
WINDOW_AND_HOP |= {"sew": (720, 640), "sew-d": (720, 640), "moonshine-streaming": (80, 320)}


@pytest.mark.parametrize("name", TINY_NAMES)
def test_frames_given_are_frames_announced(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    window, hop = WINDOW_AND_HOP.get(name, (400, 320))
    clip = speech[3]
    edges = [window + k * hop + offset for k in (1, 2, 7) for offset in (-1, 0, 1)]
    for n_samples in [backbone.min_samples, *edges, 16_001]:
        if n_samples >= backbone.min_samples:
            states = backbone.hidden_states([clip[:n_samples]])
            assert (
                states.n_frames
                == [backbone.n_frames(n_samples)]
                == [(n_samples - window) // hop + 1]
            )
            assert {layer.shape for layer in states.layers} == {
                (1, states.n_frames[0], backbone.dim)
            }
            assert len(states.layers) == backbone.n_layers + 1


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_clip_below_the_shortest_is_refused(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    with pytest.raises(ClipUnusable, match=f"has {backbone.min_samples - 1} samples"):
        backbone.hidden_states([speech[0][: backbone.min_samples - 1]])


def test_every_frame_of_a_batch_is_announced(loaded_tiny, speech):
    backbone = loaded_tiny("wav2vec2-group")
    states = backbone.hidden_states(speech)
    assert states.n_frames == [(len(clip) - 400) // 320 + 1 for clip in speech]
    assert [tuple(states.clip(i).shape) for i in range(4)] == [(4, n, 32) for n in states.n_frames]
    assert {tuple(layer.shape) for layer in states.layers} == {(4, max(states.n_frames), 32)}


def test_whisper_frames_are_those_centred_in_the_clip(build_tiny):
    backbone = load_backbone(str(build_tiny("whisper", **FRAMES_OF_30_S)))
    for n_samples in (1, 319, 320, 321, 640, 641, 479_999, 480_000):
        assert backbone.n_frames(n_samples) == sum(320 * frame < n_samples for frame in range(1500))


def test_whisper_refuses_more_than_its_window(build_tiny):
    backbone = load_backbone(str(build_tiny("whisper", **FRAMES_OF_30_S)))
    assert backbone.max_samples == 480_000
    with pytest.raises(ClipUnusable, match=r"480001 samples.*400 to 480000"):
        backbone.hidden_states([np.zeros(480_001, np.float32)])


def test_convolutions_compose_into_one_rule():
    kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
    rule = FrameRule.of_convolutions(kernels, strides)
    assert (rule.window, rule.hop) == (400, 320)
    for n_samples in range(400, 3000):
        frames = n_samples
        for kernel, stride in zip(kernels, strides, strict=True):
            frames = (frames - kernel) // stride + 1
        assert rule.n_frames(n_samples) == frames


@pytest.mark.parametrize(
    "rule", [FrameRule(400, 320), FrameRule(720, 640), FrameRule(1, 80), FrameRule(-13, 7)]
)
def test_a_frame_rule_is_found_by_measuring(rule):
    assert measured_frame_rule(rule.n_frames) == rule


def test_a_front_end_without_equal_steps_has_no_rule():
    assert measured_frame_rule(lambda n: int(n**0.5)) is None
    assert measured_frame_rule(lambda n: 100) is None


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros((2, 16000), np.float32), "one channel"),
        (np.full(16000, np.nan, np.float32), "not finite"),
    ],
)
def test_a_clip_that_is_not_mono_or_not_finite_is_refused(clip, message, loaded_tiny):
    with pytest.raises(ClipUnusable, match=message):
        loaded_tiny("wav2vec2").hidden_states([clip])


def test_an_empty_batch_is_refused(loaded_tiny):
    with pytest.raises(ClipUnusable, match="no clips"):
        loaded_tiny("wav2vec2").hidden_states([])


def test_silence_gives_finite_numbers(loaded_tiny):
    for name in ("wavlm", "wav2vec2-bert", "whisper"):
        layers = loaded_tiny(name).hidden_states([np.zeros(16000, np.float32)]).layers
        assert all(bool(layer.isfinite().all()) for layer in layers)
