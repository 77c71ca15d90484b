"""Inspection: one utterance, its waveform, and what every frame of it says to a trained head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.waveforms import Waveforms
from analysis.inspection.evidence import frame_evidence
from cache import Cache, ProbeError
from cache.errors import argument
from cache.manifest import fingerprint_id
from probing.alignments import read_alignments
from probing.audio import SAMPLING_RATE, UnusableAudio, Waveform, load_audio
from probing.devices import find_device
from probing.extraction import layers_of
from probing.runs import Run, find_cache
from probing.serving import Server
from probing.serving.exported import load_run_backbone, run_options
from probing.serving.heads import head_depth


@dataclass(frozen=True)
class Inspection:
    """What a head says of one utterance, over time.

    activation: DataFrame, one row a frame: time (middle of the frame, in s), activation (log odds
        of bona fide, whose mean is the score; NaN where the head does not look).
    waveform: (n,) at 16 kHz, as the model saw it.
    score: log odds of bona fide.
    head, how: which head, and how its score was divided among the frames.
    utterance, label: its id or path, and what is known of it.
    backbone, corpus, cache: names of the model and of the corpus that the head was trained on, and
        the short hash of the cache's fingerprint.
    note: what a person should know of the head, see `Server.note`.
    intervals: what is known of stretches of time, `start`, `end` (s), `label`; None where no labels
    were given.

    >>> found = inspect("results/demo.run", "clip.wav", head="linear")
    >>> found.utterance
    'clip.wav'
    """

    activation: pd.DataFrame
    waveform: Waveform
    score: float
    head: str
    how: str
    utterance: str
    label: str
    backbone: str
    corpus: str
    cache: str
    note: str = ""
    intervals: pd.DataFrame | None = None


def inspect(
    where: Run | str | Path,
    utterance: str | Path,
    *,
    head: str | None = None,
    cache: Cache | str | Path | None = None,
    audio_root: Path | None = None,
    labels: str | Path | None = None,
    label_tier: str | None = None,
    device: str = "cpu",
) -> Inspection:
    """Class activation over the frames of one utterance.

    Args:
        where: a run, or a folder of `probe export`.
        utterance: an audio file, or an utterance id of the cache.
        head: as `probing.serving.choose_head`; default that of the run's finding.
        cache: where ids are looked up; default the cache of the run. Frames come from it where it
            has them, else the audio is run through the backbone.
        audio_root: where the audio of the cache is now.
        labels: alignments that say what is where, as `probing.alignments.read_alignments` takes
            them.
        label_tier: of TextGrids, see there.
        device: where to run the backbone.

    Raises:
        ProbeError: no such run, head, utterance or audio, or another backbone.

    >>> found = inspect("results/demo.run", "clip.wav", head="linear")
    >>> list(found.activation.columns)
    ['time', 'activation']
    """
    find_device(device)
    server = Server(where.folder if isinstance(where, Run) else Path(where), head)
    known = server.exported.record if server.exported else server.run.record
    backbone = str(known["backbone"] if server.exported else known["about"]["backbone"])
    frames = None
    label = ""
    path = Path(utterance)
    place = str(path)
    if path.is_file():
        options = (
            server.exported.options if server.exported else run_options(server.run, server.head)
        )
        try:
            waveform = load_audio(path, options.cropping)
        except UnusableAudio as error:
            raise ProbeError(f"{path}: {error}. Give another file") from None
    else:
        opened = _cache(server, cache, str(utterance))
        rows = opened.select({"utterance_id": str(utterance)})
        if rows.empty:
            raise ProbeError(
                f"{utterance}: no such file, and no utterance of {opened.folder}. Its ids: "
                f"{', '.join(opened.utterances['utterance_id'].head(3))}, ..."
            )
        row = rows.iloc[0]
        label = row["label"] if row["attack"] in ("", "-") else f"{row['label']}, {row['attack']}"
        place = row["path"]
        waveform = Waveforms(opened, audio_root).load(str(utterance), place)
        server.check(opened)
        if "frames" in opened.tiers and set(server.head.layers) <= set(opened.layers):
            frames = opened.frames([str(utterance)], server.head.layers)[0]
    intervals = None
    if labels is not None:
        known_as = pd.DataFrame({"utterance_id": [str(utterance)], "path": [place]})
        intervals = read_alignments(labels, known_as, tier=label_tier, overlaps="leave-out").table
    if frames is None:
        frames = _frames(server, waveform, str(utterance), device)
    found = frame_evidence(server.head, frames)
    seconds = len(waveform) / SAMPLING_RATE
    middle = (np.arange(len(found.values)) + 0.5) * seconds / len(found.values)
    activation = pd.DataFrame({"time": middle, "activation": found.values})
    activation.attrs = {
        "score": found.score,
        "head": server.name,
        "how": found.how,
        "utterance": str(utterance),
    }
    name = path.name if path.is_file() else str(utterance)
    corpus = known.get("corpus", "") if server.exported else known["caches"]["train"]["corpus"]
    about = (backbone, str(corpus), fingerprint_id(known["fingerprint"]))
    verdict = found.score, server.name, found.how, name, label
    return Inspection(activation, waveform, *verdict, *about, server.note, intervals)


def _cache(server: Server, given: Cache | str | Path | None, utterance: str) -> Cache:
    if isinstance(given, Cache):
        return given
    if given is None and server.exported:
        raise ProbeError(
            f"{utterance}: no such file. An utterance id needs its cache: "
            f"{argument('cache', 'DIR')}"
        )
    try:
        return find_cache(server.run) if given is None else Cache(given)
    except ProbeError as error:
        raise ProbeError(
            f"{utterance}: no such file, and as an id it needs a cache: {error} Say "
            f"{argument('cache', 'DIR')}"
        ) from None


def _frames(server: Server, waveform: Waveform, name: str, device: str) -> NDArray[np.floating]:
    """The layers of the head, (layers, T, D), by running its backbone."""
    if server.exported:
        options = server.exported.options
        backbone = server.exported.load_backbone(device)
    else:
        options = run_options(server.run, server.head)
        backbone = load_run_backbone(server.run, options, device)
        if head_depth(server.head):
            backbone = backbone.truncate(head_depth(server.head))
    failed: list[str] = []
    options = replace(options, frames=True, frames_dtype="float32")
    for _, layers in layers_of(
        {name: waveform}, backbone, options, on_failure=lambda _, why: failed.append(why)
    ):
        return np.asarray(layers[server.head.layers])
    raise ProbeError(f"{name}: {failed[0]}. Give another utterance")
