"""What is inspected: an utterance, its audio, and the head that speaks, read before one is loaded.

PyTorch is not imported: what cannot be inspected is refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.waveforms import Waveforms
from cache import Cache, ProbeError
from cache.errors import argument
from probing.alignments import read_alignments
from probing.audio import UnusableAudio, Waveform, load_audio
from probing.runs import find_cache
from probing.serving.candidates import ServingError
from probing.serving.stated import StatedHead


@dataclass(frozen=True)
class Subject:
    """An utterance with all that is known of it before a head is loaded.

    head: that speaks, as the records state it.
    utterance: its id, or the path of its file.
    name: as pictures call it.
    waveform: (n,) at 16 kHz, as the model sees it.
    label: what is known of it; empty of a file.
    frames: (layers, T, D) that the head needs, if a cache has them.
    intervals: see `Inspection`.

    >>> read_subject(Path("results/demo.run"), "clip.wav", head="linear").name
    'clip.wav'
    """

    head: StatedHead
    utterance: str
    name: str
    waveform: Waveform
    label: str = ""
    frames: NDArray[np.floating] | None = None
    intervals: pd.DataFrame | None = None


def read_subject(
    where: Path,
    utterance: str | Path,
    *,
    head: str | None = None,
    cache: Cache | str | Path | None = None,
    audio_root: Path | None = None,
    labels: str | Path | None = None,
    label_tier: str | None = None,
) -> Subject:
    """Read an utterance, its audio and its labels; arguments are those of `inspect`.

    Raises:
        ProbeError: no such run, head, utterance, audio or labels, or a cache of another backbone.

    >>> len(read_subject(Path("results/demo.run"), "clip.wav", head="linear").waveform)
    8000
    """
    stated = StatedHead.of(where, head)
    if stated.has_exits:
        raise ServingError(
            f"{where}: has several heads, one an exit. Inspect the run, or an export of one of them"
        )
    path = Path(utterance)
    if path.is_file():
        found = Subject(stated, str(utterance), path.name, _decoded(path, stated))
        place = str(path)
    else:
        opened = _cache(stated, cache, str(utterance))
        row = _row(opened, str(utterance))
        place = str(row["path"])
        stated.check_cache(opened)
        found = _of_cache(stated, opened, row, Waveforms(opened, audio_root))
    if found.frames is None:
        stated.options.check_backbone()
    if labels is None:
        return found
    known = pd.DataFrame({"utterance_id": [str(utterance)], "path": [place]})
    read = read_alignments(
        labels, known, tier=label_tier, overlaps="leave-out", tier_option="label_tier"
    )
    return replace(found, intervals=read.table)


def _decoded(path: Path, stated: StatedHead) -> Waveform:
    try:
        return load_audio(path, stated.options.cropping)
    except UnusableAudio as error:
        raise ProbeError(f"{path}: {error}. Give another file") from None


def _cache(stated: StatedHead, given: Cache | str | Path | None, utterance: str) -> Cache:
    """The cache that has an utterance: the one given, or that of the run."""
    if isinstance(given, Cache):
        return given
    try:
        if given is not None:
            return Cache(given)
        if stated.run is not None:
            return find_cache(stated.run)
    except ProbeError as error:
        raise ProbeError(
            f"{utterance}: {_no_file(utterance)}, and as an id it needs a cache. Say "
            f"{argument('cache', 'DIR')}. {error}"
        ) from None
    raise ProbeError(
        f"{utterance}: {_no_file(utterance)}. An utterance id needs its cache: "
        f"{argument('cache', 'DIR')}"
    )


def _no_file(utterance: str) -> str:
    """Why a name is that of no file."""
    return "a folder, not a file" if Path(utterance).is_dir() else "no such file"


def _row(cache: Cache, utterance: str) -> pd.Series:
    """The row of an utterance in the table of a cache."""
    rows = cache.select({"utterance_id": utterance})
    if rows.empty:
        raise ProbeError(
            f"{utterance}: {_no_file(utterance)}, and no utterance of {cache.folder}. Its ids: "
            f"{', '.join(cache.utterances['utterance_id'].head(3))}, ..."
        )
    return rows.iloc[0]


def _of_cache(stated: StatedHead, cache: Cache, row: pd.Series, waveforms: Waveforms) -> Subject:
    """An utterance of a cache, with its frames if they are stored."""
    name = str(row["utterance_id"])
    frames = None
    if "frames" in cache.tiers and stated.needs and set(stated.needs[1]) <= set(cache.layers):
        frames = cache.frames([name], stated.needs[1])[0]
    label = row["label"] if row["attack"] in ("", "-") else f"{row['label']}, {row['attack']}"
    return Subject(stated, name, name, waveforms.load(name, row["path"]), label, frames)
