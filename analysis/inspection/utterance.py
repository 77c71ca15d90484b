"""Inspection: one utterance, its waveform, and what every frame of it says to a trained head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.inspection.evidence import frame_evidence
from analysis.inspection.subject import Subject, read_subject
from cache import Cache, ProbeError
from cache.manifest import fingerprint_id
from probing.audio import SAMPLING_RATE, Waveform
from probing.devices import find_device
from probing.extraction import layers_of
from probing.runs import Run
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
    folder = where.folder if isinstance(where, Run) else Path(where)
    subject = read_subject(
        folder,
        utterance,
        head=head,
        cache=cache,
        audio_root=audio_root,
        labels=labels,
        label_tier=label_tier,
    )
    return inspect_subject(subject, device)


def inspect_subject(subject: Subject, device: str = "cpu") -> Inspection:
    """As `inspect`, of what `read_subject` read.

    >>> from analysis.inspection.subject import read_subject
    >>> subject = read_subject(Path("results/demo.run"), "clip.wav", head="linear")
    >>> inspect_subject(subject).utterance
    'clip.wav'
    """
    find_device(device)
    server = Server(subject.head.where, subject.head.name)
    waveform = subject.waveform
    frames = subject.frames
    if frames is None:
        frames = _frames(server, waveform, subject.utterance, device)
    found = frame_evidence(server.head, frames)
    seconds = len(waveform) / SAMPLING_RATE
    middle = (np.arange(len(found.values)) + 0.5) * seconds / len(found.values)
    activation = pd.DataFrame({"time": middle, "activation": found.values})
    activation.attrs = {
        "score": found.score,
        "head": server.name,
        "how": found.how,
        "utterance": subject.utterance,
    }
    known = server.exported.record if server.exported else server.run.record
    backbone = str(known["backbone"] if server.exported else known["about"]["backbone"])
    corpus = known.get("corpus", "") if server.exported else known["caches"]["train"]["corpus"]
    return Inspection(
        activation,
        waveform,
        found.score,
        server.name,
        found.how,
        utterance=subject.name,
        label=subject.label,
        backbone=backbone,
        corpus=str(corpus),
        cache=fingerprint_id(known["fingerprint"]),
        note=server.note,
        intervals=subject.intervals,
    )


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
