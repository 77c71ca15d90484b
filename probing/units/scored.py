"""Scores of frames as stretches of time."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cache import Cache
from probing.units.units import UnitError


def scored_frames(cache: Cache, frames: pd.DataFrame, scores: ArrayLike) -> pd.DataFrame:
    """The stretch of time of each frame: half a hop to each side of its centre.

    The first frame of a clip stands for what is before it too, and the last one for what is behind
    it, to the end of the clip; frames centred before the beginning stand for what of their stretch
    is in the clip.

    Args:
        cache: that the frames are of.
        frames: `utterance_id` and `first_frame` of each, as `units_of(..., "frame").table` has
            them.
        scores: (N,) one a frame, higher for bona fide.

    Returns:
        DataFrame `utterance_id`, `start`, `end` (seconds), `score`, in the order given; for
        `probing.metrics.range_eer` and its like.

    Raises:
        UnitError: another number of scores, or frames of other utterances.

    >>> cache = Cache("results/demo.cache")
    >>> first = cache.utterances["utterance_id"].iloc[0]
    >>> frames = pd.DataFrame({"utterance_id": first, "first_frame": range(2)})
    >>> scored_frames(cache, frames, [0.5, 1.5])[["start", "end", "score"]].round(4).values.tolist()
    [[0.0, 0.0225, 0.5], [0.0225, 0.0425, 1.5]]
    """
    values = np.asarray(scores, np.float64)
    if values.shape != (len(frames),):
        raise UnitError(f"scores {values.shape}: expected one for each of {len(frames)} frames")
    own = cache.utterances
    at = pd.Index(own["utterance_id"].to_numpy(object)).get_indexer(
        frames["utterance_id"].to_numpy(object)
    )
    if (at < 0).any():
        name = frames["utterance_id"].iloc[int(np.flatnonzero(at < 0)[0])]
        raise UnitError(f"{cache.folder}: no utterance {name!r}. Give frames of this cache")
    timing = cache.frame_timing
    frame = frames["first_frame"].to_numpy(np.int64)
    clip = own["n_samples"].to_numpy()[at] / timing.sampling_rate
    centre = (timing.centre + timing.hop * frame) / timing.sampling_rate
    start = np.where(frame == 0, 0.0, centre - timing.seconds / 2).clip(0, clip)
    end = np.where(
        frame == own["n_frames"].to_numpy()[at] - 1, clip, centre + timing.seconds / 2
    ).clip(0, clip)
    found = pd.DataFrame(
        {
            "utterance_id": frames["utterance_id"].to_numpy(),
            "start": start,
            "end": end,
            "score": values,
        }
    )
    return found[found["end"] > found["start"]].reset_index(drop=True)
