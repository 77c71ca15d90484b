"""Alignments: one table of labelled intervals, and what was left out of it."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError, argument

COLUMNS = ("utterance_id", "start", "end", "label")
TYPE = "unit_type"  # what an interval is an instance of, as a word, where a table says so
TOUCHING = 1e-6  # seconds: the sum of a start and a duration is rounded


class AlignmentError(ProbeError, ValueError):
    """A file of alignments that cannot be what it says."""


class Interval(NamedTuple):
    """A labelled stretch of time as a file has it.

    Attributes:
        name: of the utterance, as the file says it.
        start, end: in seconds.
        place: line of the file, or number in its tier.
        type: of a further column of a table that is carried along.

    >>> Interval("clip", 0.1, 0.3, "ah", "clip.TextGrid, line 4").label
    'ah'
    """

    name: str
    start: float
    end: float
    label: str
    place: int
    type: str = ""


@dataclass(frozen=True)
class Alignments:
    """Labelled intervals of utterances.

    Attributes:
        table: DataFrame `utterance_id`, `start`, `end` (seconds), `label`, by utterance and time;
            the intervals of one utterance do not overlap. With TYPE, where a column of types was
            asked for.
        excluded: why intervals were left out -> how many.
        notes: what a person should know, a sentence each.
    """

    table: pd.DataFrame
    excluded: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, table: pd.DataFrame, overlaps: str = "refuse") -> Alignments:
        """Alignments of a table with `utterance_id`, `start`, `end` (seconds) and `label`.

        Args:
            table: an interval a row, in any order; other columns are passed over.
            overlaps: see `read_alignments`.

        Raises:
            AlignmentError: a column that is missing, or an interval that cannot be.

        >>> Alignments.of(
        ...     pd.DataFrame(
        ...         [("a", 0.1, 0.3, "ah")], columns=["utterance_id", "start", "end", "label"]
        ...     )
        ... )
        Alignments(table=  utterance_id  start  end label
        0            a    0.1  0.3    ah, excluded={}, notes=())
        """
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise AlignmentError(f"no column {missing[0]!r}. Expected {', '.join(COLUMNS)}")
        try:
            times = [table[name].to_numpy(np.float64) for name in ("start", "end")]
        except (ValueError, TypeError) as error:
            raise AlignmentError(
                f"start and end are no seconds ({error}). Expected numbers"
            ) from None
        names = table["utterance_id"].astype(str)
        labels = table["label"].astype(str).where(table["label"].notna(), "")
        excluded = Counter[str]()
        rows = [
            Interval(name, start, end=end, label=label, place=place)
            for place, (name, start, end, label) in enumerate(
                zip(names, *times, labels, strict=True)
            )
        ]
        kept = tidy(rows, "table", excluded)
        found = disjoint(table_of(kept), overlaps, "table", excluded)
        return cls(found, dict(excluded), notes_of(excluded))


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Turn what can go wrong with a file into an AlignmentError."""
    try:
        yield
    except UnicodeDecodeError:
        raise AlignmentError(f"{path}: is not UTF-8 text. Save it again as UTF-8") from None
    except (EOFError, zlib.error) as error:
        raise AlignmentError(f"{path}: its gzip is damaged ({error}). Copy it again") from None
    except OSError as error:
        raise AlignmentError(f"{path}: cannot be read ({error.strerror or error})") from None


def notes_of(excluded: Mapping[str, int]) -> tuple[str, ...]:
    """What was left out, a sentence each."""
    return tuple(f"{n} intervals {why} were left out" for why, n in sorted(excluded.items()) if n)


def tidy(rows: Sequence[Interval], path: object, excluded: Counter[str]) -> list[Interval]:
    """The intervals of a file that can be used; those without a label or a length are counted.

    Raises:
        AlignmentError: a time that is not finite or below 0, or an end before its start.
    """
    kept = []
    for row in rows:
        if not (math.isfinite(row.start) and math.isfinite(row.end)):
            raise AlignmentError(
                f"{path}: {_place(row)}: from {row.start} to {row.end}. Expected finite seconds"
            )
        if row.start < -TOUCHING:
            raise AlignmentError(
                f"{path}: {_place(row)}: starts at {row.start:g} s, before the clip. Expected "
                "times from its beginning"
            )
        if row.end < row.start:
            raise AlignmentError(
                f"{path}: {_place(row)}: ends at {row.end:g} s, before its start at "
                f"{row.start:g} s. Mend the line"
            )
        if not row.label:
            excluded["without a label"] += 1
        elif row.end == row.start:
            excluded["of no length"] += 1
        else:
            kept.append(row._replace(start=max(0.0, row.start)))
    return kept


