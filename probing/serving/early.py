"""Scoring with early exit: blocks are computed for the utterances that no exit was sure of yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache.errors import argument
from cache.quantization import INT8
from cache.quantization import decode as decoded_frames
from probing.audio import Waveform
from probing.backbones import Backbone
from probing.extraction import Options
from probing.extraction.pooling import frame_weights, pool
from probing.extraction.quantization import packed
from probing.extraction.states import out_of_memory
from probing.heads.head import Head
from probing.serving.exit_heads import ExitHeads
from probing.serving.layer_probe import LayerProbe
from probing.serving.training_clips import mean_over_time


@dataclass(frozen=True)
class Left:
    """A scored utterance: its calibrated score, the depth where it left, a mean over time.

    Attributes:
        mean: (D,) of the layer wanted; None if it left before that.
    """

    score: float
    depth: int
    mean: NDArray[np.float64] | None = None


def score_batch(
    exits: ExitHeads,
    batch: Mapping[str, Waveform],
    backbone: Backbone,
    options: Options,
    layer: int | None = None,
) -> dict[str, Left]:
    """Score the utterances of a batch by name; those whose states are not finite are not there.

    Args:
        exits: heads and policy.
        batch: waveforms by name.
        backbone: with the blocks that the last exit needs.
        options: how states are rounded.
        layer: whose mean over time is wanted.

    Raises:
        ProbeError: out of memory.
    """
    lengths = [backbone.n_frames(len(waveform)) for waveform in batch.values()]
    one_pass = _Pass(exits, lengths, options.tiers[exits.tier])
    try:
        backbone.run_until(list(batch.values()), one_pass.done)
    except torch.OutOfMemoryError:
        raise out_of_memory(
            batch, backbone, f"Use {argument('device', 'cpu')}, or shorter clips"
        ) from None
    return {
        name: Left(float(one_pass.scores[i]), int(one_pass.depths[i]), one_pass.mean(i, layer))
        for i, name in enumerate(batch)
        if one_pass.depths[i] >= 0
    }


class _Pass:
    """What is known of the clips of one forward pass."""

    def __init__(self, exits: ExitHeads, n_frames: Sequence[int], dtype: str) -> None:
        self.exits = exits
        self.n_frames = n_frames
        self.dtype = dtype
        # of each layer, by clip: (2, D), or its frames (T, D)
        self.layers: list[dict[int, NDArray[np.float32]]] = []
        self.logits = np.zeros((len(exits.heads), len(n_frames)))
        self.scores = np.zeros(len(n_frames))
        self.depths = np.full(len(n_frames), -1)

    def done(self, layer: int, here: NDArray[np.intp], states: Tensor) -> NDArray[np.bool_]:
        """Which clips leave at a layer; see `Backbone.run_until`."""
        values = self._kept(here, states)
        self.layers.append(dict(zip(map(int, here), values, strict=True)))
        leave = np.array([not np.isfinite(kept).all() for kept in values])
        policy = self.exits.policy
        if layer not in policy.depths:
            return leave
        usable = here[~leave]
        number = policy.depths.index(layer)
        self.logits[number, usable] = self._logits(self.exits.heads[number], usable)
        log_odds = policy.log_odds(self.logits[: number + 1, usable])
        sure = policy.leaves(log_odds) if len(usable) else np.zeros(0, bool)
        self.scores[usable[sure]], self.depths[usable[sure]] = log_odds[-1][sure], layer
        leave[~leave] = sure
        return leave

    def mean(self, clip: int, layer: int | None) -> NDArray[np.float64] | None:
        """Mean over time (D,) of a layer of a clip; None if it left before that."""
        if layer is None or layer >= len(self.layers) or clip not in self.layers[layer]:
            return None
        return mean_over_time(self.layers[layer][clip], self.exits.tier)

    def _kept(self, here: NDArray[np.intp], states: Tensor) -> list[NDArray[np.float32]]:
        """What a cache would keep of each clip's states, rounded as it rounds."""
        lengths = [self.n_frames[i] for i in here]
        if self.exits.tier == "pooled":
            pooled = pool(states, frame_weights(lengths, states.shape[1], states.device))
            return list(pooled.to(getattr(torch, self.dtype)).float().cpu().numpy())
        valid = [of[:n] for of, n in zip(states, lengths, strict=True)]
        if self.dtype == INT8:
            return [decoded_frames(packed(of[None])[0].cpu().numpy()) for of in valid]
        return [of.to(getattr(torch, self.dtype)).float().cpu().numpy() for of in valid]

    def _logits(self, head: Head | LayerProbe, clips: NDArray[np.intp]) -> NDArray[np.float64]:
        if not len(clips):
            return np.zeros(0)
        of_clips = [np.stack([self.layers[layer][int(i)] for layer in head.layers]) for i in clips]
        if self.exits.tier == "frames":
            return np.array([head.score(x)[0] for x in of_clips])
        return head.score(np.stack(of_clips, axis=1))
