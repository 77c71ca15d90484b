"""Alignments read from a file or a folder of files, joined to the utterances they are of."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from cache.errors import OptionError, argument
from probing.alignments.alignments import (
    AlignmentError,
    Alignments,
    Interval,
    disjoint,
    notes_of,
    table_of,
    tidy,
)
from probing.alignments.lists import read_ctm, read_parquet_table, read_rttm, read_table, read_timit
from probing.alignments.matching import matched
from probing.alignments.seglab import SUFFIXES, of_one_length, read_seglab
from probing.alignments.textgrid import read_textgrid, tier_titles
from probing.corpora.folders import files_below
from probing.options import one_of

OVERLAPS = ("refuse", "leave-out")


@dataclass(frozen=True)
class _Choice:
    tier: str | None
    channel: str | None
    excluded: Counter[str]
    types: str = ""
    tier_option: str = "tier"


@dataclass(frozen=True)
class Form:
    """A form of alignments: what its files end in, and how one is read.

    Attributes:
        per_utterance: whether a file is of one utterance, whose name is that of the file.
        read: path, name of the utterance, what was asked for -> intervals; None if the file lacks
            the tier.
        choose: path, the files found, the tier, what messages call it -> those to read, where some
            are others in another form; default all.
        has_types: whether further columns can be carried along.
    """

    title: str
    suffixes: tuple[str, ...]
    per_utterance: bool
    read: Callable[[Path, str, _Choice], list[Interval] | None]
    choose: Callable[[Path, list[str], str | None, str], list[str]] | None = None
    has_types: bool = False


def _separated(separator: str) -> Callable[[Path, str, _Choice], list[Interval]]:
    return lambda path, name, choice: read_table(path, separator, choice.types)


_timit = partial(Form, per_utterance=True, read=lambda path, name, choice: read_timit(path, name))
FORMS = {
    "textgrid": Form(
        "Praat TextGrid, long or short",
        (".textgrid",),
        True,
        lambda path, name, of: read_textgrid(path, name, of.tier, of.tier_option),
    ),
    "ctm": Form(
        "CTM",
        (".ctm", ".ctm.gz"),
        False,
        lambda path, name, of: read_ctm(path, of.channel, of.excluded),
    ),
    "rttm": Form(
        "RTTM",
        (".rttm", ".rttm.gz"),
        False,
        lambda path, name, of: read_rttm(path, of.channel, of.excluded),
    ),
    "phn": _timit("phones of TIMIT", (".phn",)),
    "wrd": _timit("words of TIMIT", (".wrd",)),
    "seglab": Form(
        "segment labels of PartialSpoof",
        SUFFIXES,
        per_utterance=False,
        read=lambda path, name, of: read_seglab(path),
        choose=of_one_length,
    ),
    "csv": Form("table, commas", (".csv", ".csv.gz"), False, _separated(","), has_types=True),
    "tsv": Form("table, tabs", (".tsv", ".tsv.gz"), False, _separated("\t"), has_types=True),
    "parquet": Form(
        "table, parquet",
        (".parquet",),
        False,
        lambda path, name, of: read_parquet_table(path, of.types),
        has_types=True,
    ),
}
WITH_TIERS = ("textgrid", "seglab")
WITH_CHANNELS = ("ctm", "rttm")


def read_alignments(
    path: str | Path,
    utterances: pd.DataFrame | None = None,
    *,
    form: str | None = None,
    tier: str | None = None,
    channel: str | None = None,
    overlaps: str = "refuse",
    control_type: str = "",
    tier_option: str = "tier",
) -> Alignments:
    """Read labelled intervals.

    Args:
        path: a file, or a folder of files of one form, at any depth.
        utterances: the utterances they are of, `utterance_id` and `path`, as `Cache.utterances` has
            them; names are matched to ids, or to the ends of paths, and those that mean none are
            counted. Default: names stay as they are in the files; of a file an utterance, its path
            below the folder without the suffix.
        form: one of FORMS; default by what the names end in.
        tier: of a TextGrid; default its only tier of intervals. Of segment labels of PartialSpoof,
            their length in seconds, as 0.02, where a folder has several.
        channel: of a CTM or RTTM file; default its only one.
        overlaps: of intervals of one utterance: `refuse`, or `leave-out`: time that several share
            belongs to none.
        control_type: a further column of a csv, tsv or parquet, as `word` beside phones; it comes
            back as TYPE.
        tier_option: what messages call `tier`.

    Returns:
        The table, and what was left out of it.

    Raises:
        AlignmentError: a file that cannot be read or is malformed; an end before its start, NaN,
            overlaps; no interval of any utterance.
        OptionError: no such form, or one without further columns, where types are asked for.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.phn").write_text("0 1600 h#\\n1600 4000 ah\\n")
    >>> read_alignments(folder).table.values.tolist()
    [['a', 0.0, 0.1, 'h#'], ['a', 0.1, 0.25, 'ah']]
    """
    path = Path(path)
    if overlaps not in OVERLAPS:
        raise OptionError("overlaps", overlaps, f"expected {one_of(OVERLAPS)}")
    if form is not None and form not in FORMS:
        raise OptionError("form", form, f"expected {one_of(tuple(FORMS))}")
    form, files = _files(path, form)
    if control_type and not FORMS[form].has_types:
        what = f"{path} is {FORMS[form].title}, without further columns"
        raise OptionError(
            "control_type",
            control_type,
            f"{what}. Expected a table, csv, tsv or parquet, that has it",
        )
    for name, value, whose in (
        (tier_option, tier, WITH_TIERS),
        ("channel", channel, WITH_CHANNELS),
    ):
        if value is not None and form not in whose:
            raise OptionError(
                name, value, f"{path} is {FORMS[form].title}, which has none. Leave it out"
            )
    if choose := FORMS[form].choose:
        files = choose(path, files, tier, tier_option)
    excluded = Counter[str]()
    notes = list[str]()
    rows = _rows(
        path,
        files,
        form=FORMS[form],
        choice=_Choice(
            tier, channel, excluded=excluded, types=control_type, tier_option=tier_option
        ),
        notes=notes,
    )
    if utterances is not None:
        rows = _joined(path, rows, utterances=utterances, excluded=excluded, notes=notes)
    table = disjoint(table_of(rows, bool(control_type)), overlaps, path, excluded)
    if not len(table):
        left = "; ".join(f"{n} {why}" for why, n in excluded.items()) or "its files are empty"
        raise AlignmentError(
            f"{path}: no labelled interval ({left}). Expected some with a label, a start and an end"
        )
    return Alignments(table, dict(excluded), (*notes, *notes_of(excluded)))


def _form_of(name: str) -> str | None:
    return next(
        (form for form, known in FORMS.items() if name.lower().endswith(known.suffixes)), None
    )


def _files(path: Path, form: str | None) -> tuple[str, list[str]]:
    """The form, and the files to read, relative to a folder or the name of the one file."""
    if not path.is_dir():
        if not path.exists():
            raise AlignmentError(f"{path}: no such file or folder. Name alignments")
        found = form or _form_of(path.name)
        if found is None:
            raise AlignmentError(
                f"{path}: its name does not say what it is. Use form=... in Python, or a name "
                f"that ends in {one_of([known.suffixes[0] for known in FORMS.values()])}"
            )
        return found, [path.name]
    names = sorted(files_below(path))
    forms = sorted({known for name in names if (known := _form_of(name)) and form in (None, known)})
    if len(forms) != 1:
        if not forms:
            raise AlignmentError(
                f"{path}: holds no alignments. Expected files of one of {one_of(tuple(FORMS))}"
            )
        raise AlignmentError(
            f"{path}: holds files of several forms: {', '.join(forms)}. Use form=... in Python, "
            "or name a file or a folder of one of them"
        )
    return forms[0], [name for name in names if _form_of(name) == forms[0]]


def _rows(
    path: Path, files: list[str], form: Form, choice: _Choice, notes: list[str]
) -> list[Interval]:
    """The usable intervals of all files."""
    rows = list[Interval]()
    without = list[Path]()
    known = dict[str, str]()
    for file in files:
        full = path / file if path.is_dir() else path
        name = os.path.splitext(file)[0].replace(os.sep, "/")
        if form.per_utterance and known.setdefault(name, file) != file:
            raise AlignmentError(
                f"{path}: {known[name]} and {file} are of one utterance. Remove one"
            )
        found = form.read(full, name, choice)
        if found is None:
            without.append(full)
        else:
            rows += tidy(found, full, choice.excluded)
    if without:
        wanted = "tier of intervals" if choice.tier is None else f"tier {choice.tier!r}"
        if len(without) == len(files):
            advice = f"Use {argument(choice.tier_option)}"
            raise AlignmentError(
                f"{without[0]}: no {wanted}, only {tier_titles(without[0])}. {advice}"
            )
        notes.append(f"{len(without)} of {len(files)} files have no {wanted}, as {without[0]}")
    return rows


def _joined(
    path: Path,
    rows: list[Interval],
    utterances: pd.DataFrame,
    excluded: Counter[str],
    notes: list[str],
) -> list[Interval]:
    """The intervals of the utterances, under their ids."""
    names = list(dict.fromkeys(row.name for row in rows))
    ids, unknown, unclear = matched(names, utterances)
    for group, why in (
        (unknown, "match no utterance"),
        (unclear, "match several utterances, or share one"),
    ):
        if group:
            chosen = set(group)
            excluded[f"whose names {why}"] += sum(row.name in chosen for row in rows)
            notes.append(f"{len(group)} of {len(names)} names in {path} {why}, as {group[0]!r}")
    if names and not ids:
        raise AlignmentError(
            f"{path}: no name of its {len(names)} is an utterance: they are as {names[0]!r}, and "
            f"utterances as {utterances['utterance_id'].iloc[0]!r}. Expected ids, or paths of "
            "the audio without the suffix"
            if len(utterances)
            else f"{path}: there are no utterances to match its {len(names)} names with"
        )
    without = len(utterances) - len(set(ids.values()))
    if without:
        notes.append(f"{without} of {len(utterances)} utterances have no alignment")
    return [row._replace(name=ids[row.name]) for row in rows if row.name in ids]
