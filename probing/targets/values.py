"""The values of a target: read from a column or table, checked, and numbered for a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from cache.errors import OptionError, ProbeError, argument
from probing.corpora.parquet import read_parquet_columns
from probing.corpora.protocol import is_tsv, read_csv
from probing.labels import BONAFIDE, LABELS, SPOOF
from probing.options import NAMES
from probing.rows import stripped
from probing.speakers import NO_SPEAKER, known_speakers
from probing.targets.measured import audio_name, of_utterances
from probing.targets.metrics import (
    BINARY,
    CLASSES,
    DEFAULTS,
    METRICS,
    NUMBER,
    Metric,
    metrics_of,
)
from probing.targets.options import TargetOptions
from probing.targets.task import SPOOFING, Task, Values

ID = "utterance_id"
SPEAKER = "speaker"
MANY = 10  # different numbers; with fewer, they are taken for names of classes
SHOWN = 8  # names in a message
ARE = "are "


@dataclass(frozen=True)
class Column:
    """Values of a target, as text or numbers.

    name: of the target.
    where: what it was read from, for messages.
    beside: utterance id -> value, of a table that lies beside the corpus; None where the corpus has
        the column.
    inside: the values are the labels of units.
    numbers: they are measured, and read as numbers.
    """

    name: str
    where: str
    beside: pd.Series[str] | None = None
    inside: bool = False
    numbers: bool = False

    def of(self, table: pd.DataFrame, cache: Cache) -> pd.Series[str]:
        """The value of each utterance of a cache, or of each unit; missing where it has none.

        Raises:
            OptionError: the corpus has no such column.
        """
        if self.inside:
            found = table["label"]
        elif measured := audio_name(self.name):
            found = table[ID].map(of_utterances(cache, measured))
        elif self.beside is not None:
            found = table[ID].map(self.beside)
        elif self.name in table:
            found = table[self.name]
        else:
            there = ", ".join(name for name in table if name not in (ID, "path", "shard", "row"))
            raise OptionError(
                "target",
                self.name,
                f"no such column. Expected one of {there}; or a table that has it: "
                f"{argument('labels', 'FILE')}",
            )
        if self.numbers:
            return found.astype(object).where(found.notna(), None)
        text = found.map(_text, na_action="ignore").astype(object)
        unknown = text.isna() | text.map(lambda value: str(value).casefold() in MISSING)
        if self.inside:
            # a syllable may be called na, or nan, and a word none
            if unknown.all() or numbers_of(text[~unknown]) is None:
                unknown = text.isna() | (text == "")
        elif self.name == SPEAKER:
            unknown |= ~known_speakers(text)
        return text.mask(unknown, None)


# which may be names of classes
MISSING = NO_SPEAKER - {"-", "--", "?", ".", "unknown", "unk", "<unk>"}


def read_column(options: TargetOptions) -> Column:
    """Where the values of a target come from.

    Raises:
        ProbeError: the table beside the corpus cannot be read, has no such column, or an utterance
            twice.
    """
    measured = audio_name(options.target) != ""
    numbers = measured and not options.positive and options.task in ("auto", NUMBER)
    if options.unit:
        return Column(options.target, options.labels or "the audio", inside=True, numbers=numbers)
    if measured:
        return Column(options.target, "the audio", numbers=numbers)
    if not options.labels:
        return Column(options.target, "the corpus")
    path = Path(options.labels)
    if not path.is_file():
        raise OptionError(
            "labels",
            str(path),
            f"no such file. Expected a table with the columns {ID},{options.target}",
        )
    columns = (ID, options.target)
    if path.suffix.lower() == ".parquet":
        found = read_parquet_columns(path, columns)
        table = pd.DataFrame({name: pd.Series(found[name], dtype=object) for name in columns})
    else:
        table = read_csv(path, columns, "\t" if is_tsv(path) else ",")
    ids = table[ID].map(_text, na_action="ignore")
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise ProbeError(
            f"{path}: {twice!r} is there twice "
            f"({int(ids.duplicated().sum())} such rows). Keep one of each"
        )
    return Column(
        options.target,
        str(path),
        pd.Series(table[options.target].to_numpy(object), index=ids.to_numpy(object)),
    )


def unmatched(column: Column, known: Iterable[str]) -> dict[str, int]:
    """How many ids of a table beside the corpus are those of no utterance, as `left_out` has it.

    Raises:
        ProbeError: none matches.
    """
    if column.beside is None:
        return {}
    ids = set(column.beside.index)
    strangers = ids - set(known)
    if len(strangers) == len(ids):
        raise ProbeError(
            f"{column.where}: none of its {len(ids)} ids, as {min(ids, default='none')!r}, is "
            "one of the cache. Expected ids as "
            f"{min(known, default='none')!r}, those of cache.utterances"
        )
    return (
        {f"ids of {Path(column.where).name} are of no utterance": len(strangers)}
        if strangers
        else {}
    )


def task_of(options: TargetOptions, values: pd.Series[str], trained_on: pd.Series[str]) -> Task:
    """The task that the options and the values make.

    Args:
        options: of the target.
        values: of all utterances; missing ones do not count.
        trained_on: of those that are trained on.

    Raises:
        ProbeError: there are no values, or all are of one class or alike; or the metric is not one
            of the task.
    """
    known = values.dropna()
    if known.empty:
        raise OptionError(
            "target",
            options.target,
            "no utterance has a value. Expected a column with values "
            f"({argument('target', 'COLUMN')}), or a table that has them: "
            f"{argument('labels', 'FILE')}",
        )
    if (
        options.is_default
        and not options.unit
        and options.task in ("auto", BINARY)
        and set(known) <= {BONAFIDE, SPOOF}
    ):
        _metric_of(options, BINARY)
        return SPOOFING
    positive = positive_of(options, known)
    name = BINARY if positive else _task_name(options, known)
    metric = _metric_of(options, name)
    if name == NUMBER:
        if numbers_of(known) is None:
            words = known[pd.to_numeric(known, errors="coerce").isna()]
            raise OptionError(
                "task",
                NUMBER,
                f"{len(words)} values of {options.target} are none, "
                f"as {words.iloc[0]!r}. Leave them empty",
            )
        return Task(NUMBER, options.target, metric)
    if name == BINARY:
        return Task(BINARY, options.target, metric, _two_classes(positive, known))
    classes, prior = _classes(options, trained_on)
    return Task(CLASSES, options.target, metric=metric, classes=classes, prior=prior)


def _metric_of(options: TargetOptions, task: str) -> Metric:
    """The metric of the finding; OptionError if the one that was asked for is of another task."""
    metric = METRICS[options.metric or DEFAULTS[task]]
    if metric.task != task:
        raise OptionError(
            "metric",
            metric.name,
            f"{options.target} is a target of {task}. Expected one of "
            f"{', '.join(metrics_of(task))}",
        )
    return metric


def _task_name(options: TargetOptions, known: pd.Series[str]) -> str:
    """The task of values without a positive class."""
    if options.task != "auto":
        return options.task
    many = options.target != SPEAKER and known.nunique() > MANY
    is_number = audio_name(options.target) != "" or (many and numbers_of(known) is not None)
    return NUMBER if is_number else CLASSES


def _classes(
    options: TargetOptions, trained_on: pd.Series[str]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The classes that are trained on, and the share of each."""
    counts = Counter(trained_on.dropna())
    classes = sorted((value for value, n in counts.items() if n >= options.min_count), key=_natural)
    if len(classes) < 2:
        found = ", ".join(f"{value} {n}" for value, n in counts.most_common(SHOWN)) or "none"
        raise OptionError(
            "target",
            options.target,
            f"training utterances by value: {found}. Expected two or more classes of at least "
            f"{options.min_count} ({argument('min_count', options.min_count)})",
        )
    total = sum(counts[value] for value in classes)
    return tuple(classes), tuple(counts[value] / total for value in classes)


