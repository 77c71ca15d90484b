"""Scoring with early exit: blocks are computed for the utterances that no exit was sure of yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache.quantization import INT8
from cache.quantization import decode as decoded_frames
from probing.audio import Waveform
from probing.backbones import Backbone
from probing.exits import ExitPolicy
from probing.extraction import Options
from probing.extraction.layers import by_batches
from probing.extraction.pooling import frame_weights, pool
from probing.extraction.quantization import packed
from probing.progress import progress_line
from probing.serving.heads import AnyHead, ServingError

NOT_FINITE = "hidden states are not finite: NaN or infinite values"


class EarlyExit:
    """A policy with the heads of its exits.

    Attributes:
        policy, heads: (E,), one an exit, all of one tier. depth: blocks that the last exit needs.
    """

    def __init__(self, policy: ExitPolicy, heads: Sequence[AnyHead]) -> None:
        self.policy, self.heads = policy, list(heads)
        if [head.layers[-1] for head in self.heads] != list(policy.depths):
            raise ServingError(f"heads of depths {[head.layers[-1] for head in self.heads]}, exits {policy.depths}")
        self.depth = policy.depths[-1]
        self.tier = self.heads[0].tier

    def score(
        self, batch: Mapping[str, Waveform], backbone: Backbone, options: Options
    ) -> dict[str, tuple[float, int]]:
        """Calibrated score, and the depth where it left, of each utterance of a batch.

        Those whose states are not finite are not there.
        """
        lengths = [backbone.n_frames(len(waveform)) for waveform in batch.values()]
        pass_ = _Pass(self, lengths, options.tiers[self.tier])
        backbone.run_until(list(batch.values()), pass_.done)
        return {
            name: (float(score), int(depth))
            for name, score, depth in zip(batch, pass_.scores, pass_.depths, strict=True)
            if depth >= 0
        }


class _Pass:
    """What is known of the clips of one forward pass."""

    def __init__(self, early: EarlyExit, n_frames: Sequence[int], dtype: str) -> None:
        self.early, self.n_frames, self.dtype = early, n_frames, dtype
        self.layers: list[dict[int, NDArray[np.float32]]] = []  # of each layer, by clip: (2, D), or its frames (T, D)
        self.logits = np.zeros((len(early.heads), len(n_frames)))
        self.scores = np.zeros(len(n_frames))
        self.depths = np.full(len(n_frames), -1)

    def done(self, layer: int, here: NDArray[np.intp], states: Tensor) -> NDArray[np.bool_]:
        """Which clips leave at a layer; see `Backbone.run_until`."""
        values = self._kept(here, states)
        self.layers.append(dict(zip(map(int, here), values, strict=True)))
        leave = np.array([not np.isfinite(one).all() for one in values])
        policy = self.early.policy
        if layer not in policy.depths:
            return leave
        usable = here[~leave]
        number = policy.depths.index(layer)
        self.logits[number, usable] = self._logits(self.early.heads[number], usable)
        log_odds = policy.log_odds(self.logits[: number + 1, usable])
        sure = policy.leaves(log_odds) if len(usable) else np.zeros(0, bool)
        self.scores[usable[sure]], self.depths[usable[sure]] = log_odds[-1][sure], layer
        leave[~leave] = sure
        return leave

    def _kept(self, here: NDArray[np.intp], states: Tensor) -> list[NDArray[np.float32]]:
        """What a cache would keep of each clip's states, rounded as it rounds."""
        lengths = [self.n_frames[i] for i in here]
        if self.early.tier == "pooled":
            pooled = pool(states, frame_weights(lengths, states.shape[1], states.device))
            return list(pooled.to(getattr(torch, self.dtype)).float().cpu().numpy())
        valid = [of[:n] for of, n in zip(states, lengths, strict=True)]
        if self.dtype == INT8:
            return [decoded_frames(packed(of[None])[0].cpu().numpy()) for of in valid]
        return [of.to(getattr(torch, self.dtype)).float().cpu().numpy() for of in valid]

    def _logits(self, head: AnyHead, clips: NDArray[np.intp]) -> NDArray[np.float64]:
        if not len(clips):
            return np.zeros(0)
        of_clips = [np.stack([self.layers[layer][int(i)] for layer in head.layers]) for i in clips]
        if self.early.tier == "frames":
            return np.array([head.score(x)[0] for x in of_clips])
        return head.score(np.stack(of_clips, axis=1))


def score_early(
    early: EarlyExit,
    backbone: Backbone,
    options: Options,
    files: dict[str, Path],
    on_failure: Callable[[str, str], None],
    batch_size: int | None = None,
) -> dict[str, tuple[float, int]]:
    """Calibrated score and depth by name of audio files, in their order; those of no use are told to `on_failure`."""
    found: dict[str, tuple[float, int]] = {}
    with progress_line("Scoring", len(files), "files") as line:

        def failed(name: str, reason: str) -> None:
            line.advance(1)
            on_failure(name, reason)

        def score(batch: dict[str, Waveform], failures: dict[str, str]) -> dict[str, tuple[float, int]]:
            scored = early.score(batch, backbone, options)
            failures |= {name: NOT_FINITE for name in batch if name not in scored}
            return scored

        for name, one in by_batches(files, backbone, options, score, batch_size=batch_size, on_failure=failed):
            found[name] = one
            line.advance(1)
    return found
