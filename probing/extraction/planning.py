"""The plan of an extraction: what goes where, and whether what is there already allows it.

No model is loaded for it, so that a wrong folder is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cache import ProbeError
from cache.errors import argument, as_flag, quoted
from cache.manifest import MANIFEST, Manifest
from cache.parts import Part
from cache.places import check_shards
from cache.writer import CacheWriter, begun
from probing.corpora import Corpus


@dataclass(frozen=True)
class Plan:
    """What is to be extracted and where to: a corpus, or a part of it with its mark."""

    folder: Path
    rows: pd.DataFrame
    shard_size: int
    shard_of: dict[str, int] | None = None
    mark: dict[str, Any] | None = None

    def writer(self, manifest: Manifest, wait: float, say: Callable[[str], None]) -> CacheWriter:
        """The cache, open for writing."""
        if self.mark is not None:
            manifest = replace(manifest, about={**manifest.about, "part": self.mark})
        return CacheWriter(
            self.folder,
            manifest,
            corpus=self.rows,
            shard_size=self.shard_size,
            shard_of=self.shard_of,
            wait=wait,
            say=say,
        )


def plan_of(folder: Path, corpus: Corpus, shard_size: int, part: Part | None) -> Plan:
    """The plan of an extraction into a folder that `check_place` has passed.

    Args:
        folder: of the cache, or of the whole that a part belongs to.
        corpus: what is to be extracted.
        shard_size: utterances a shard.
        part: the share of it that is to be extracted; None is all of it.

    Raises:
        ProbeError: the cache that is there was begun with other utterances or shards.
    """
    plan = Plan(folder, corpus.utterances, shard_size)
    if part is not None:
        share = part.share(corpus.utterances, shard_size)
        plan = Plan(
            part.folder(folder),
            share.corpus,
            shard_size=shard_size,
            shard_of=share.shard_of,
            mark=share.mark,
        )
    found = begun(plan.folder)
    if found is not None:
        _check_mark(plan.folder, found.about.get("part"), plan.mark)
    return plan


def check_place(folder: Path, corpus: Corpus, part: Part | None = None) -> None:
    """Refuse a folder that a corpus cannot be extracted into, whatever the backbone.

    Args:
        folder: of the cache, or of the whole that a part belongs to.
        corpus: what is to be extracted.
        part: the share of it that is to be extracted; None is all of it.

    Raises:
        CacheCorrupt: that cache has a damaged `cache.json`, or lacks a shard that was finished.
        ProbeError: the folder holds something else, another corpus, or a part of a cache.

    >>> from probing.corpora import load_corpus
    >>> check_place(Path("results/demo.new.cache"), load_corpus("mine.csv"))
    """
    if part is not None and (folder / MANIFEST).exists():
        raise ProbeError(
            f"{folder}: is a cache already, and parts are merged into a new one. "
            "Name another folder."
        )
    place = folder if part is None else part.folder(folder)
    found = begun(place)
    if found is None:
        return
    if found.about["corpus"] != corpus.name:
        raise ProbeError(
            f"{place}: holds the corpus {found.about['corpus']!r}, not "
            f"{corpus.name!r}. Name another folder."
        )
    if part is None:
        _check_mark(place, found.about.get("part"), None)
    check_shards(place, found)


def _check_mark(folder: Path, found: dict[str, Any] | None, wanted: dict[str, Any] | None) -> None:
    """Refuse a cache that is another part than wanted, or a part and not the whole."""
    if found == wanted:
        return
    if wanted is None and found is not None:
        number = f"{found['number']}/{found['of']}"
        raise ProbeError(
            f"{folder}: is part {number} of a cache. Go on with it by the name of the whole: "
            f"probe extract {quoted(str(folder).split('.part-')[0])} {as_flag('part', number)}"
        )
    raise ProbeError(
        f"{folder}: begun with other utterances or shards ({found and found['utterances']} "
        f"utterances, now {wanted and wanted['utterances']}). Give the {argument('corpus')}, "
        f"{argument('split')} and {argument('shard_size')} of then, or delete the folder."
    )
