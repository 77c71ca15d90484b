"""Utterances of a tuning by part, with their targets: those of a run, or of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, CacheMissing
from cache.errors import OptionError, ProbeError, argument, quoted
from probing.corpora.corpus import Corpus
from probing.runs import Run, find_cache
from probing.runs.caches import audio_identity
from probing.serving.candidates import without_folds
from probing.sweep.split import EVAL, Split, identity
from probing.sweep.splits import read_splits
from probing.targets.metrics import NUMBER
from probing.targets.options import TargetOptions
from probing.targets.task import Task, Values
from probing.targets.values import in_words, left_out, numbered, positive_of, read_column, task_of


@dataclass(frozen=True)
class Utterances:
    """Utterances of a part.

    name: `train`, `dev` or `eval`.
    table: `utterance_id`, `path` and what else is known, a row each.
    target: (N,) what is to be read.
    root: folder that paths start from.
    corpus: its name.
    """

    name: str
    table: pd.DataFrame
    target: Values
    root: Path
    corpus: str

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Material:
    """What is learned.

    train, dev: utterances.
    task: what is asked.
    unit: of a number, the mean and deviation it is learned in units of.
    """

    train: Utterances
    dev: Utterances
    task: Task
    unit: tuple[float, float] = (0.0, 1.0)

    def learned(self, target: Values) -> Values:
        """Targets (N,) as the head learns them."""
        return (target - self.unit[0]) / self.unit[1] if self.task.name == NUMBER else target

    def measured(self, target: Values, scores: NDArray[np.float64]) -> float:
        """The metric of scores (N,) or (N, M)."""
        of_number = self.task.name == NUMBER
        return self.task.value(
            target, scores * self.unit[1] + self.unit[0] if of_number else scores
        )


def parts_of(run: Run, audio_root: Path | None = None) -> dict[str, Utterances]:
    """The utterances of a run by part: `train`, `dev`, and `eval` of its first corpus.

    Raises:
        ProbeError: a cache is not there any more, or holds others by now; or the audio is not where
            it was.
    """
    record = run.record
    if record.folds:
        raise ProbeError(f"{run.folder}: {without_folds(run)}")
    if record.unit:
        raise ProbeError(
            f"{run.folder}: is of units inside utterances, and a tuning "
            "needs whole utterances in parts. Sweep it so"
        )
    options = target_of(record["options"].get("target", {}))
    try:
        cache = find_cache(run)
        splits = _splits_of(run, cache, options)
    except CacheMissing as error:
        raise ProbeError(
            f"{run.folder}: the cache that it was trained on names the utterances, and is not "
            f"there ({error}). Put it back, or sweep it again where it is"
        ) from None
    learned = {part: splits[part] for part in ("train", "dev")}
    audio = audio_identity({part: split.table for part, split in learned.items()})
    recorded = record.get("audio") or audio  # earlier versions kept none
    same = identity(learned) == {part: record.utterances[part] for part in learned}
    if not same or any(recorded[part] != audio[part] for part in learned):
        what = "audio files" if same else "utterances or labels"
        raise ProbeError(
            f"{cache.folder}: holds other {what} than when {run.folder} was made. "
            f"Sweep it again: probe sweep {quoted(cache.folder)}"
        )
    parts = {}
    for part in ("train", "dev", EVAL):
        split = splits[part]
        root = audio_root or split.cache.about.get("audio_root")
        if root is None:
            raise ProbeError(
                f"{split.cache.folder}: does not say where its audio is. Say so: "
                f"{argument('audio_root', 'DIR')}"
            )
        root = Path(str(root))
        parts[part] = Utterances(
            part,
            split.table.reset_index(drop=True),
            target=split.target,
            root=root,
            corpus=split.corpus,
        )
        _check_audio(parts[part])
    return parts


def _splits_of(run: Run, cache: Cache, target: TargetOptions) -> dict[str, Split]:
    record = run.record
    options = record["options"]
    if target.split_by:
        return read_splits(cache, target=target, seed=record.options.seed)
    named = {"train": options["train"], "dev": options["dev"], EVAL: options["eval"][0]}
    specs = {
        part: name
        if record.caches[part].id == record.cache
        else f"{find_cache(run, part).folder}:{name}"
        for part, name in named.items()
    }
    return read_splits(
        cache, specs["train"], specs["dev"], (specs[EVAL],), target=target, seed=record.options.seed
    )


def _check_audio(part: Utterances) -> None:
    missing = Corpus(part.corpus, "", part.root, part.table).missing()
    if len(missing):
        raise ProbeError(
            f"{len(missing)} of {len(part)} audio files of {part.corpus} ({part.name}) are not "
            f"below {part.root}, as {missing['path'].iloc[0]}. Say where they are: "
            f"{argument('audio_root', 'DIR')}"
        )


def parts_of_corpus(
    corpus: Corpus, options: TargetOptions, say: Callable[[str], None]
) -> tuple[dict[str, Utterances], Task]:
    """The utterances of a corpus by `train`, `dev` and, if there is one, `eval`, and their task.

    Raises:
        ProbeError: a split is missing or has one value only, or the target can be read from a cache
            only.
    """
    column = read_column(options)
    if column.numbers or options.unit or options.split_by:
        name = "unit" if options.unit else "split_by" if options.split_by else "target"
        raise OptionError(
            name,
            getattr(options, name),
            "needs a cache: probe extract, probe sweep, then tune its run",
        )
    table = corpus.utterances
    nowhere: Any = None  # only measured targets look into a cache
    values = column.of(table, nowhere)
    splits = {part: (table["split"] == part).to_numpy() for part in ("train", "dev", EVAL)}
    for part in ("train", "dev"):
        if not splits[part].any():
            found = ", ".join(sorted(table["split"].unique()))
            raise ProbeError(
                f"{corpus.name}: has no split {part}, only {found}. Expected train and dev: say "
                "which utterance is of which in a column split"
            )
    positive = positive_of(options, values)
    task = task_of(options, values, values[splits["train"]])
    parts = {}
    for part, rows in splits.items():
        if not rows.any():
            continue
        target, used = numbered(task, values[rows], positive)
        if why := left_out(task, values[rows], used):
            say(f"Left out of {part}: {in_words(why)}.")
        if len(np.unique(target)) < 2:
            raise ProbeError(
                f"{corpus.name}: {part} has fewer than two different values of {task.target}. "
                f"Add utterances with others, or name another {argument('target')}"
            )
        parts[part] = Utterances(
            part,
            table[rows][used].reset_index(drop=True),
            target=target,
            root=corpus.root,
            corpus=corpus.name,
        )
    return parts, task


def target_of(record: Mapping[str, Any]) -> TargetOptions:
    """Options of a target as a record holds them.

    >>> target_of({"target": "speaker"}).target
    'speaker'
    """
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in record.items()
    }
    return TargetOptions(**values)


def unit_of(train: Utterances, task: Task) -> tuple[float, float]:
    """What a number is learned in units of."""
    if task.name != NUMBER:
        return 0.0, 1.0
    return float(train.target.mean()), float(train.target.std()) or 1.0


def without(utterances: Utterances, names: Iterable[str]) -> Utterances:
    """The utterances but for some."""
    kept = ~utterances.table["utterance_id"].isin(list(names)).to_numpy()
    table = utterances.table[kept].reset_index(drop=True)
    return replace(utterances, table=table, target=np.asarray(utterances.target)[kept])