def numbered(
    task: Task, values: pd.Series[str], positive: tuple[str, ...] = ()
) -> tuple[Values, NDArray[np.bool_]]:
    """The values (n,) of those that have one in the task, and which (N,) these are."""
    if task.name == NUMBER:
        found = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
        used = np.isfinite(found)
        return found[used], used
    used = values.notna().to_numpy()
    if task.name == BINARY:
        of_positive = {BONAFIDE} if task.is_spoofing else set(positive)
        return values[used].isin(of_positive).to_numpy(), used
    number = {name: i for i, name in enumerate(task.classes)}
    codes = np.array([number.get(value, -1) for value in values], np.intp)
    return codes[codes >= 0], codes >= 0


def left_out(task: Task, values: pd.Series[str], used: NDArray[np.bool_]) -> dict[str, int]:
    """Why trials take no part -> how many.

    Trials of a class that is not trained on are counted under the name of the class.
    """
    without = int(values.isna().sum())
    found = {f"have no {task.target}": without} if without else {}
    if task.name == NUMBER:
        infinite = int((~used).sum()) - without
        return {**found, **({f"have an infinite {task.target}": infinite} if infinite else {})}
    names = Counter(values[~used & values.notna().to_numpy()])
    return {
        **found,
        **{
            f"{ARE}{name}": n
            for name, n in sorted(names.items(), key=lambda item: _natural(item[0]))
        },
    }


