"""The centre of what the front end sees, found by altering the waveform, is the centre that a cache
gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
import torch
from tiny_models import TINY_NAMES
from torch import nn

from cache.timing import timing_in
from probing.backbones import Backbone, load_backbone

# The last module of each front end; what comes after it, as a positional convolution, looks to both
# sides.
ENDS = {"sew": "encoder.pool", "sew-d": "encoder.pool", "wav2vec2-bert": "feature_projection"}
ENDS |= {"whisper": "conv2", "moonshine": "conv3", "moonshine-streaming": "embedder"}
ALTERED = 2400  # samples, more than any front end sees
FRAME = 9


def without_statistics(module: nn.Module) -> None:
    """Take out the norms over time, through which every frame sees a little of the whole clip."""
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.Identity())
        else:
            without_statistics(child)


def front_end(backbone: Backbone, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function that gives the frames (T, C) of a clip where they leave the front end."""
    encoder = backbone._encoder
    if name in ("log-mel", "lfcc"):
        return lambda clip: backbone.hidden_states([clip]).layers[0][0].numpy()
    without_statistics(encoder)
    if name == "wav2vec2-bert":
        extractor = backbone._input._extractor  # type: ignore[attr-defined]
        backbone._input._extractor = functools.partial(extractor, do_normalize_per_mel_bins=False)  # type: ignore
    found = []
    module = reduce(getattr, ENDS.get(name, "feature_extractor").split("."), encoder)
    module.register_forward_hook(
        lambda _, __, output: found.append(output[0] if isinstance(output, tuple) else output)
    )
    has_time_last = name not in ("wav2vec2-bert", "moonshine-streaming")

    def frames(clip: np.ndarray) -> np.ndarray:
        found.clear()
        backbone.hidden_states([clip])
        return (found[0][0].T if has_time_last else found[0][0]).numpy()

    return frames


def seen(
    frames: Callable[[np.ndarray], np.ndarray], clip: np.ndarray, near: int
) -> tuple[int, int]:
    """The first sample that a frame depends on, and the one behind the last, each found by
    bisection.
    """
    before = frames(clip)[FRAME]

    def changes(start: int) -> bool:
        altered = clip.copy()
        altered[max(0, start) : start + ALTERED] *= -0.5
        return bool(np.abs(frames(altered)[FRAME] - before).max() > 1e-7 * np.abs(before).max())

    def boundary(low: int, high: int) -> int:
        """The least start in (low, high] at which the answer is another than at `low`."""
        at_low = changes(low)
        assert changes(high) != at_low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if changes(middle) != at_low else (middle, high)
        return high

    return boundary(near - ALTERED - 1500, near - ALTERED // 2) + ALTERED - 1, boundary(
        near - 700, near + 1500
    )


@pytest.mark.parametrize("name", [*TINY_NAMES, "log-mel", "lfcc"])
def test_a_frame_is_centred_where_the_timing_says(name, tiny, speech):
    backbone = load_backbone(
        name if name in ("log-mel", "lfcc") else str(tiny(name)), normalize="auto"
    )
    if hasattr(backbone._input, "unit_variance"):
        backbone._input.unit_variance = False  # type: ignore[attr-defined]
    assert backbone.timing is not None
    expected = backbone.timing.centre + FRAME * backbone.timing.hop
    generator = np.random.default_rng(0)
    clip = generator.normal(0, 0.05, 16_000).astype(np.float32)
    clip[14_000:] *= 10  # Whisper clips its spectrogram below the loudest band
    with torch.inference_mode():
        first, stop = seen(front_end(backbone, name), clip, round(expected))
    # windows of mel bands end in zeros
    assert (first + stop) / 2 == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_fingerprint_of_before_implies_the_same_timing(name, loaded_tiny):
    backbone = loaded_tiny(name)
    implied = timing_in({f"backbone_{key}": value for key, value in backbone.fingerprint().items()})
    assert implied == backbone.timing
