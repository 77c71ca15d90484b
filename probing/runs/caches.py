"""Caches of a run, found where they were or beside the run."""

from __future__ import annotations

from pathlib import Path, PurePath

from cache import Cache, CacheMissing, ProbeError
from probing.runs.record import CacheOfPart
from probing.runs.run import Run


def find_cache(run: Run, part: str = "") -> Cache:
    """The cache of a run: where it was when it was swept, or, if the run was moved with it, beside
    the run.

    Args:
        run: a finished run.
        part: `train`, `dev`, `eval` or `eval.CORPUS`, whose utterances it holds; default the cache
            that was swept.

    Raises:
        CacheMissing: it is in neither place, or another cache is there by now.

    >>> find_cache(Run("results/demo.run"), "train").folder.name
    'demo.cache'
    """
    record = run.record
    known = record.caches[part] if part else CacheOfPart(record.cache_folder, record.cache, "")
    beside = run.folder.parent if run.folder.name not in ("", "..") else run.folder.resolve().parent
    others = []
    for place in (Path(known.folder), beside / PurePath(known.folder).name):
        try:
            found = Cache(place)
        except (ProbeError, OSError):
            continue
        if found.id == known.id:
            return found
        others.append(f"{place} is another cache than the run was made of, {found.id}. ")
    raise CacheMissing(
        f"{run.folder}: its cache {known.id} is neither in {known.folder} nor beside the run. "
        f"{''.join(others[:1])}Put it there, or beside the run"
    )
