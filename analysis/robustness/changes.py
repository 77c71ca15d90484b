"""What a condition changes in the layers: of pooled vectors, and frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.augmentation import Augmentation
from probing.progress import progress_line
from probing.robustness import Condition

ROWS_AT_ONCE = 1024
VALUES_AT_ONCE = 2**22  # of frames in memory, of one cache
Values = NDArray[np.float64]
Part = tuple[Cache, pd.DataFrame]  # a cache, and the rows of its utterances that are looked at


def pooled_changes(layer: int, clean: Part, view: Part) -> dict[str, float]:
    """Noise-to-signal ratio (Wu et al. 2020) and cosine of pooled vectors, mean over utterances."""
    ratios, cosines = [], []
    for first in range(0, len(clean[1]), ROWS_AT_ONCE):
        x, y = (
            cache.pooled([layer], table.iloc[first : first + ROWS_AT_ONCE])[0].astype(np.float64)
            for cache, table in (clean, view)
        )
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        norms = np.linalg.norm(x, axis=1)
        ratios.append(np.linalg.norm(y - x, axis=1) / norms)
        cosines.append((x * y).sum(axis=1) / (norms * np.linalg.norm(y, axis=1)))
    return {
        "noise_to_signal": float(np.concatenate(ratios).mean()),
        "cosine": float(np.concatenate(cosines).mean()),
    }


@dataclass(frozen=True)
class FrameChanges:
    """Changes of frames.

    values: (condition, layer) -> `frames_noise_to_signal` and `frames_cosine`.
    left_out: condition -> why its frames are not compared.
    """

    values: Mapping[tuple[str, int], Mapping[str, float]]
    left_out: Mapping[str, str]


def changes_of_frames(
    layers: Sequence[int], clean: Part, views: Mapping[str, Part], conditions: Sequence[Condition]
) -> FrameChanges:
    """Compare the frames of every view with those at the same time of the clean cache.

    Args:
        layers: which.
        clean: cache and rows.
        views: name of a condition -> cache and rows, of the same utterances in the same order.
        conditions: what they are. One that moves time is left out, as no frame has its like.

    Returns:
        Nothing where one of the caches has no frames.
    """
    if any("frames" not in cache.tiers for cache, _ in (clean, *views.values())):
        return FrameChanges({}, {})
    moved = {
        condition.name
        for condition in conditions
        if any(part.moves_time for part in Augmentation.of(condition.view))
    }
    values: dict[tuple[str, int], dict[str, float]] = {}
    left_out = {}
    with progress_line("Comparing frames", len(views), "conditions") as line:
        for name, view in views.items():
            lengths = [table["n_frames"].to_numpy() for _, table in (clean, view)]
            if name in moved:
                left_out[name] = "it moves time"
            elif n := int((lengths[0] != lengths[1]).sum()):
                have = "1 utterance has" if n == 1 else f"{n} utterances have"
                left_out[name] = f"{have} another number of frames than the clean ones"
            else:
                ratios, cosines = _of_view(layers, clean, view)
                for layer, ratio, cosine in zip(layers, ratios, cosines, strict=True):
                    values[name, layer] = {
                        "frames_noise_to_signal": float(ratio),
                        "frames_cosine": float(cosine),
                    }
            line.advance(1, name)
    return FrameChanges(values, left_out)


def _of_view(layers: Sequence[int], clean: Part, view: Part) -> tuple[Values, Values]:
    """Ratios |X~ - X| / |X| over all frames of an utterance, and cosines of frames: (layers,),
    means over utterances.

    A frame of zeros has no direction, and no cosine.
    """
    caches = clean[0], view[0]
    at_once = max(1, VALUES_AT_ONCE // (len(layers) * clean[0].dim))
    ratios, cosines = [], []
    for utterance, n_frames in zip(clean[1]["utterance_id"], clean[1]["n_frames"], strict=True):
        noise, signal, cosine, n = np.zeros((4, len(layers)))
        for first in range(0, int(n_frames), at_once):
            x, y = (
                np.empty(
                    (1, len(layers), min(at_once, int(n_frames) - first), cache.dim), np.float32
                )
                for cache in caches
            )
            for cache, out in zip(caches, (x, y), strict=True):
                cache.frames_into(out, [utterance], layers, [first])
            x, y = x[0], y[0]
            squares = _sums(x, x)
            norms = np.sqrt(squares * _sums(y, y))
            there = norms > 0
            cosine += np.divide(_sums(x, y), norms, out=np.zeros_like(norms), where=there).sum(
                axis=1
            )
            n += there.sum(axis=1)
            signal += squares.sum(axis=1)
            y -= x
            noise += _sums(y, y).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # an utterance of zeros
            ratios.append(np.sqrt(noise / signal))
            cosines.append(cosine / n)
    return np.mean(ratios, axis=0), np.mean(cosines, axis=0)


def _sums(x: NDArray[np.float32], y: NDArray[np.float32]) -> Values:
    """Inner products (layers, T) of frames (layers, T, D), summed in float64."""
    return np.einsum("ltd,ltd->lt", x, y, dtype=np.float64)
