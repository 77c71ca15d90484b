"""The utterances of a sweep: those it trains on, chooses on, and reports on, from one cache or several.

`SPLIT` is a split of the cache that is swept, `CACHE:SPLIT` one of another cache, and `CACHE` alone its split `eval`,
or the only one it has. A name that is a split of the cache that is swept is that split; `./eval` is the folder.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, FingerprintMismatch, ProbeError
from cache.errors import OptionError, argument
from cache.fingerprint import differences
from cache.manifest import MANIFEST
from probing.labels import BONAFIDE
from probing.metrics.clusters import Clusters, clusters_of

EVAL = "eval"
ADDED = ("score", "part")  # columns that tables of a run add to those of a corpus


@dataclass(frozen=True)
class Split:
    """Some utterances of a cache.

    name: `train`, `dev` or `eval`, its part in the sweep.
    cache: an open cache. split: its split that this is. corpus: what results and files call it.
    table: rows of `Cache.utterances`; columns that tables of a run add are called `own_...` (see `renamed`).
    bonafide: (N,) true for bona fide.
    """

    name: str
    cache: Cache
    split: str
    corpus: str
    table: pd.DataFrame
    bonafide: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def cache_corpus(self) -> str:
        """Name of the corpus that the cache is of, whatever results and files call it."""
        return _corpus_name(self.cache)

    def clusters(self, unit: str) -> Clusters:
        """What a bootstrap draws; see `probing.metrics.clusters.columns_of` for the unit."""
        return clusters_of(self.table, unit, f"{self.name} utterance of {self.corpus}")


def read_splits(
    cache: Cache, train: str = "train", dev: str = "dev", evaluations: Sequence[str] = (EVAL,), tier: str = "pooled"
) -> dict[str, Split]:
    """The utterances of a sweep by their part: `train`, `dev`, `eval`, and `eval.CORPUS` for the second and later ones.

    Args:
        cache: the cache that is swept.
        train: SPLIT, CACHE:SPLIT or CACHE.
        dev: likewise.
        evaluations: likewise, one or more; the first is the one that findings are about.
        tier: pooled, or frames where frames are read too.

    Raises:
        ProbeError: a cache or a split is missing or has one class only, or two parts share utterances.
        FingerprintMismatch: a cache was not made as the one trained on was.
    """
    opened = {cache.folder.resolve(): cache}
    parts = [("train", train), ("dev", dev), *((EVAL, spec) for spec in evaluations)]
    if not evaluations:
        raise ProbeError(f"{argument('eval')}: expected one or more, as {argument('eval', 'eval')}")
    chosen = [_read(name, spec, cache, opened) for name, spec in parts]
    reference = chosen[0].cache
    for split in chosen:
        check_comparable(reference, split.cache, tier)
    _refuse_shared(chosen)
    reports = _named(chosen[2:])
    others = {f"{EVAL}.{split.corpus}": split for split in reports[1:]}
    return {"train": chosen[0], "dev": chosen[1], EVAL: reports[0], **others}


def identity(splits: dict[str, Split]) -> dict[str, int]:
    """A number for each part that tells one set of utterances from another."""
    columns = ["utterance_id", "label", "speaker"]
    return {
        part: int(pd.util.hash_pandas_object(split.table[columns], index=False).sum()) for part, split in splits.items()
    }


def check_comparable(trained_on: Cache, other: Cache, tier: str = "pooled") -> None:
    """Refuse a cache whose numbers another backbone or another preprocessing made, with the two values side by side.

    Whatever is in the fingerprints counts, but for tiers that the sweep does not read.

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
    return {**cache.fingerprint, "tiers": tiers, "layers": cache.layers, "width": cache.dim}


def _read(name: str, spec: str, cache: Cache, opened: dict[Path, Cache]) -> Split:
    cache, split = _place(name, spec, cache, opened)
    table = cache.select({"split": split})
    bonafide = (table["label"] == BONAFIDE).to_numpy()
    if table.empty:
        found = ", ".join(sorted(cache.utterances["split"].unique()))
        raise ProbeError(
            f"{cache.folder}: no utterances in split {split!r}, only {found}. Say which split to use: "
            f"{argument(name, 'NAME')}, or {argument(name, 'CACHE:NAME')} for one of another cache"
        )
    if bonafide.all() or not bonafide.any():
        raise ProbeError(
            f"{cache.folder}: split {split!r} has {int(bonafide.sum())} bona fide and {int((~bonafide).sum())} "
            f"spoofed utterances. Expected both; use another split: {argument(name, 'NAME')}"
        )
    return Split(name, cache, split, _corpus_name(cache), table.rename(columns=renamed(cache)), bonafide)


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
            if one.corpus != other.corpus:
                continue
            shared = set(one.table["utterance_id"]) & set(other.table["utterance_id"])
            if shared:
                raise ProbeError(
                    f"{argument(one.name)} and {argument(other.name)}: expected different splits, but {len(shared)} "
                    "utterances of "
                    f"{one.corpus} are in both, as {min(shared)}; a probe chosen or measured on what it was trained on "
                    "says nothing. Name another split or cache"
                )


def _named(reports: Sequence[Split]) -> list[Split]:
    """Evaluation sets whose names differ: the corpus, with the split and the cache where several are of one corpus."""
    names = [split.corpus for split in reports]
    for more in (lambda split: split.split, lambda split: split.cache.folder.name.removesuffix(".cache")):
        twice = {name for name, n in Counter(names).items() if n > 1}
        names = [f"{name}.{more(split)}" if name in twice else name for name, split in zip(names, reports, strict=True)]
    names = [f"{name}.{i}" if names.index(name) != i else name for i, name in enumerate(names)]
    return [replace(split, corpus=name) for name, split in zip(names, reports, strict=True)]