def _place(row: Interval) -> str:
    return f"interval {row.place} of {row.name} ({row.label!r})"


def table_of(rows: Sequence[Interval], typed: bool = False) -> pd.DataFrame:
    """Intervals as a table, by utterance and time; with their types if `typed`."""
    table = pd.DataFrame(
        {
            "utterance_id": pd.Series([row.name for row in rows], dtype="str"),
            "start": np.array([row.start for row in rows], np.float64),
            "end": np.array([row.end for row in rows], np.float64),
            "label": pd.Series([row.label for row in rows], dtype="str"),
        }
    )
    if typed:
        table[TYPE] = pd.Series([row.type for row in rows], dtype="str")
    return table.sort_values(["utterance_id", "start", "end"], kind="stable", ignore_index=True)


def disjoint(
    table: pd.DataFrame, overlaps: str, path: object, excluded: Counter[str]
) -> pd.DataFrame:
    """The table without time that two intervals of one utterance share.

    Args:
        table: as `table_of` gives it.
        overlaps: `refuse` them, or `leave-out`: time in which several intervals are belongs to
            none.
        path: for messages.
        excluded: counts the intervals that lose some of their time.

    Raises:
        AlignmentError: there are some, and they are refused.
    """
    names = table["utterance_id"].to_numpy()
    start = table["start"].to_numpy()
    end = table["end"].to_numpy()
    if not len(table):
        return table
    first = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1, [len(names)]])
    furthest = _furthest(end, first)
    same = np.ones(len(table), bool)
    same[first[:-1]] = False
    met = np.flatnonzero(same & (start < np.roll(furthest, 1) - TOUCHING))
    if len(met) and overlaps == "refuse":
        i = int(met[0])
        rows = table.iloc[max(0, i - 1) : i + 1]
        both = " and ".join(
            f"{row.label!r} from {row.start:g} to {row.end:g} s" for row in rows.itertuples()
        )
        raise AlignmentError(
            f"{path}: intervals of {names[i]} overlap: {both} ({len(met)} such). Mend them, or "
            f"use {argument('overlaps', 'leave-out')}: time that "
            "several intervals share then belongs to none."
        )
    pieces = []
    lost = np.unique(np.searchsorted(first, met, side="right") - 1)
    for group in lost.tolist():
        rows = table.iloc[first[group] : first[group + 1]]
        kept = _alone(rows)
        excluded["with time that several share, which belongs to none"] += _shortened(rows, kept)
        pieces.append(kept)
    if pieces:
        whole = ~np.isin(np.searchsorted(first, np.arange(len(table)), side="right") - 1, lost)
        table = pd.concat([table[whole], *pieces])
        table = table.sort_values(["utterance_id", "start"], kind="stable", ignore_index=True)
    return table


def _furthest(end: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest end so far, group by group."""
    out = end.copy()
    for a, b in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        np.maximum.accumulate(out[a:b], out=out[a:b])
    return out


def _alone(rows: pd.DataFrame) -> pd.DataFrame:
    """The stretches of time of one utterance in which one interval is alone, with its label."""
    times = np.unique(np.concatenate([rows["start"], rows["end"]]))
    begin = np.searchsorted(times, rows["start"])
    stop = np.searchsorted(times, rows["end"])
    steps = np.zeros(len(times) + 1, np.int64)
    np.add.at(steps, begin, 1)
    np.add.at(steps, stop, -1)
    alone = np.cumsum(steps)[: len(times) - 1] == 1
    out = []
    for row, a, b in zip(rows.itertuples(index=False), begin.tolist(), stop.tolist(), strict=True):
        edges = np.flatnonzero(
            np.diff(np.concatenate([[False], alone[a:b], [False]]).astype(np.int8))
        )
        out += [
            (row.utterance_id, times[a + i], times[a + j], *row[3:])
            for i, j in edges.reshape(-1, 2).tolist()
        ]
    kept = pd.DataFrame(out, columns=list(rows.columns)).astype(rows.dtypes.to_dict())
    return kept[kept["end"] - kept["start"] > TOUCHING]


def _shortened(rows: pd.DataFrame, kept: pd.DataFrame) -> int:
    whole = set(zip(kept["start"], kept["end"], kept["label"], strict=True))
    return sum(
        row not in whole for row in zip(rows["start"], rows["end"], rows["label"], strict=True)
    )
