"""The model that is tuned: a backbone and the head on its layers, from waveforms to logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from probing.backbones.layers import HiddenStates, at_least_float32
from probing.extraction.pooling import frame_weights, pool_with_gradients
from probing.heads.stack import HeadStack

if TYPE_CHECKING:
    from probing.backbones import Trainable


class TunedModel(nn.Module):
    """A backbone of k blocks and one head on its layers 1..k.

    Args:
        backbone: its own weights, which learn.
        padding: of the backbone, see `Backbone`.
        head: a stack of one model of depth k; its standardisation stays as it is.
        n_frames: frames tier: the head sees the first so many frames; None all.
    """

    def __init__(
        self, backbone: Trainable, padding: str, head: HeadStack, n_frames: int | None
    ) -> None:
        super().__init__()
        assert len(head.models) == 1
        self.backbone = backbone
        self.padding = padding
        self.head = head
        self.n_frames = n_frames

    def forward(
        self, waveforms: Sequence[np.ndarray], autocast: torch.autocast, frozen: bool = False
    ) -> Tensor:
        """Logits (B, O) of clips at 16 kHz.

        Args:
            waveforms: see `Backbone.hidden_states`.
            autocast: what the backbone computes under; the head computes in float32.
            frozen: keep nothing for gradients of the backbone.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen), autocast:
            states = self.backbone(waveforms)
        x, mask = seen(states, self.head, self.n_frames)
        return self.head(self.head.standardized(x), mask)[0]


def seen(
    states: HiddenStates, head: HeadStack, n_frames: int | None
) -> tuple[Tensor, Tensor | None]:
    """What a head sees of hidden states: (B, L, T, D), and which frames are valid.

    Pooled states are (B, L, 1, 2 D).
    """
    layers = [at_least_float32(layer) for layer in states.layers[1 : head.n_layers + 1]]
    if not head.frames:
        weights = frame_weights(states.n_frames, layers[0].shape[1], layers[0].device)
        pooled = [pool_with_gradients(layer, weights).flatten(1) for layer in layers]
        return torch.stack(pooled, dim=1)[:, :, None], None
    longest = min(layers[0].shape[1], n_frames or layers[0].shape[1])
    x = torch.stack([layer[:, :longest] for layer in layers], dim=1)
    counts = torch.tensor(states.n_frames, device=x.device)[:, None]
    return x, torch.arange(longest, device=x.device) < counts
