"""The table of units: which frames of which utterance have which label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cache import Cache
from cache.errors import OptionError, ProbeError
from cache.timing import FrameTiming
from probing.alignments.alignments import TYPE, Alignments, notes_of
from probing.options import one_of

UNITS = ("frame", "segment", "middle")
SILENCE = "silence"  # the class of silent and unlabelled time
# of TIMIT, Kaldi, the Montreal aligner, Praat and Buckeye; compared without case
SILENCES = frozenset(
    {"sil", "sp", "pau", "h#", "epi", "#", "<sil>", "<eps>", "<p:>", "<silence>", SILENCE}
)
SILENT = ("leave-out", "class", "keep")
SHORT = ("nearest", "leave-out")
COLUMNS = ("label", "start", "end", "first_frame", "last_frame")


class UnitError(ProbeError, ValueError):
    """Alignments and a cache that give no units."""


@dataclass(frozen=True)
class Units:
    """Labelled frames or segments of a cache.

    Attributes:
        table: a row a unit, in the order of the cache's utterances and of time: the columns of the
            utterance (its own label is `utterance_label`), then `label`, `start` and `end` of the
            interval (seconds), `first_frame` and `last_frame` (both included); TYPE, where
            alignments have types.
        kind: `frame`, `segment` or `middle`.
        excluded: why units or intervals were left out -> how many.
        notes: the same in words, and what else a person should know.

    >>> Units(pd.DataFrame({"utterance_id": ["u1"]}), "frame").kind
    'frame'
    """

    table: pd.DataFrame
    kind: str
    excluded: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


def units_of(
    cache: Cache,
    alignments: Alignments | pd.DataFrame,
    unit: str = "frame",
    *,
    silence: str = "leave-out",
    silences: Collection[str] = SILENCES,
    short: str = "nearest",
    columns: Sequence[str] | None = None,
) -> Units:
    """Units of a cache, from labelled intervals.

    A frame belongs to the interval [start, end) that holds its centre (see `Cache.frame_times`).

    Args:
        cache: with the frames tier.
        alignments: as `read_alignments` gives them for the utterances of this cache, or a table
            `Alignments.of` takes.
        unit: `frame`, each frame of an interval; `segment`, the mean over the frames of an
            interval; `middle`, the one of them nearest to the middle of the interval.
        silence: what silent marks and unlabelled time are: `leave-out`; `class`, one class SILENCE,
            in which the gaps between intervals are segments too; `keep`, silent marks are labels
            like others.
        silences: labels that mean silence, compared without case.
        short: an interval with no frame's centre inside: the `nearest` frame if that is within a
            hop, or `leave-out`.
        columns: of the utterances, to repeat for each unit; default all but the measures of the
            audio.

    Returns:
        The units. Only utterances with some alignment have any.

    Raises:
        OptionError: an option that has no such value.
        AlignmentError: a table that is none.
        UnitError: no unit at all, or most intervals lie beyond their clips, as where times are in
            samples.
        ProbeError: the cache has no frames, or nothing says when they are.

    >>> from cache import Cache
    >>> cache = Cache("results/demo.cache")
    >>> table = pd.DataFrame(
    ...     {
    ...         "utterance_id": cache.utterances["utterance_id"],
    ...         "start": 0.0,
    ...         "end": 0.2,
    ...         "label": "a",
    ...     }
    ... )
    >>> units_of(cache, table, "segment").kind
    'segment'
    """
    for name, value, values in (
        ("unit", unit, UNITS),
        ("silence", silence, SILENT),
        ("short", short, SHORT),
    ):
        if value not in values:
            raise OptionError(name, value, f"expected {one_of(values)}")
    cache.require("frames", [])
    timing = cache.frame_timing
    rows = (alignments if isinstance(alignments, Alignments) else Alignments.of(alignments)).table
    excluded = Counter[str]()
    intervals = _within(cache, timing, rows, excluded)
    if silence != "keep":
        marks = frozenset(mark.casefold() for mark in silences)
        silent = intervals["label"].str.casefold().isin(marks).to_numpy()
        if silence == "class":
            if _is_repeated(cache):
                raise OptionError(
                    "silence",
                    silence,
                    "the clips of this cache were repeated to one length, so that "
                    "unlabelled time need not be silent. Extract it again as the files are",
                )
            intervals = _with_gaps(intervals.assign(label=intervals["label"].mask(silent, SILENCE)))
        else:
            excluded["of silence"] += int(silent.sum())
            intervals = intervals[~silent]
    units, n_placed = _frames_of(intervals, timing, unit=unit, short=short, excluded=excluded)
    if not len(units):
        left = (
            "; ".join(f"{n} {why}" for why, n in excluded.items() if n)
            or "no interval is of its utterances"
        )
        raise UnitError(
            f"{cache.folder}: the alignments give no {unit} "
            f"({left}). Expected labels of its utterances"
        )
    table = _with_columns(cache, units, columns)
    notes = list(notes_of(excluded))
    without = len(cache) - units["utterance"].nunique()
    if without:
        notes.append(f"{without} of {len(cache)} utterances give no {unit}")
    if n_placed:
        notes.append(
            f"{n_placed} intervals hold no frame's centre; each has the frame nearest to its middle"
        )
    return Units(table, unit, dict(excluded), tuple(notes))


def _within(
    cache: Cache, timing: FrameTiming, rows: pd.DataFrame, excluded: Counter[str]
) -> pd.DataFrame:
    """The intervals of a cache, with `utterance` (position), `n_frames`, `clip` (seconds).

    Intervals behind the end of a clip are counted, as where a clip was cut; those that reach over
    it are cut too.
    """
    own = cache.utterances
    at = pd.Index(own["utterance_id"].to_numpy(object)).get_indexer(
        rows["utterance_id"].to_numpy(object)
    )
    strangers = int((at < 0).sum())
    if strangers:
        excluded["of utterances that are not in the cache"] += strangers
    known = rows[at >= 0]
    at = at[at >= 0]
    clip = own["n_samples"].to_numpy()[at] / timing.sampling_rate
    found = pd.DataFrame(
        {
            "utterance": at,
            "start": known["start"].to_numpy(np.float64),
            "end": known["end"].to_numpy(np.float64),
            "label": known["label"].to_numpy(),
            "n_frames": own["n_frames"].to_numpy()[at],
            "clip": clip,
            **({TYPE: known[TYPE].to_numpy()} if TYPE in known else {}),
        }
    ).sort_values(["utterance", "start"], kind="stable", ignore_index=True)
    beyond = (found["start"] >= found["clip"]).to_numpy()
    strange = beyond & (found["clip"] < _longest(cache)).to_numpy()  # clips that were not cut
    if strange.sum() > len(found) / 2:
        first = found[strange].iloc[0]
        raise UnitError(
            f"{cache.folder}: {int(strange.sum())} of {len(found)} intervals begin behind the "
            f"end of their clips, as one of {own['utterance_id'].iloc[int(first['utterance'])]} "
            f"at {first['start']:g} s of {first['clip']:g} s. Expected "
            "seconds from the beginning of each file"
        )
    if beyond.any():
        excluded["behind the end of the clip that the model saw"] += int(beyond.sum())
        found = found[~beyond].reset_index(drop=True)
    return found.assign(end=np.minimum(found["end"], np.maximum(found["clip"], found["start"])))


def _longest(cache: Cache) -> float:
    """The most seconds a clip of a cache can have; longer ones were cut there."""
    options = cache.about.get("options")
    found = (
        [options.get(name) for name in ("seconds", "max_seconds")]
        if isinstance(options, dict)
        else []
    )
    return next((float(value) for value in found if isinstance(value, int | float)), np.inf)


def _is_repeated(cache: Cache) -> bool:
    """Whether short clips were repeated, so that speech may follow an alignment."""
    options = cache.about.get("options")
    return isinstance(options, dict) and options.get("seconds") is not None


def _with_gaps(intervals: pd.DataFrame) -> pd.DataFrame:
    """The intervals, and as SILENCE every stretch of an utterance that none of them covers."""
    if intervals.empty:
        return intervals
    same = intervals["utterance"].eq(intervals["utterance"].shift()).to_numpy()
    before = np.where(same, intervals["end"].shift(fill_value=0.0), 0.0)
    gaps = intervals.assign(start=before, end=intervals["start"], label=SILENCE)
    last = intervals[~intervals["utterance"].duplicated(keep="last")]
    ends = last.assign(start=last["end"], end=last["clip"], label=SILENCE)
    if TYPE in intervals:
        gaps, ends = gaps.assign(**{TYPE: SILENCE}), ends.assign(**{TYPE: SILENCE})
    every = pd.concat([intervals, gaps, ends])
    every = every[every["end"] - every["start"] > 1e-6]
    every = every.sort_values(["utterance", "start"], kind="stable", ignore_index=True)
    # What lies next to each other is one silence.
    silent = (every["label"] == SILENCE).to_numpy()
    joins = (
        silent & np.roll(silent, 1) & every["utterance"].eq(every["utterance"].shift()).to_numpy()
    )
    number = np.cumsum(~joins)
    firsts = every[~joins]
    return firsts.assign(end=every["end"].groupby(number).last().to_numpy()).reset_index(drop=True)


def _frames_of(
    intervals: pd.DataFrame, timing: FrameTiming, unit: str, short: str, excluded: Counter[str]
) -> tuple[pd.DataFrame, int]:
    """A row for each frame of the intervals; and how many have the nearest frame instead."""
    n_frames = intervals["n_frames"].to_numpy()
    start = intervals["start"].to_numpy()
    end = intervals["end"].to_numpy()
    first = np.clip(timing.first_at(start), 0, n_frames)
    stop = np.clip(timing.first_at(end), 0, n_frames)
    empty = stop <= first
    middles = (start + end) / 2
    nearest = np.clip(timing.first_at(middles - timing.seconds / 2), 0, np.maximum(n_frames - 1, 0))
    away = np.abs((timing.centre + nearest * timing.hop) / timing.sampling_rate - middles)
    reachable = (away <= timing.seconds) & (n_frames > 0)
    placed = np.zeros_like(empty) if unit == "frame" or short == "leave-out" else empty & reachable
    taken = ~empty | placed
    excluded["in which no frame has its centre"] += int((~taken).sum())
    middle = np.where(empty, nearest, np.clip(nearest, first, np.maximum(stop - 1, first)))
    if unit == "middle":
        first, last = middle, middle
    else:
        first, last = np.where(empty, nearest, first), np.where(empty, nearest, stop - 1)
    found = intervals.assign(first_frame=first, last_frame=last)[taken]
    if unit == "frame":
        lengths = (found["last_frame"] - found["first_frame"] + 1).to_numpy()
        begin = np.cumsum(lengths) - lengths
        frame = np.arange(int(lengths.sum())) + np.repeat(
            found["first_frame"].to_numpy() - begin, lengths
        )
        found = found.loc[found.index.repeat(lengths)].assign(first_frame=frame, last_frame=frame)
    return found.reset_index(drop=True), int(placed.sum())


def _with_columns(cache: Cache, units: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    own = cache.utterances
    if columns is None:
        columns = [name for name in own.columns if name not in cache.manifest.measures]
    unknown = [name for name in columns if name not in own.columns]
    if unknown:
        raise OptionError("columns", unknown[0], f"expected some of {one_of(tuple(own.columns))}")
    wanted = list(dict.fromkeys(["utterance_id", *columns, "shard", "row", "n_frames"]))
    added = [*COLUMNS, *([TYPE] if TYPE in units else [])]
    repeated = own[wanted].rename(
        columns={name: f"utterance_{name}" for name in added if name in wanted}
    )
    repeated = repeated.take(units["utterance"].to_numpy()).reset_index(drop=True)
    return repeated.assign(**{name: units[name].to_numpy() for name in added})
