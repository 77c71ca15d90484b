"""The layers of a few files, without a cache: what scoring a file with a trained head needs."""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError
from cache.quantization import decode as decoded_frames
from probing.audio import Waveform
from probing.backbones import Backbone
from probing.extraction.machine import Machine
from probing.extraction.options import Options
from probing.extraction.states import Clip, UnusableStates, batches, decode, states_of
from probing.progress import console
from probing.threads import Threads

Audio = str | Path | Waveform
Result = TypeVar("Result")
BATCHES_SORTED = 16  # a window of so many batches is decoded at once and sorted by length


def layers_of(
    audio: Sequence[Audio] | Mapping[str, Audio],
    backbone: Backbone,
    options: Options,
    *,
    batch_size: int | None = None,
    on_failure: Callable[[str, str], None] = lambda name, reason: console.print(
        f"{name}: {reason}; left out"
    ),
    on_measures: Callable[[str, Mapping[str, float]], None] = lambda name, measures: None,
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Compute every layer of audio files as `extract` would cache them, one file after the other.

    Args:
        audio: files, or waveforms (n,) or (n, channels) at 16 kHz; under names of their own, or
            else under their paths without suffix, white space replaced by `_`, as in a manifest (a
            waveform: under its position).
        backbone: as `options.load_backbone` gives it.
        options: how much of a clip to take, which type to round to, and whether frames are wanted.
        batch_size: most files a forward pass; by default as in an extraction.
        on_failure: called with (utterance_id, reason) for a file that cannot be used; there is
            nothing else of it.
        on_measures: called with (utterance_id, measures of its audio), see `probing.audio.measure`,
            before each that is given.

    Returns:
        An iterator, in the order of `audio`, of utterance_id and `pooled` (layers, 2, D), or where
        `options.frames` the frames (layers, T, D).

    Raises:
        ProbeError: two files of one name, out of memory, or values that the type cannot hold.

    >>> options = Options(seconds=0.1)
    >>> backbone = options.load_backbone("cpu").truncate(2)
    >>> audio = {"clip": np.sin(np.arange(16_000, dtype=np.float32))}
    >>> [(name, states.shape) for name, states in layers_of(audio, backbone, options)]
    [('clip', (3, 2, 192))]
    """
    named = audio if isinstance(audio, Mapping) else _named(audio)

    def compute(batch: dict[str, Waveform], failures: dict[str, str]) -> dict[str, NDArray[Any]]:
        return states_by_name(batch, backbone, options, failures)

    return by_batches(
        named,
        backbone,
        options,
        compute,
        batch_size=batch_size,
        on_failure=on_failure,
        on_measures=on_measures,
    )


def by_batches(
    audio: Mapping[str, Audio],
    backbone: Backbone,
    options: Options,
    compute: Callable[[dict[str, Waveform], dict[str, str]], dict[str, Result]],
    *,
    batch_size: int | None = None,
    on_failure: Callable[[str, str], None],
    on_measures: Callable[[str, Mapping[str, float]], None] = lambda name, measures: None,
) -> Iterator[tuple[str, Result]]:
    """Decode audio and compute something of it by batches of near length.

    Arguments are those of `layers_of`.

    Args:
        audio: by name.
        backbone: that computes.
        options: how much of a clip to take.
        compute: of the waveforms of a batch by name, what there is of each; what cannot be used is
            left out, and put down with its reason in the second argument.
        batch_size: most files a batch; by default as in an extraction.
        on_failure: called with (name, reason) for a file that cannot be used.
        on_measures: called with (name, measures) for every other file, before its result.

    Returns:
        An iterator of name and result, in the order of `audio`.
    """
    machine = Machine(batch_size=batch_size)
    batch_size = machine.batch_size_on(backbone)
    waiting = iter(audio.items())

    def decoded(item: tuple[str, Audio]) -> Clip:
        name, given = item
        where = Path(given) if isinstance(given, str | Path) else np.asarray(given, np.float32)
        return decode(name, where, options.cropping, backbone.min_samples)

    with Threads(machine.workers_on(backbone), thread_name_prefix="decode") as decoders:
        while window := list(itertools.islice(waiting, BATCHES_SORTED * batch_size)):
            clips = list(decoders.map(decoded, window))
            failures = {clip.utterance_id: clip.failure for clip in clips if clip.failure}
            waveforms = {
                clip.utterance_id: clip.waveform for clip in clips if clip.waveform is not None
            }
            ascending = sorted(waveforms, key=lambda name: len(waveforms[name]))
            lengths = [len(waveforms[name]) for name in ascending]
            found: dict[str, Result] = {}
            for run in batches(lengths, batch_size, backbone.padding):
                batch = {name: waveforms[name] for name in ascending[run]}
                found |= compute(batch, failures)
            for clip in clips:
                if clip.utterance_id in found:
                    on_measures(clip.utterance_id, clip.measures)
                    yield clip.utterance_id, found[clip.utterance_id]
                else:
                    on_failure(clip.utterance_id, failures[clip.utterance_id])


def states_by_name(
    batch: dict[str, Waveform], backbone: Backbone, options: Options, failures: dict[str, str]
) -> dict[str, NDArray[Any]]:
    """The states of each utterance of a batch; those of no use go into `failures`.

    States are those of `layers_of`.
    """
    while batch:
        try:
            states = states_of(batch, backbone, range(backbone.n_layers + 1), options.tiers)
        except UnusableStates as error:
            if error.overflow:
                raise ProbeError(f"{error}. {error.advice}.") from None
            failures |= error.reasons
            batch = {name: waveform for name, waveform in batch.items() if name not in failures}
            continue
        if not options.frames:
            return dict(zip(batch, np.moveaxis(states["pooled"], 1, 0), strict=True))
        ends = np.cumsum([backbone.n_frames(len(waveform)) for waveform in batch.values()])
        return dict(
            zip(batch, np.split(decoded_frames(states["frames"]), ends[:-1], axis=1), strict=True)
        )
    return {}


def _named(audio: Sequence[Audio]) -> dict[str, Audio]:
    named: dict[str, Audio] = {}
    for position, given in enumerate(audio):
        is_file = isinstance(given, str | Path)
        name = re.sub(r"\s", "_", os.path.splitext(str(given))[0]) if is_file else str(position)
        if name in named:
            raise ProbeError(
                f"{given}: there is another file of the name {name}. Name each file once."
            )
        named[name] = given
    return named
