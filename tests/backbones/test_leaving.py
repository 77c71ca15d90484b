"""Clips that leave a forward pass early: what is computed of the others is what a whole pass
computes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import TINY_NAMES

from probing.backbones import load_backbone

TOLERANCE = 5e-5  # of a layer's root mean square
# as many clips as the small models have heads, so that the one is not taken for the other
LEAVE_AT = (2, 0, 1, 9)


def run_until(backbone, clips, leave_at):
    """Layer -> {position: states}, and how many clips entered each block."""
    seen: dict[int, dict[int, torch.Tensor]] = {}
    entered = [0] * backbone.n_layers
    handles = [
        block.register_forward_hook(
            lambda _, args, kwargs, __, k=k: entered.__setitem__(
                k, len(args[0] if args else kwargs["hidden_states"])
            ),
            with_kwargs=True,
        )
        for k, block in enumerate(backbone._blocks)
    ]

    def done(layer, here, states):
        frames = [backbone.n_frames(len(clips[i])) for i in here]
        seen[layer] = {
            int(i): of[:n].clone() for i, of, n in zip(here, states, frames, strict=True)
        }
        return np.array([leave_at[i] <= layer for i in here])

    backbone.run_until(clips, done)
    for handle in handles:
        handle.remove()
    return seen, entered


@pytest.mark.parametrize(
    ("name", "attention"),
    [*((name, "auto") for name in TINY_NAMES), ("wavlm", "stock"), ("wavlm-group", "stock")],
)
def test_states_of_clips_that_stay_are_those_of_a_whole_pass(name, attention, tiny, speech):
    backbone = load_backbone(str(tiny(name)), attention=attention)
    clips = speech if backbone.padding == "exact" else [clip[-9_613:] for clip in speech]
    seen, entered = run_until(backbone, clips, LEAVE_AT)
    whole = backbone.hidden_states(clips)
    last = backbone.n_layers
    assert entered == [sum(at > k for at in LEAVE_AT) for k in range(last)]
    for layer in range(last + 1):
        assert set(seen[layer]) == {i for i, at in enumerate(LEAVE_AT) if at >= layer}
        for i, states in seen[layer].items():
            expected = whole.layers[layer][i, : whole.n_frames[i]]
            assert (
                float((states - expected).abs().max() / expected.square().mean().sqrt()) < TOLERANCE
            )


def test_a_pass_ends_where_the_last_clip_leaves(loaded_tiny, speech):
    backbone = loaded_tiny("wavlm")
    seen, entered = run_until(backbone, speech[:2], (1, 1))
    assert entered == [2, 0, 0]
    assert sorted(seen) == [0, 1]


def test_nothing_of_an_early_end_is_left_in_the_model(loaded_tiny, speech):
    backbone = loaded_tiny("wavlm")
    before = backbone.hidden_states(speech)
    run_until(backbone, speech, (0, 0, 0, 0))
    after = backbone.hidden_states(speech)
    assert all(
        torch.equal(one, other) for one, other in zip(before.layers, after.layers, strict=True)
    )
