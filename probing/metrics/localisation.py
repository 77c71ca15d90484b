"""How well scores of stretches of time say where an utterance is spoofed.

Higher scores mean more bona fide.

Truth is a table of intervals `utterance_id`, `start`, `end`, `label` (as `Alignments.table`),
scores one of pieces `utterance_id`, `start`, `end`, `score` (as `probing.units.scored_frames` makes
them); in neither do those of one utterance overlap. Time that has no label or no score does not
count. Spoofs are what is to be found: precision, recall and F1 are theirs.

Segment error rates are those of PartialSpoof (Zhang et al., IEEE/ACM TASLP 31, 2023): a segment is
spoofed if any part of it is, and has the lowest score of the pieces centred in it. The range error
rate weighs errors by their duration (Zhang et al., Interspeech 2023); where the authors search a
threshold, it is computed here from every piece of time, as an EER of weighted trials, so that it is
exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.labels import BONAFIDE, LABELS
from probing.metrics.eer import ScoresError, eer, eer_of_counts

RESOLUTIONS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)  # seconds, of PartialSpoof
TRUTH = ("utterance_id", "start", "end", "label")
SCORED = ("utterance_id", "start", "end", "score")
NEAR = 1e-6  # seconds, of an edge that rounding moved

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Pieces:
    """Pieces of time or segments, each with one score and one label.

    scores: (N,).
    bonafide: (N,).
    seconds: (N,) their lengths.
    utterances: (N,) ids of those they are of.
    """

    scores: Floats
    bonafide: Marks
    seconds: Floats
    utterances: NDArray[Any] | None = None


@dataclass(frozen=True)
class LocalisationFigures:
    """What was found of the spoofed time at one threshold; a figure without a denominator is 0.

    precision: share of what was called spoofed that is.
    recall: share of what is spoofed that was called so.
    f1: their harmonic mean.
    threshold: scores below it are called spoofed.

    >>> LocalisationFigures(precision=1.0, recall=0.5, f1=2 / 3, threshold=0.0).recall
    0.5
    """

    precision: float
    recall: float
    f1: float
    threshold: float


def range_pieces(truth: pd.DataFrame, scored: pd.DataFrame) -> Pieces:
    """Cut time at every edge of truth and scores; the pieces that have both.

    Raises:
        ScoresError: a label that is neither bona fide nor spoof, a score that is NaN, or no time
            that has both.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame([("a", 0, 2.5, 1.0), ("a", 2.5, 4, -1.0)], columns=list(SCORED))
    >>> len(range_pieces(truth, scored).scores)
    3
    """
    own, pieces, axis = _on_one_axis(truth, scored)
    edges = np.unique(np.concatenate([*own[:2], *pieces[:2]]))
    middle = (edges[:-1] + edges[1:]) / 2
    label = _holding(own[0], own[1], middle)
    score = _holding(pieces[0], pieces[1], middle)
    both = (label >= 0) & (score >= 0)
    seconds = np.diff(edges)[both]
    utterances = axis.utterances(middle[both])
    return _checked(
        Pieces(pieces[2][score[both]], own[2][label[both]].astype(bool), seconds, utterances)
    )


def segments(truth: pd.DataFrame, scored: pd.DataFrame, resolution: float = 0.02) -> Pieces:
    """Cut each utterance into segments of equal length, the last one shorter.

    Args:
        truth: intervals; a segment that none of them touches is left out.
        scored: pieces. A segment without the centre of any has the score of the piece at its own
            centre, the later of two that meet there.
        resolution: seconds.

    Raises:
        ScoresError: as `range_pieces`, or a resolution that is not above 0.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame([("a", 0, 3, 1.0), ("a", 3, 4, -1.0)], columns=list(SCORED))
    >>> len(segments(truth, scored, 0.5).scores)
    8
    """
    if not resolution > 0:
        raise ScoresError(f"resolution {resolution:g}: expected seconds above 0")
    own, pieces, axis = _on_one_axis(truth, scored, resolution)
    n = int(np.ceil(max(own[1].max(initial=0), pieces[1].max(initial=0)) / resolution)) + 1
    touched = _covered(own[0], own[1], resolution, n)
    spoof = ~own[2].astype(bool)
    spoofed = _covered(own[0][spoof], own[1][spoof], resolution, n)
    lowest = np.full(n, np.inf)
    centres = (pieces[0] + pieces[1]) / 2
    np.minimum.at(lowest, np.floor((centres + NEAR) / resolution).astype(np.int64), pieces[2])
    empty = np.flatnonzero(np.isinf(lowest) & touched)
    middles = np.asarray((empty + 0.5) * resolution + NEAR, np.float64)
    held = _holding(pieces[0], pieces[1], middles)
    lowest[empty[held >= 0]] = pieces[2][held[held >= 0]]
    used = touched & np.isfinite(lowest)
    utterances = axis.utterances(np.asarray((np.flatnonzero(used) + 0.5) * resolution, np.float64))
    return _checked(
        Pieces(lowest[used], ~spoofed[used], np.full(len(utterances), resolution), utterances)
    )


def range_eer(truth: pd.DataFrame, scored: pd.DataFrame) -> float:
    """Equal error rate in which every moment counts as much as it lasts, 0 to 1.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame(
    ...     [("a", 0, 2.7, 1.0), ("a", 2.7, 3.9, -1.0), ("a", 3.9, 4, 1.0)], columns=list(SCORED)
    ... )
    >>> round(range_eer(truth, scored), 3)
    0.1
    """
    return eer_of(range_pieces(truth, scored))


def segment_eer(truth: pd.DataFrame, scored: pd.DataFrame, resolution: float = 0.02) -> float:
    """Equal error rate of segments of a length in seconds, 0 to 1; see `segments`.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame([("a", 0, 3, 1.0), ("a", 3, 4, -1.0)], columns=list(SCORED))
    >>> segment_eer(truth, scored, 0.5)
    0.0
    """
    found = segments(truth, scored, resolution)
    return eer(found.bonafide, found.scores)


def segment_eers(
    truth: pd.DataFrame, scored: pd.DataFrame, resolutions: Sequence[float] = RESOLUTIONS
) -> dict[float, float]:
    """Resolution in seconds -> segment EER.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame([("a", 0, 3, 1.0), ("a", 3, 4, -1.0)], columns=list(SCORED))
    >>> segment_eers(truth, scored, [0.5, 1.0])
    {0.5: 0.0, 1.0: 0.0}
    """
    return {resolution: segment_eer(truth, scored, resolution) for resolution in resolutions}


def eer_of(pieces: Pieces) -> float:
    """Equal error rate of pieces, each as heavy as it is long.

    Raises:
        ScoresError: only one class is there.
    """
    spoof = ~pieces.bonafide
    if not spoof.any() or not pieces.bonafide.any():
        raise ScoresError("only bona fide or only spoofed time: expected both")
    distinct, group = np.unique(pieces.scores, return_inverse=True)
    weights = np.zeros((2, len(distinct)))
    np.add.at(weights, (spoof.astype(np.int64), group), pieces.seconds)
    return float(eer_of_counts(weights[:1], weights[1:])[0])


def threshold_at_eer(pieces: Pieces) -> float:
    """The score that divides pieces where misses and false alarms are nearest to each other.

    Choose it on dev.

    Half way between two scores, so that it is none of them, or above all.

    >>> truth = pd.DataFrame([("a", 0, 3, "bonafide"), ("a", 3, 4, "spoof")], columns=list(TRUTH))
    >>> scored = pd.DataFrame([("a", 0, 3, 1.0), ("a", 3, 4, -1.0)], columns=list(SCORED))
    >>> -1 < threshold_at_eer(range_pieces(truth, scored)) <= 1
    True
    """
    distinct, group = np.unique(pieces.scores, return_inverse=True)
    bonafide = np.cumsum(
        np.bincount(group, pieces.seconds * pieces.bonafide, minlength=len(distinct))
    )
    spoof = np.cumsum(
        np.bincount(group, pieces.seconds * ~pieces.bonafide, minlength=len(distinct))
    )
    if not bonafide[-1] or not spoof[-1]:
        raise ScoresError("only bona fide or only spoofed time: expected both")
    gap = np.abs(bonafide / bonafide[-1] - (1 - spoof / spoof[-1]))
    i = int(gap.argmin())
    above = (
        np.nextafter(distinct[i], np.inf)
        if i + 1 == len(distinct)
        else (distinct[i] + distinct[i + 1]) / 2
    )
    return float(above)


def localisation_figures(pieces: Pieces, threshold: float) -> LocalisationFigures:
    """Precision, recall and F1 of the spoofed time, or of the spoofed segments.

    Args:
        pieces: of `range_pieces`, or of `segments`.
        threshold: scores below it are called spoofed; see `threshold_at_eer`.

    >>> pieces = Pieces(
    ...     np.array([1.0, -1.0, -2.0]), np.array([True, True, False]), np.array([2.0, 1.0, 3.0])
    ... )
    >>> localisation_figures(pieces, 0.0)
    LocalisationFigures(precision=0.75, recall=1.0, f1=0.8571428571428571, threshold=0.0)
    """
    called = pieces.scores < threshold
    hit = float(pieces.seconds[called & ~pieces.bonafide].sum())
    n_called = float(pieces.seconds[called].sum())
    n_spoof = float(pieces.seconds[~pieces.bonafide].sum())
    precision = hit / n_called if n_called else 0.0
    recall = hit / n_spoof if n_spoof else 0.0
    f1 = 2 * hit / (n_called + n_spoof) if n_called + n_spoof else 0.0
    return LocalisationFigures(precision, recall, f1, float(threshold))


@dataclass(frozen=True)
class _Axis:
    """Where utterances begin on an axis on which they are behind one another.

    `ids` and `begins` are (U,).
    """

    ids: NDArray[Any]
    begins: Floats

    def utterances(self, times: Floats) -> NDArray[Any]:
        """The utterance that each time is in."""
        return np.asarray(self.ids[np.searchsorted(self.begins, times, side="right") - 1])


def _on_one_axis(
    truth: pd.DataFrame, scored: pd.DataFrame, resolution: float = 1.0
) -> tuple[tuple[Floats, Floats, Floats], tuple[Floats, Floats, Floats], _Axis]:
    """Start, end and value of intervals (1 where bona fide) and of pieces, the utterances behind
    one another in time.

    Each utterance begins at a multiple of `resolution`, and none meets the next.
    """
    for table, columns in ((truth, TRUTH), (scored, SCORED)):
        missing = [name for name in columns if name not in table.columns]
        if missing:
            raise ScoresError(f"no column {missing[0]!r}. Expected {', '.join(columns)}")
    names = pd.unique(pd.concat([truth["utterance_id"], scored["utterance_id"]]).astype(object))
    index = pd.Index(names)
    kinds = truth["label"].map(lambda label: LABELS.get(str(label).casefold()))
    if kinds.isna().any():
        raise ScoresError(
            f"label {truth['label'][kinds.isna()].iloc[0]!r}: expected bonafide or spoof"
        )
    values = scored["score"].to_numpy(np.float64)
    if np.isnan(values).any():
        raise ScoresError(f"{int(np.isnan(values).sum())} of {len(values)} scores are NaN")
    longest = np.zeros(len(index))
    at = [index.get_indexer(table["utterance_id"].to_numpy(object)) for table in (truth, scored)]
    for table, place in zip((truth, scored), at, strict=True):
        np.maximum.at(longest, place, table["end"].to_numpy(np.float64))
    room = np.ceil(longest / resolution + 1) * resolution
    begins = np.concatenate([[0.0], np.cumsum(room)[:-1]]) if len(index) else np.zeros(0)
    both = []
    for table, place, value in zip(
        (truth, scored), at, ((kinds == BONAFIDE).to_numpy(np.float64), values), strict=True
    ):
        start = begins[place] + table["start"].to_numpy(np.float64)
        order = np.argsort(start, kind="stable")
        both.append(
            (start[order], (begins[place] + table["end"].to_numpy(np.float64))[order], value[order])
        )
    return both[0], both[1], _Axis(np.asarray(names), begins)


def _holding(start: Floats, end: Floats, times: Floats) -> NDArray[np.int64]:
    """The interval that holds each time, or -1."""
    if not len(start):
        return np.full(len(times), -1)
    at = np.searchsorted(start, times, side="right") - 1
    return np.where((at >= 0) & (times < end[np.maximum(at, 0)]), at, -1)


def _covered(start: Floats, end: Floats, resolution: float, n: int) -> Marks:
    """Which of n segments some interval touches."""
    first = np.floor((start + NEAR) / resolution).astype(np.int64)
    stop = np.ceil((end - NEAR) / resolution).astype(np.int64)
    steps = np.zeros(n + 1, np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, np.maximum(stop, first), -1)
    return np.asarray(np.cumsum(steps)[:n] > 0)


def _checked(pieces: Pieces) -> Pieces:
    if not len(pieces.scores):
        raise ScoresError(
            "no moment has a label and a score. Expected scores of the labelled utterances"
        )
    return pieces
