"""Targets that are measured in the audio of a cache's utterances, once for all parts of a sweep."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cache import Cache
from cache.errors import OptionError, ProbeError, argument
from probing.options import one_of
from probing.progress import progress_line
from probing.targets.options import AUDIO

if TYPE_CHECKING:  # a wrong option must not wait for it
    from probing.audio import Cropping

MOST_WORKERS = 4


def audio_name(target: str) -> str:
    """The name of what is measured, of `audio:f0`; empty for other targets.

    >>> audio_name("audio:f0"), audio_name("speaker")
    ('f0', '')
    """
    return target.removeprefix(AUDIO) if target.startswith(AUDIO) else ""


def of_utterances(cache: Cache, name: str) -> pd.Series[float]:
    """The value of each utterance of a cache by its id; NaN where it has none.

    Raises:
        ProbeError: no such target, or no audio where the cache says it was.
    """
    return _of_utterances(_Opened(cache), name)


def of_frames(cache: Cache, name: str) -> pd.DataFrame:
    """The value of every frame: `utterance_id`, `start`, `end` (seconds), `first_frame`, `label`.

    NaN has no value.

    Raises:
        ProbeError: no such target of frames, or no audio where the cache says it was.
    """
    return _of_frames(_Opened(cache), name)


class _Opened:
    """A cache as a key: measuring takes minutes, and parts of a sweep ask again."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._key = str(cache.folder.resolve()), cache.id, len(cache), cache.manifest.table_crc32

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opened) and self._key == other._key


@lru_cache(maxsize=4)
def _of_utterances(opened: _Opened, name: str) -> pd.Series[float]:
    from probing.targets.audio import AUDIO_TARGETS, audio_targets

    _check(name, list(AUDIO_TARGETS))
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    found = audio_targets(
        [name], _files(opened.cache), cropping=_cropping(opened.cache), n_workers=workers
    )
    return found.set_index("utterance_id")[name]


@lru_cache(maxsize=2)
def _of_frames(opened: _Opened, name: str) -> pd.DataFrame:
    from probing.audio import UnusableAudio, load_audio
    from probing.targets.audio import FRAME_TARGETS, frame_targets

    _check(name, list(FRAME_TARGETS))
    cache = opened.cache
    hop = cache.frame_timing.seconds
    cropping = _cropping(cache)
    parts = []
    with progress_line("Measuring audio", len(cache), "files") as line:
        for utterance, path in _files(cache).items():
            times = cache.frame_times(utterance)
            try:
                values = frame_targets(name, load_audio(path, cropping), times)
            except UnusableAudio as error:
                raise ProbeError(
                    f"{path}: {error}. The audio is not what was extracted; restore it"
                ) from None
            columns = {
                "start": times - hop / 2,
                "end": times + hop / 2,
                "first_frame": np.arange(len(times)),
            }
            parts.append(pd.DataFrame({"utterance_id": utterance, **columns, "label": values}))
            line.advance(1)
    return pd.concat(parts, ignore_index=True)


def _check(name: str, known: list[str]) -> None:
    if name not in known:
        raise OptionError("target", f"{AUDIO}{name}", f"expected {AUDIO} and {one_of(known)}")


def _files(cache: Cache) -> dict[str, Path]:
    from probing.corpora.cached import audio_of

    try:
        root = audio_of(cache)
    except ProbeError:  # what is below says what to do here
        root = Path(str(cache.about.get("audio_root") or "."))
    table = cache.utterances
    files = {
        name: root / path for name, path in zip(table["utterance_id"], table["path"], strict=True)
    }
    gone = next((path for path in files.values() if not path.is_file()), None)
    if gone is not None:
        raise ProbeError(
            f"{gone}: no such file. {cache.folder} was extracted from audio below {root}; a "
            "target of the audio needs it there still. Move it back, or measure it elsewhere and "
            f"give the table: {argument('labels', 'FILE')}"
        )
    return files


def _cropping(cache: Cache) -> Cropping:
    from probing.audio import Cropping

    options = cache.about.get("options") or {}
    known = {name: options[name] for name in ("max_seconds", "seconds") if name in options}
    return Cropping(**known)
