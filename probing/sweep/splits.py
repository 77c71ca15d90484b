"""The utterances that a sweep trains on, chooses on and reports on, from one cache or several.

`SPLIT` is a split of the cache that is swept, `CACHE:SPLIT` one of another cache, and `CACHE` alone
its split `eval`, or the only one it has. A name that is a split of the cache that is swept is that
split; `./eval` is the folder.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cache import Cache, FingerprintMismatch, ProbeError
from cache.errors import OptionError, argument, quoted
from cache.fingerprint import differences
from cache.manifest import MANIFEST
from probing.augmentation import heard_as
from probing.options import nearest
from probing.sweep.dividing import divide
from probing.sweep.split import (
    EVAL,
    Split,
    check_target,
    corpus_name,
    filled,
    of_unfinished,
    renamed,
)
from probing.targets.aligned import AlignedUnits
from probing.targets.options import TargetOptions
from probing.targets.values import (
    Column,
    left_out,
    numbered,
    positive_of,
    read_column,
    task_of,
    unmatched,
)


def read_splits(
    cache: Cache,
    train: str = "train",
    dev: str = "dev",
    evaluations: Sequence[str] = (EVAL,),
    tier: str = "pooled",
    target: TargetOptions | None = None,
    seed: int = 0,
) -> dict[str, Split]:
    """The utterances of a sweep by part: `train`, `dev`, `eval`, and `eval.CORPUS` for others.

    Args:
        cache: the cache that is swept.
        train: SPLIT, CACHE:SPLIT or CACHE.
        dev: likewise.
        evaluations: likewise, one or more; the first is the one that findings are about.
        tier: pooled, or frames where frames are read too.
        target: what is to be read, and how utterances are divided if not by the splits of the
            corpus.
        seed: of that division.

    Raises:
        ProbeError: a cache or a split is missing or has one class only, or two parts share
            utterances.
        FingerprintMismatch: a cache was not made as the one trained on was.

    >>> list(read_splits(Cache("results/demo.cache")))
    ['train', 'dev', 'eval']
    """
    target = target or TargetOptions()
    if not evaluations:
        raise ProbeError(f"{argument('eval')}: expected one or more, as {argument('eval', 'eval')}")
    column = read_column(target)
    units = AlignedUnits(target) if target.unit else None
    if target.split_by:
        if (train, dev, tuple(evaluations)) != ("train", "dev", (EVAL,)):
            used = ", ".join(argument(name) for name in ("train", "dev", EVAL))
            raise OptionError(
                "split_by", target.split_by, f"divides all utterances anew. Leave {used} out"
            )
        return divide(cache, target, column=column, seed=seed, units=units)
    opened = {cache.folder.resolve(): cache}
    parts = [("train", train), ("dev", dev), *((EVAL, spec) for spec in evaluations)]
    chosen = [_read(name, spec, cache=cache, opened=opened, units=units) for name, spec in parts]
    reference = chosen[0].cache
    for split in chosen:
        check_comparable(reference, split.cache, tier)
    _refuse_shared(chosen)
    chosen = _with_target(chosen, target, column)
    reports = _named(chosen[2:])
    others = {f"{EVAL}.{split.corpus}": split for split in reports[1:]}
    return {"train": chosen[0], "dev": chosen[1], EVAL: reports[0], **others}


def _with_target(chosen: Sequence[Split], options: TargetOptions, column: Column) -> list[Split]:
    """The parts with their targets, without utterances that have none."""
    values = [column.of(split.table, split.cache) for split in chosen]
    strangers = unmatched(
        column, [name for split in chosen for name in split.cache.utterances["utterance_id"]]
    )
    every = pd.concat(values)
    positive = positive_of(options, every)
    task = task_of(options, every, values[0])
    found: list[Split] = []
    for split, mine in zip(chosen, values, strict=True):
        target, used = numbered(task, mine, positive)
        why = {**({} if found else strangers), **left_out(task, mine, used)}
        found.append(
            replace(split, table=split.table[used], target=target, task=task, left_out=why)
        )
        check_target(found[-1], column)
    return found


def check_comparable(trained_on: Cache, other: Cache, tier: str = "pooled") -> None:
    """Refuse a cache of another backbone or preprocessing, with both values side by side.

    Whatever is in the fingerprints counts, but for tiers that the sweep does not read, and for what
    the clips were heard through: a view is other audio, as another corpus is.

    Raises:
        FingerprintMismatch.
    """
    if found := differences(_relevant(other, tier), _relevant(trained_on, tier)):
        rows = "\n".join(
            f"  {difference.name}: {difference.first!r}, trained on {difference.second!r}"
            for difference in found
        )
        raise FingerprintMismatch(
            f"{other.folder}: made another way than {trained_on.folder}, so a probe trained on "
            f"one says nothing about the other.\n{rows}\nExtract it again as {trained_on.folder} "
            f"was made (probe cache info {quoted(trained_on.folder)})."
        )


def _relevant(cache: Cache, tier: str) -> dict[str, Any]:
    tiers = {name: dtype for name, dtype in cache.tiers.items() if name in ("pooled", tier)}
    made = {
        name: value
        for name, value in cache.fingerprint.items()
        if name not in ("view", "view_seed")
    }
    return {**made, "tiers": tiers, "layers": cache.layers, "width": cache.dim}


def _read(
    name: str, spec: str, cache: Cache, opened: dict[Path, Cache], units: AlignedUnits | None = None
) -> Split:
    cache, split = _place(name, spec, cache, opened)
    table = cache.select({"split": split})
    if units is not None and len(table):
        of_cache = units.of(cache)
        table = of_cache[of_cache["split"] == split].reset_index(drop=True)
    if table.empty:
        there = sorted(cache.utterances["split"].unique())
        hint = nearest(split, there) or "."
        raise ProbeError(
            f"{cache.folder}: no utterances in split {split!r}, only {', '.join(there)}{hint} "
            f"Say which split to use: {argument(name, 'NAME')}, or "
            f"{argument(name, 'CACHE:NAME')} for one of another cache; or divide all of them: "
            f"{argument('split_by', 'speaker')}{of_unfinished(cache)}"
        )
    return Split(
        name,
        cache,
        split=split,
        corpus=corpus_name(cache),
        table=table.rename(columns=renamed(cache)),
        target=np.empty(0),
        unit=units.unit if units else "",
        intervals=units.intervals(cache, table) if units and len(table) else None,
        notes=units.notes.get(cache.folder.resolve(), ()) if units else (),
    )


def _place(name: str, spec: str, cache: Cache, opened: dict[Path, Cache]) -> tuple[Cache, str]:
    """The cache and the split that a specification names."""
    if spec in set(filled(cache).utterances["split"]):
        return cache, spec
    folder = spec
    split = ""
    if not (Path(spec).expanduser() / MANIFEST).is_file() and ":" in spec:
        folder, _, split = spec.rpartition(":")
    elif (
        not Path(spec).expanduser().is_dir()
        and not spec.endswith(".cache")
        and Path(spec).name == spec
    ):
        folder = ""
        split = spec
    other = _open(folder, opened) if folder else cache
    if split:
        return other, split
    splits = sorted(filled(other).utterances["split"].unique())
    if name not in splits and len(splits) > 1:
        raise OptionError(
            name,
            spec,
            f"has the splits {', '.join(splits)}. Say which: {argument(name, f'{folder}:SPLIT')}",
        )
    return other, name if name in splits else splits[0]


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
                    f"{argument(one.name)} and {argument(other.name)}: expected different "
                    f"splits, but {len(shared)} utterances of {one.corpus} are in both, as "
                    f"{min(shared)}; a probe chosen or measured on what it was trained on says "
                    "nothing. Name another split or cache"
                )


def _are_views(one: Split, other: Split) -> bool:
    """Whether both are reported on and are different views, which may share utterances."""
    return one.name == other.name == EVAL and heard_as(one.cache.about) != heard_as(
        other.cache.about
    )


def _named(reports: Sequence[Split]) -> list[Split]:
    """Evaluation sets with names that differ.

    The name is the corpus, with split and cache where several are of one corpus. That of a corpus
    that was heard through a view says so.
    """
    views = [heard_as(split.cache.about) for split in reports]
    names = [
        ".".join(filter(None, (split.corpus, view)))
        for split, view in zip(reports, views, strict=True)
    ]
    for more in (
        lambda split: split.split,
        lambda split: split.cache.folder.name.removesuffix(".cache"),
    ):
        twice = {name for name, n in Counter(names).items() if n > 1}
        names = [
            f"{name}.{more(split)}" if name in twice else name
            for name, split in zip(names, reports, strict=True)
        ]
    names = [f"{name}.{i}" if names.index(name) != i else name for i, name in enumerate(names)]
    return [replace(split, corpus=name) for name, split in zip(names, reports, strict=True)]
