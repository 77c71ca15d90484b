"""Localisation: how well the scores of frames say where utterances are spoofed, layer by layer."""

from __future__ import annotations

from typing import Any

from probing.labels import BONAFIDE, LABELS, SPOOF
from probing.metrics import (
    ScoresError,
    localisation_figures,
    range_pieces,
    segment_eers,
    threshold_at_eer,
)
from probing.metrics.localisation import eer_of
from probing.runs.condition_names import condition_name
from probing.sweep.linear import Probe
from probing.sweep.results import Results
from probing.sweep.splits import EVAL, Split
from probing.targets.metrics import BINARY
from probing.targets.task import CLIP
from probing.units import scored_frames

LOCALISATION = "localisation"


def localises(split: Split) -> bool:
    """Whether the trials of a split are frames that are bona fide or spoofed."""
    task = split.task
    meant = {LABELS.get(name) for name in task.classes}
    return split.unit == "frame" and task.name == BINARY and meant == {BONAFIDE, SPOOF}


def add_localisation(results: Results, splits: dict[str, Split], layer: int, probe: Probe) -> None:
    """Add the figures of a layer: range EER, segment EERs, and F1, precision and recall of spoofed time.

    The last three are at the threshold where misses and false alarms of dev are nearest to each other.

    Args:
        results: of the sweep.
        splits: parts whose trials are frames.
        layer: its number.
        probe: with scores of all parts but `train`.
    """
    threshold = None
    for part in ("dev", *(part for part, split in splits.items() if split.name == EVAL)):
        split = splits[part]
        assert split.intervals is not None
        frames = split.table[[CLIP, "first_frame"]].rename(columns={CLIP: "utterance_id"})
        scored = scored_frames(split.cache, frames, probe.scores[part])
        pieces = range_pieces(split.intervals, scored)
        threshold = threshold_at_eer(pieces) if threshold is None else threshold
        found = localisation_figures(pieces, threshold)
        row: dict[str, Any] = {"experiment": LOCALISATION, "head": "linear", "layer": layer, "strength": probe.strength}
        row |= {"split": split.name, "corpus": split.corpus}
        results.append({**row, "metric": "range_eer", "value": eer_of(pieces)})
        for name in ("f1", "precision", "recall"):
            results.append({**row, "metric": name, "value": float(getattr(found, name))})
        try:
            of_segments = segment_eers(split.intervals, scored)
        except ScoresError:  # so long that every one has a spoofed moment
            of_segments = {}
        for seconds, value in of_segments.items():
            condition = condition_name({"segment": f"{1000 * seconds:g}ms"})
            results.append({**row, "metric": "segment_eer", "condition": condition, "value": value})
