"""Localisation: how well the scores of frames say where utterances are spoofed, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.labels import BONAFIDE, LABELS, SPOOF
from probing.metrics import (
    Interval,
    Resamples,
    ScoresError,
    eer,
    localisation_figures,
    range_pieces,
    rate_interval,
    segments,
    threshold_at_eer,
)
from probing.metrics.localisation import RESOLUTIONS, Pieces, eer_of
from probing.metrics.localisation_resamples import found_resamples, pieces_eer_resamples
from probing.runs.condition_names import condition_name
from probing.sweep.results import Results
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import BINARY
from probing.targets.task import CLIP
from probing.units import scored_frames

LOCALISATION = "localisation"


def localises(split: Split) -> bool:
    """Whether the trials of a split are frames that are bona fide or spoofed.

    >>> from cache import Cache
    >>> from probing.sweep import SweepOptions
    >>> splits = SweepOptions().splits(Cache("results/demo.cache"))
    >>> localises(splits["train"])  # whole utterances
    False
    """
    task = split.task
    meant = {LABELS.get(name) for name in task.classes}
    return split.unit == "frame" and task.name == BINARY and meant == {BONAFIDE, SPOOF}


def add_localisation(
    results: Results, splits: dict[str, Split], scores: Mapping[str, NDArray[np.float64]], **of: Any
) -> None:
    """Add range EER, segment EERs, and F1, precision and recall of spoofed time of a probe or head.

    The last three are at the threshold where misses and false alarms of dev are nearest to each
    other. Intervals are of the resamples of the frames: what time is spoofed, or is not, is drawn
    with the frames of its utterance that are.

    Args:
        results: of the sweep.
        splits: parts whose trials are frames.
        scores: of all parts but `train`.
        of: whose they are, as columns of the results: head, layer, depth.
    """
    threshold = None
    for part in ("dev", *(part for part, split in splits.items() if split.name == EVAL)):
        split = splits[part]
        resamples = results.resamples[part]
        clusters = _Clusters(split, resamples)
        assert split.intervals is not None
        frames = split.table[[CLIP, "first_frame"]].rename(columns={CLIP: "utterance_id"})
        scored = scored_frames(split.cache, frames, scores[part])
        pieces = range_pieces(split.intervals, scored)
        of_pieces = clusters.of(pieces)
        threshold = threshold_at_eer(pieces) if threshold is None else threshold
        row: dict[str, Any] = {
            "experiment": LOCALISATION,
            **of,
            "split": split.name,
            "corpus": split.corpus,
        }
        rates = pieces_eer_resamples(pieces, of_pieces, resamples)
        results.append({**row, "metric": "range_eer", **_rate(eer_of(pieces), rates, resamples)})
        found = localisation_figures(pieces, threshold)
        for name, values in found_resamples(pieces, threshold, of_pieces, resamples).items():
            wrong = _rate(1 - float(getattr(found, name)), 1 - values, resamples)
            ends = {
                "value": getattr(found, name),
                "low": 1 - wrong["high"],
                "high": 1 - wrong["low"],
            }
            results.append({**row, "metric": name, **ends})
        try:
            of_segments = {
                seconds: segments(split.intervals, scored, seconds) for seconds in RESOLUTIONS
            }
            eers = {seconds: eer(cut.bonafide, cut.scores) for seconds, cut in of_segments.items()}
        except ScoresError:  # so long that every one has a spoofed moment
            eers = {}
        for seconds, value in eers.items():
            cut = of_segments[seconds]
            rates = pieces_eer_resamples(cut, clusters.of(cut), resamples)
            condition = condition_name({"segment": f"{1000 * seconds:g}ms"})
            row_of = {**row, "metric": "segment_eer", "condition": condition}
            results.append({**row_of, **_rate(value, rates, resamples)})


def _rate(value: float, resampled: NDArray[np.float64], resamples: Resamples) -> dict[str, float]:
    """A rate with its interval; resamples without one of the classes do not count."""
    known = resampled[np.isfinite(resampled)]
    return asdict(
        rate_interval(value, known, resamples)
        if len(known) > 1
        else Interval(value, np.nan, np.nan)
    )


class _Clusters:
    """What a bootstrap of frames draws, looked up by utterance and class."""

    def __init__(self, split: Split, resamples: Resamples) -> None:
        codes, self._ids = pd.factorize(split.table[CLIP])
        self._of = np.full((2, len(self._ids)), -1, np.intp)
        self._of[split.bonafide.astype(np.intp), codes] = resamples.cluster
        # a stretch so short that no frame of its class is centred in its utterance is drawn with
        # the others there
        self._of = np.where(self._of < 0, self._of[::-1], self._of)

    def of(self, pieces: Pieces) -> NDArray[np.intp]:
        """The cluster (N,) that each piece is drawn with."""
        place = pd.Index(self._ids).get_indexer(pieces.utterances)
        return np.asarray(self._of[pieces.bonafide.astype(np.intp), place])
