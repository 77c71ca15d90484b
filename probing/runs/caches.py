"""Caches of a run: found where they were or beside it, and compared with what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath

import pandas as pd

from cache import Cache, CacheMissing, ProbeError
from cache.errors import quoted
from probing.runs.form import UTTERANCES
from probing.runs.record import CacheOfPart
from probing.runs.run import Run
from probing.targets.task import CLIP

CRC = "file_crc32"


def find_cache(run: Run, part: str = "") -> Cache:
    """The cache of a run: where it was when it was swept, or beside the run, if both were moved.

    Args:
        run: a finished run.
        part: `train`, `dev`, `eval` or `eval.CORPUS`, whose utterances it holds; default the cache
            that was swept.

    Raises:
        CacheMissing: it is in neither place, or another cache is there by now, see `mismatch`.

    >>> find_cache(Run("results/demo.run"), "train").folder.name
    'demo.cache'
    """
    known = _cache_of(run, part)
    beside = run.folder.parent if run.folder.name not in ("", "..") else run.folder.resolve().parent
    others = []
    for place in (Path(known.folder), beside / PurePath(known.folder).name):
        try:
            found = Cache(place)
        except (ProbeError, OSError):
            continue
        why = mismatch(run, found, part)
        if not why:
            return found
        others.append(f"{why}. ")
    raise CacheMissing(
        f"{run.folder}: its cache {known.id} is neither in {known.folder} nor beside the run. "
        f"{''.join(others[:1])}Put it there, or beside the run"
    )


def check_cache(run: Run, cache: Cache, part: str = "") -> None:
    """Refuse a cache that is not the one a run was made of, see `mismatch`.

    Args:
        run: a finished run.
        cache: an open cache.
        part: see `find_cache`.

    Raises:
        ProbeError: it is another one, or of other audio.

    >>> check_cache(Run("results/demo.run"), Cache("results/demo.cache"))
    """
    if why := mismatch(run, cache, part):
        raise ProbeError(
            f"{run.folder}: {why}. Sweep it: probe sweep {quoted(cache.folder)}, or give the cache "
            f"of the run, which was in {_cache_of(run, part).folder}"
        )


def mismatch(run: Run, cache: Cache, part: str = "") -> str:
    """Why a cache is not the one a run was made of; empty if it is.

    Compared are the recipe of the cache, and the checksums of the audio files of the utterances
    that the run reports on. Runs without checksums are compared by the recipe alone.

    Args:
        run: a finished run.
        cache: an open cache.
        part: see `find_cache`.

    >>> mismatch(Run("results/demo.run"), Cache("results/demo.cache"))
    ''
    """
    known = _cache_of(run, part)
    if cache.id != known.id:
        return f"{cache.folder} is another cache than the run was made of, {cache.id}"
    recorded = run.record.get("audio") or {}
    if not (run.folder / UTTERANCES).is_file():  # of an earlier version
        return ""
    for name, of_part in run.record.caches.items():
        # the run has no table of the utterances that it was trained on
        is_here = (of_part.folder, of_part.id) == (known.folder, known.id)
        if name == "train" or not is_here or not recorded.get(name):
            continue
        if audio_identity({name: _with_checksums(run, cache, name)})[name] != recorded[name]:
            return f"{cache.folder} is of other audio files than the run was made of, in {name}"
    return ""


def audio_identity(tables: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """A number for each table of utterances that tells its audio files from others of these ids.

    It is of the checksums that extraction keeps of the files; 0 if it kept none.

    >>> audio_identity({"dev": pd.DataFrame({"utterance_id": ["a"]})})
    {'dev': 0}
    """
    found = {}
    for part, table in tables.items():
        known = table[["utterance_id", CRC]] if CRC in table else table.iloc[:0]
        found[part] = int(pd.util.hash_pandas_object(known, index=False).sum())
    return found


def _cache_of(run: Run, part: str) -> CacheOfPart:
    """What the record says of the cache of a part; by default of the one that was swept."""
    record = run.record
    return record.caches[part] if part else CacheOfPart(record.cache_folder, record.cache, "")


def _with_checksums(run: Run, cache: Cache, part: str) -> pd.DataFrame:
    """The trials of a part with the checksums that a cache has of their files.

    Without the column if the cache has no checksums, or not of all of these utterances.
    """
    trials = run.trials_of(part)
    clips = trials[CLIP] if CLIP in trials else trials["utterance_id"]
    known = cache.utterances
    if CRC not in known or not clips.isin(known["utterance_id"]).all():
        return trials[["utterance_id"]]
    checksums = known.set_index("utterance_id")[CRC].loc[clips]
    return trials[["utterance_id"]].assign(**{CRC: checksums.to_numpy()})