def in_words(counts: Mapping[str, int]) -> str:
    """The reasons with their counts.

    >>> in_words({"have no age": 3, "are xx": 1, "are yy": 2})
    '3 have no age, 3 are of 2 classes with too few to train on: xx, yy'
    """
    classes = [why.removeprefix(ARE) for why in counts if why.startswith(ARE)]
    reasons = [f"{n} {why}" for why, n in counts.items() if not why.startswith(ARE)]
    if classes:
        n = sum(count for why, count in counts.items() if why.startswith(ARE))
        shown = ", ".join(classes[:SHOWN]) + (
            f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
        )
        reasons.append(f"{n} are of {len(classes)} classes with too few to train on: {shown}")
    return ", ".join(reasons)


def numbers_of(values: pd.Series[str]) -> NDArray[np.float64] | None:
    """Values as numbers, infinite ones too; None where one is none.

    >>> numbers_of(pd.Series(["1", "2.5"])).tolist(), numbers_of(pd.Series(["1", "ah"]))
    ([1.0, 2.5], None)
    """
    found = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return None if np.isnan(found).any() else found


def positive_of(options: TargetOptions, values: pd.Series[str]) -> tuple[str, ...]:
    """Values of the positive class.

    Units that are bona fide or spoofed need no such value: it is bona fide.
    """
    known = set(values.dropna())
    if (whole := NAMES.write(options.positive)) in known:  # one value with commas in it
        return (whole,)
    if (
        options.positive
        or not options.unit
        or options.task not in ("auto", BINARY)
        or not known <= set(LABELS)
    ):
        return tuple(name.strip() for name in options.positive)
    return tuple(sorted(value for value in known if LABELS[value] == BONAFIDE))


def _two_classes(positive: tuple[str, ...], known: pd.Series[str]) -> tuple[str, str]:
    there = set(known)
    absent = [value for value in positive if value not in there]
    others = sorted(there - set(positive), key=_natural)
    if absent or not others:
        shown = ", ".join(sorted(there, key=_natural)[:SHOWN])
        why = f"no utterance has {absent[0]!r}" if absent else "that is every value there is"
        raise OptionError("positive", NAMES.write(positive), f"{why}. Found {shown}")
    return (others[0] if len(others) == 1 else "other"), "/".join(positive)


def _text(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return stripped(str(value))


def _natural(text: str) -> tuple[float, str]:
    """Numbers by their size, before words."""
    try:
        return float(text if text.casefold() != "nan" else "inf"), text
    except ValueError:
        return float("inf"), text
