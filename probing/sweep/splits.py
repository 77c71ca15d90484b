"""The utterances of a sweep: those it trains on, chooses on, and reports on, from one cache or several.

`SPLIT` is a split of the cache that is swept, `CACHE:SPLIT` one of another cache, and `CACHE` alone its split `eval`,
or the only one it has. A name that is a split of the cache that is swept is that split; `./eval` is the folder.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, FingerprintMismatch, ProbeError
from cache.errors import OptionError, argument
from cache.fingerprint import differences
from cache.manifest import MANIFEST
from probing.augmentation import heard_as
from probing.metrics.clusters import Clusters
from probing.sweep.dividing import PARTS, folds_of
from probing.targets.aligned import AlignedUnits
from probing.targets.metrics import NUMBER
from probing.targets.options import TargetOptions
from probing.targets.task import SPOOFING, Task, Values
from probing.targets.values import Column, in_words, left_out, numbered, positive_of, read_column, task_of, unmatched

EVAL = "eval"
LARGEST, SMALLEST = 1e100, 1e-100  # numbers and deviations whose squares, and those of errors, can be computed
ADDED = ("score", "part")  # columns that tables of a run add to those of a corpus


@dataclass(frozen=True)
class Split:
    """Some utterances of a cache.

    name: `train`, `dev` or `eval`, its part in the sweep.
    cache: an open cache. split: its split that this is. corpus: what results and files call it.
    table: rows of `Cache.utterances`; columns that tables of a run add are called `own_...` (see `renamed`).
    target: (N,) what is to be read: bool of two classes, whole numbers of more, float64 of a number.
    task: what that makes of the sweep.
    left_out: why utterances of the split take no part -> how many.
    folds: (N,) of a cross-validation, in which all parts are the same utterances; see `fold_parts`.
    intervals: of units, the labelled stretches of time of its utterances: `utterance_id`, `start`, `end`, `label`.
    notes: what a person should know of the units of its cache.
    unit: `frame`, `segment` or `middle` where trials are inside utterances (see `AlignedUnits`); empty for utterances.
    """

    name: str
    cache: Cache
    split: str
    corpus: str
    table: pd.DataFrame
    target: Values
    task: Task = SPOOFING
    left_out: Mapping[str, int] = field(default_factory=dict)
    folds: NDArray[np.intp] | None = None
    unit: str = ""
    intervals: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def bonafide(self) -> NDArray[np.bool_]:
        """(N,) true for trials of the positive class, of a target of two."""
        return self.target

    def __len__(self) -> int:
        return len(self.table)

    @property
    def cache_corpus(self) -> str:
        """Name of the corpus that the cache is of, whatever results and files call it."""
        return _corpus_name(self.cache)

    def clusters(self, unit: str) -> Clusters:
        """What a bootstrap draws; see `probing.metrics.clusters.columns_of` for the unit."""
        where = f"{self.name} utterance of {self.corpus}"
        return self.task.clusters(self.table, unit, inside=bool(self.unit), where=where)

    @property
    def trials(self) -> str:
        """What its trials are, for people."""
        return {"": "utterances", "frame": "frames"}.get(self.unit, "segments")

    @property
    def width(self) -> int:
        """Features of a trial: mean and deviation over time of an utterance, one vector of a unit."""
        return self.cache.dim if self.unit else 2 * self.cache.dim


def read_splits(
    cache: Cache,
    train: str = "train",
    dev: str = "dev",
    evaluations: Sequence[str] = (EVAL,),
    tier: str = "pooled",
    target: TargetOptions | None = None,
    seed: int = 0,
) -> dict[str, Split]:
    """The utterances of a sweep by their part: `train`, `dev`, `eval`, and `eval.CORPUS` for the second and later ones.

    Args:
        cache: the cache that is swept.
        train: SPLIT, CACHE:SPLIT or CACHE.
        dev: likewise.
        evaluations: likewise, one or more; the first is the one that findings are about.
        tier: pooled, or frames where frames are read too.
        target: what is to be read, and how utterances are divided if not by the splits of the corpus.
        seed: of that division.

    Raises:
        ProbeError: a cache or a split is missing or has one class only, or two parts share utterances.
        FingerprintMismatch: a cache was not made as the one trained on was.
    """
    target = target or TargetOptions()
    if not evaluations:
        raise ProbeError(f"{argument('eval')}: expected one or more, as {argument('eval', 'eval')}")
    column = read_column(target)
    units = AlignedUnits(target) if target.unit else None
    if target.split_by:
        if (train, dev, tuple(evaluations)) != ("train", "dev", (EVAL,)):
            used = ", ".join(argument(name) for name in ("train", "dev", EVAL))
            raise OptionError("split_by", target.split_by, f"divides all utterances anew. Leave {used} out")
        return divide(cache, target, column, seed, units)
    opened = {cache.folder.resolve(): cache}
    parts = [("train", train), ("dev", dev), *((EVAL, spec) for spec in evaluations)]
    chosen = [_read(name, spec, cache, opened, units) for name, spec in parts]
    reference = chosen[0].cache
    for split in chosen:
        check_comparable(reference, split.cache, tier)
    _refuse_shared(chosen)
    chosen = _with_target(chosen, target, column)
    reports = _named(chosen[2:])
    others = {f"{EVAL}.{split.corpus}": split for split in reports[1:]}
    return {"train": chosen[0], "dev": chosen[1], EVAL: reports[0], **others}


def divide(
    cache: Cache, options: TargetOptions, column: Column, seed: int, units: AlignedUnits | None = None
) -> dict[str, Split]:
    """All utterances of a cache in three parts that share no group, or in folds.

    Of five parts made as equal as groups allow, the first is eval, the second dev. In a cross-validation every part is
    all utterances: each fold is reported on by a probe that is trained without it and the next one, which it is chosen
    on.
    """
    table = _filled(cache).utterances if units is None else units.of(_filled(cache))
    values = column.of(table, cache)
    positive = positive_of(options, values)
    task = task_of(options, values, values)
    target, used = numbered(task, values, positive)
    gone = unmatched(column, table["utterance_id"]) | left_out(task, values, used)
    table, values = table[used].reset_index(drop=True), values[used].reset_index(drop=True)
    n = options.folds or PARTS
    folds = folds_of(cache, table, options.split_by, n, seed, task, target)
    if options.folds and task.name != NUMBER:
        kept, rare = _in_every_training(task, target, folds, cache)
        gone |= {f"are {name}, in too few folds": count for name, count in rare.items()}
        table, values, folds = table[kept].reset_index(drop=True), values[kept].reset_index(drop=True), folds[kept]
    rows = {EVAL: folds == 0, "dev": folds == 1, "train": folds > 1}
    if options.folds:
        rows = dict.fromkeys(rows, np.ones(len(table), bool))
    task = task_of(options, values, values[rows["train"]])
    splits = {}
    for part in ("train", "dev", EVAL):
        mine = values[rows[part]]
        target, used = numbered(task, mine, positive)
        why = {**(gone if part == "train" else {}), **left_out(task, mine, used)}
        chosen = table[rows[part]][used]
        splits[part] = Split(
            part,
            cache,
            f"{options.folds} folds by {options.split_by}" if options.folds else f"{part} by {options.split_by}",
            _corpus_name(cache),
            chosen.rename(columns=renamed(cache)),
            target,
            task,
            why,
            folds[rows[part]][used] if options.folds else None,
            options.unit,
            units.intervals(cache, chosen) if units else None,
            units.notes.get(cache.folder.resolve(), ()) if units else (),
        )
        _check_target(splits[part], column, divided=True)
    return splits


def fold_parts(folds: NDArray[np.intp]) -> Iterator[dict[str, NDArray[np.bool_]]]:
    """Of each fold of a cross-validation, the rows (N,) of `train`, `dev` and `eval`.

    >>> next(fold_parts(np.array([0, 1, 2])))["train"].tolist()
    [False, False, True]
    """
    n = int(folds.max()) + 1
    for fold in range(n):
        reported, chosen_on = folds == fold, folds == (fold + 1) % n
        yield {"train": ~reported & ~chosen_on, "dev": chosen_on, EVAL: reported}


def _in_every_training(
    task: Task, target: Values, folds: NDArray[np.intp], cache: Cache
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """The utterances (N,) of classes that every fold trains on, and how many there are of the others."""
    codes = target.astype(np.intp)
    there = [np.bincount(codes[rows["train"]], minlength=len(task.classes)) > 0 for rows in fold_parts(folds)]
    every = np.all(there, axis=0)
    if every.sum() < 2:
        raise ProbeError(
            f"{cache.folder}: fewer than two values of {task.target} are in the training part of every fold. Use fewer "
            f"folds ({argument('folds')}) or another column ({argument('split_by')})"
        )
    kept = every[codes]
    return kept, {task.classes[c]: int((codes == c).sum()) for c in np.flatnonzero(~every)}


def _with_target(chosen: Sequence[Split], options: TargetOptions, column: Column) -> list[Split]:
    """The parts with their targets, without utterances that have none."""
    values = [column.of(split.table, split.cache) for split in chosen]
    strangers = unmatched(column, [name for split in chosen for name in split.cache.utterances["utterance_id"]])
    every = pd.concat(values)
    positive = positive_of(options, every)
    task = task_of(options, every, values[0])
    found: list[Split] = []
    for split, mine in zip(chosen, values, strict=True):
        target, used = numbered(task, mine, positive)
        why = {**({} if found else strangers), **left_out(task, mine, used)}
        found.append(replace(split, table=split.table[used], target=target, task=task, left_out=why))
        _check_target(found[-1], column)
    return found


def _check_target(split: Split, column: Column, *, divided: bool = False) -> None:
    """Refuse a part whose target has one value only, where nothing can be measured or learned."""
    cache, task, target = split.cache, split.task, split.target
    if task.is_spoofing:
        counts = task.counts(target)
        if not all(counts.values()):
            raise ProbeError(
                f"{cache.folder}: split {split.split!r} has {counts['bonafide']} bona fide and {counts['spoof']} "
                f"spoofed utterances. Expected both; use another split: {argument(split.name, 'NAME')}"
            )
        return
    if task.name == NUMBER and len(target) > 1 and not (target == target[0]).all():
        largest, deviation = float(np.abs(target).max()), float(np.clip(target, -LARGEST, LARGEST).std())
        if largest > LARGEST or deviation < SMALLEST:
            what = f"up to {largest:g}: too large" if largest > LARGEST else f"all within {deviation:g}: too alike"
            raise ProbeError(
                f"{cache.folder}: {task.target} of the {split.name} part ({split.split!r}), from {column.where}, is "
                f"{what} to compute with. Give it in another unit"
            )
    if len(target) < 2 or (target == target[0]).all():
        found = ", ".join(f"{n} {name}" for name, n in task.counts(target).items() if n) or "nothing"
        other = argument("split_by", "COLUMN")
        advice = f"divide by another column ({other})"
        if not divided:
            advice = f"use another split ({argument(split.name, 'NAME')}) or divide anew ({other})"
        raise ProbeError(
            f"{cache.folder}: the {split.name} part ({split.split!r}) has {found} with a {task.target}, from "
            f"{column.where}"
            + (f", all alike, {target[0]:g}" if task.name == NUMBER and len(target) > 1 else "")
            + (f" (left out: {in_words(split.left_out)})" if split.left_out else "")
            + f". Expected two or more that differ; {advice}"
        )


def identity(splits: dict[str, Split]) -> dict[str, int]:
    """A number for each part that tells one set of utterances from another."""
    columns = ["utterance_id", "label", "speaker"]
    found = {}
    for part, split in splits.items():
        table = split.table[columns]
        task = split.task
        if not task.is_spoofing:
            named = (
                split.target if task.name == NUMBER else np.array(task.classes, object)[split.target.astype(np.intp)]
            )
            table = table.assign(target=named)
        if split.folds is not None:
            table = table.assign(fold=split.folds)
        found[part] = int(pd.util.hash_pandas_object(table, index=False).sum())
        if split.intervals is not None:  # the same labels may begin and end elsewhere
            found[part] += int(pd.util.hash_pandas_object(split.intervals, index=False).sum())
    return found


def check_comparable(trained_on: Cache, other: Cache, tier: str = "pooled") -> None:
    """Refuse a cache whose numbers another backbone or another preprocessing made, with the two values side by side.

    Whatever is in the fingerprints counts, but for tiers that the sweep does not read, and for what the clips were
    heard through: a view is other audio, as another corpus is.

    Raises:
        FingerprintMismatch.
    """
    if found := differences(_relevant(other, tier), _relevant(trained_on, tier)):
        rows = "\n".join(f"  {one.name}: {one.first!r}, trained on {one.second!r}" for one in found)
        raise FingerprintMismatch(
            f"{other.folder}: made another way than {trained_on.folder}, so a probe trained on one says nothing about "
            f"the other.\n{rows}\nExtract it again as {trained_on.folder} was made "
            f"(probe cache info {trained_on.folder})."
        )


def _relevant(cache: Cache, tier: str) -> dict[str, Any]:
    tiers = {name: dtype for name, dtype in cache.tiers.items() if name in ("pooled", tier)}
    made = {name: value for name, value in cache.fingerprint.items() if name not in ("view", "view_seed")}
    return {**made, "tiers": tiers, "layers": cache.layers, "width": cache.dim}


def _read(name: str, spec: str, cache: Cache, opened: dict[Path, Cache], units: AlignedUnits | None = None) -> Split:
    cache, split = _place(name, spec, cache, opened)
    table = cache.select({"split": split})
    if units is not None and len(table):
        of_cache = units.of(cache)
        table = of_cache[of_cache["split"] == split].reset_index(drop=True)
    if table.empty:
        found = ", ".join(sorted(cache.utterances["split"].unique()))
        raise ProbeError(
            f"{cache.folder}: no utterances in split {split!r}, only {found}. Say which split to use: "
            f"{argument(name, 'NAME')}, or {argument(name, 'CACHE:NAME')} for one of another cache; or divide all of "
            f"them: {argument('split_by', 'speaker')}"
        )
    return Split(
        name,
        cache,
        split,
        _corpus_name(cache),
        table.rename(columns=renamed(cache)),
        np.empty(0),
        unit=units.unit if units else "",
        intervals=units.intervals(cache, table) if units and len(table) else None,
        notes=units.notes.get(cache.folder.resolve(), ()) if units else (),
    )


def renamed(cache: Cache) -> dict[str, str]:
    """New names of the columns of a cache that tables of a run add themselves; those made today have none."""
    names = list(cache.utterances.columns)
    taken = [name for name in ADDED if name in names]
    return {name: next(new for i in range(1, 99) if (new := "own_" * i + name) not in names) for name in taken}


def _corpus_name(cache: Cache) -> str:
    """The name of the corpus as a file name may hold it, without blanks."""
    name = "_".join(str(cache.about.get("corpus", "")).split()).replace("/", "_").replace("\\", "_")
    return name or cache.folder.name.removesuffix(".cache")


def _place(name: str, spec: str, cache: Cache, opened: dict[Path, Cache]) -> tuple[Cache, str]:
    """The cache and the split that a specification names."""
    if spec in set(_filled(cache).utterances["split"]):
        return cache, spec
    folder = spec
    split = ""
    if not (Path(spec).expanduser() / MANIFEST).is_file() and ":" in spec:
        folder, _, split = spec.rpartition(":")
    elif not Path(spec).expanduser().is_dir() and not spec.endswith(".cache") and Path(spec).name == spec:
        folder = ""
        split = spec
    other = _open(folder, opened) if folder else cache
    if split:
        return other, split
    splits = sorted(_filled(other).utterances["split"].unique())
    if name not in splits and len(splits) > 1:
        raise OptionError(
            name, spec, f"has the splits {', '.join(splits)}. Say which: {argument(name, f'{folder}:SPLIT')}"
        )
    return other, name if name in splits else splits[0]


def _filled(cache: Cache) -> Cache:
    if not len(cache):
        raise ProbeError(f"{cache.folder}: no utterances yet. Go on with the probe extract that began it")
    return cache


def _open(folder: str, opened: dict[Path, Cache]) -> Cache:
    path = Path(folder).expanduser()
    if path.resolve() not in opened:
        opened[path.resolve()] = Cache(path)
    return opened[path.resolve()]


def _refuse_shared(chosen: Sequence[Split]) -> None:
    """Two parts share no utterance; a corpus is known by its name, wherever it is cached."""
    for i, one in enumerate(chosen):
        for other in chosen[i + 1 :]:
            if one.corpus != other.corpus or _are_views(one, other):
                continue
            shared = set(one.table["utterance_id"]) & set(other.table["utterance_id"])
            if shared:
                raise ProbeError(
                    f"{argument(one.name)} and {argument(other.name)}: expected different splits, but {len(shared)} "
                    "utterances of "
                    f"{one.corpus} are in both, as {min(shared)}; a probe chosen or measured on what it was trained on "
                    "says nothing. Name another split or cache"
                )


def _are_views(one: Split, other: Split) -> bool:
    """Whether both are reported on, and heard through different views: the same utterances may be then."""
    return one.name == other.name == EVAL and heard_as(one.cache.about) != heard_as(other.cache.about)


def _named(reports: Sequence[Split]) -> list[Split]:
    """Evaluation sets whose names differ: the corpus, with the split and the cache where several are of one corpus.

    The name of a corpus that was heard through a view says so.
    """
    views = [heard_as(split.cache.about) for split in reports]
    names = [".".join(filter(None, (split.corpus, view))) for split, view in zip(reports, views, strict=True)]
    for more in (lambda split: split.split, lambda split: split.cache.folder.name.removesuffix(".cache")):
        twice = {name for name, n in Counter(names).items() if n > 1}
        names = [f"{name}.{more(split)}" if name in twice else name for name, split in zip(names, reports, strict=True)]
    names = [f"{name}.{i}" if names.index(name) != i else name for i, name in enumerate(names)]
    return [replace(split, corpus=name) for name, split in zip(names, reports, strict=True)]
