"""Alignments with an interval a line: CTM, RTTM, TIMIT's .phn and .wrd, and tables.

ctm: `name channel start duration label [confidence ...]`, seconds; lines that begin with `;;` are
    comments (NIST SCTK).
rttm: `SPEAKER name channel start duration <NA> <NA> label ...`, seconds; lines of other types are
    counted (NIST RT-09).
phn, wrd: `start end label`, samples at 16 kHz, one file an utterance (TIMIT).
csv, tsv, parquet: the columns utterance_id, start, end, label, in any order; others are passed
    over.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cache.errors import ProbeError, argument
from probing.alignments.alignments import COLUMNS, AlignmentError, Interval, opened
from probing.corpora.parquet import read_parquet_columns
from probing.rows import fit, open_text, separated_rows, stripped

TIMIT_RATE = 16000
NOTHING = "<NA>"


def read_ctm(path: Path, channel: str | None, excluded: Counter[str]) -> list[Interval]:
    """The intervals of a CTM file, of one channel."""
    rows = []
    channels = dict[str, set[str]]()
    for place, fields in _lines(path, comment=";;"):
        if len(fields) < 5:
            raise _malformed(path, place, fields, "name channel start duration label")
        name, of, begin, duration, label = fields[:5]
        channels.setdefault(name, set()).add(of)
        if channel in (None, of):
            start = _number(path, place, begin)
            rows.append(
                Interval(
                    name,
                    start,
                    end=start + _number(path, place, duration),
                    label=label,
                    place=place,
                )
            )
        else:
            excluded["of other channels"] += 1
    _check_channels(path, channels, channel)
    return rows


def read_rttm(path: Path, channel: str | None, excluded: Counter[str]) -> list[Interval]:
    """The speakers of an RTTM file, of one channel."""
    rows = []
    channels = dict[str, set[str]]()
    for place, fields in _lines(path, comment=";;"):
        if len(fields) < 8:
            raise _malformed(
                path, place, fields, "type name channel start duration <NA> <NA> label"
            )
        kind, name, of, begin, duration = fields[:5]
        if kind != "SPEAKER":
            excluded[f"of the type {kind}"] += 1
            continue
        channels.setdefault(name, set()).add(of)
        if channel in (None, of):
            start = _number(path, place, begin)
            label = "" if fields[7] == NOTHING else fields[7]
            rows.append(
                Interval(
                    name,
                    start,
                    end=start + _number(path, place, duration),
                    label=label,
                    place=place,
                )
            )
        else:
            excluded["of other channels"] += 1
    _check_channels(path, channels, channel)
    return rows


def read_timit(path: Path, name: str) -> list[Interval]:
    """The intervals of a .phn or .wrd file; its numbers are samples."""
    rows = []
    for place, fields in _lines(path):
        if len(fields) < 3 or not (fields[0].isdecimal() and fields[1].isdecimal()):
            raise _malformed(path, place, fields, "start end label, in whole samples")
        start, end = (int(number) / TIMIT_RATE for number in fields[:2])
        rows.append(Interval(name, start, end=end, label=" ".join(fields[2:]), place=place))
    return rows


def read_table(path: Path, separator: str, types: str = "") -> list[Interval]:
    """The intervals of a csv or tsv with a header; `types` names a further column to keep."""
    with opened(path), open_text(path) as lines:
        try:
            rows = separated_rows(lines, separator)
        except csv.Error as error:
            raise AlignmentError(
                f"{path}: no table ({error}). Expected columns {', '.join(COLUMNS)}"
            ) from None
    if not rows:
        raise AlignmentError(f"{path}: empty. Expected a header with {', '.join(COLUMNS)}")
    (_, header), *others = rows.items()
    wanted = [*COLUMNS, *([types] if types else [])]
    missing = [name for name in wanted if header.count(name) != 1]
    if missing:
        raise AlignmentError(
            f"{path}: the header has {', '.join(header)}; expected {', '.join(wanted)}, each "
            f"once ({missing[0]} is not)"
        )
    at = [header.index(name) for name in wanted]
    out = []
    for place, fields in others:
        fields = fit(fields, len(header))
        if len(fields) != len(header):
            raise _malformed(path, place, fields, ", ".join(header))
        name, start, end, label, *of_type = (fields[i] for i in at)
        times = _number(path, place, start), _number(path, place, end)
        out.append(Interval(name, *times, label, place, *of_type))
    return out


def read_parquet_table(path: Path, types: str = "") -> list[Interval]:
    """The intervals of a parquet table; `types` as `read_table` has it."""
    columns = [*COLUMNS, *([types] if types else [])]
    try:
        found = read_parquet_columns(path, columns)
    except ProbeError as error:
        raise AlignmentError(*error.args) from None
    out = []
    for place, (name, start, end, label, *of_type) in enumerate(
        zip(*(found[column] for column in columns), strict=True), 1
    ):
        times = _seconds(path, place, start), _seconds(path, place, end)
        texts = ["" if cell is None else str(cell) for cell in (name, label, *of_type)]
        out.append(Interval(texts[0], *times, texts[1], place, *texts[2:]))
    return out


def _seconds(path: Path, place: int, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        found = "nothing" if value is None else repr(value)
        raise AlignmentError(
            f"{path}, row {place}: {found} is no time. Expected seconds, as 1.25"
        ) from None


def _lines(path: Path, comment: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is neither empty nor a comment."""
    with opened(path), open_text(path) as lines:
        for place, line in enumerate(lines, 1):
            fields = stripped(line).split()
            if fields and not (comment and fields[0].startswith(comment)):
                yield place, fields


def _malformed(path: Path, place: int, fields: list[str], expected: str) -> AlignmentError:
    return AlignmentError(
        f"{path}, line {place}: found {' '.join(fields)[:80]!r}, expected {expected}"
    )


def _number(path: Path, place: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AlignmentError(
            f"{path}, line {place}: {text!r} is no time. Expected seconds, as 1.25"
        ) from None


def _check_channels(path: Path, channels: dict[str, set[str]], channel: str | None) -> None:
    found = sorted(set().union(*channels.values()))
    if channel is not None and channel not in found:
        raise AlignmentError(f"{path}: no channel {channel!r}, only {', '.join(found) or 'none'}")
    several = next((name for name, of in channels.items() if len(of) > 1), None)
    if channel is None and several is not None:
        raise AlignmentError(
            f"{path}: {several} has the channels {', '.join(sorted(channels[several]))}. Name "
            f"the one that was extracted: {argument('channel', min(channels[several]))}"
        )
