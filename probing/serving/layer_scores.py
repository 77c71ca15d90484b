"""Scores of heads on layers just computed, of clips as they are or of noised copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probing.audio import Waveform
from probing.augmentation.smoothing import Smoothing
from probing.backbones import Backbone
from probing.extraction import Options
from probing.extraction.layers import states_by_name
from probing.serving.heads import AnyHead


def score_of_layers(head: AnyHead, layers: NDArray[Any]) -> float:
    """Score of an utterance by all its layers, as `layers_of` gives them."""
    x = layers[head.layers]
    return float(head.score(x if head.tier == "frames" else x[:, None])[0])


def scores_of_batch(
    heads: Sequence[AnyHead],
    batch: Mapping[str, Waveform],
    backbone: Backbone,
    options: Options,
    smoothing: Smoothing,
    failures: dict[str, str],
) -> dict[str, NDArray[np.float64]]:
    """Scores of several heads of one tier on the clips of a batch, (heads,) by name.

    Args:
        heads: trained.
        batch: waveforms by name, of lengths that may share a batch.
        backbone: with the blocks that all heads need.
        options: how states are rounded.
        smoothing: noised copies to score instead, if any.
        failures: takes the reason why a clip is not there.
    """

    def score(copies: dict[str, Waveform]) -> dict[str, NDArray[np.float64]]:
        states = states_by_name(copies, backbone, options, failures)
        return {
            name: np.array([score_of_layers(head, of) for head in heads])
            for name, of in states.items()
        }

    return smoothing.mean(batch, score)
