"""Targets from the audio itself: F0, voicing, energy, tilt, signal-to-noise ratio, duration.

No labels are needed.

audio_targets(["f0", "snr"], load_corpus("my/wavs"))     a table: utterance_id, f0, snr
frame_targets("f0", samples, times)                      a value for each point in time
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError, ProbeError
from probing.audio import Cropping, UnusableAudio, Waveform, load_audio
from probing.corpora.corpus import Corpus
from probing.options import one_of
from probing.progress import progress_line
from probing.targets import levels
from probing.targets.pitch import Pitch, praat

AT_ONCE = 16  # files that a worker is given at a time
Values = NDArray[np.float64]


@dataclass(frozen=True)
class AudioTarget:
    """A number that is measured in the audio.

    name: as in `audio_targets`.
    help: what it is, in one line.
    unit: of its values.
    of_clip: from the samples (n,) at 16 kHz, and their pitch if `pitched`, to the value; NaN where
        it has none.
    at: to the values at times in s; None where it is nothing that varies within a clip.
    pitched: whether it is found in the pitch, which needs praat-parselmouth (extra `pitch`).
    """

    name: str
    help: str
    unit: str
    of_clip: Callable[[Any], float]
    at: Callable[[Any, Values], Values] | None = None
    pitched: bool = False


_ALL = (
    AudioTarget(
        "f0",
        "mean F0 of the voiced frames; of a frame, F0",
        unit="Hz",
        of_clip=Pitch.mean_f0,
        at=Pitch.f0_at,
        pitched=True,
    ),
    AudioTarget(
        "voicing",
        "share of voiced frames; of a frame, 1 or 0",
        unit="",
        of_clip=Pitch.share_voiced,
        at=Pitch.voicing_at,
        pitched=True,
    ),
    AudioTarget(
        "energy", "mean power", unit="dB of full scale", of_clip=levels.energy, at=levels.energy_at
    ),
    AudioTarget(
        "tilt",
        "slope of the spectrum from 177 to 5657 Hz",
        unit="dB/octave",
        of_clip=levels.tilt,
        at=levels.tilt_at,
    ),
    AudioTarget(
        "snr",
        "signal over noise, the 10th percentile of power",
        unit="dB",
        of_clip=levels.snr,
        at=levels.snr_at,
    ),
    AudioTarget("duration", "length of what is read", "s", levels.duration),
)
AUDIO_TARGETS = {target.name: target for target in _ALL}
FRAME_TARGETS = tuple(name for name, target in AUDIO_TARGETS.items() if target.at is not None)


def audio_targets(
    names: Sequence[str],
    audio: Corpus | Mapping[str, str | Path],
    *,
    cropping: Cropping | None = None,
    n_workers: int = 1,
) -> pd.DataFrame:
    """Measure targets in the audio of utterances; the numbers do not depend on the workers.

    Args:
        names: which, of `AUDIO_TARGETS`.
        audio: a corpus, or utterance id -> file.
        cropping: how much of each clip is measured; give that of an extraction to measure what its
            model saw. Default the first 30 s, as there.
        n_workers: processes that decode and measure.

    Returns:
        One row an utterance in the order given: `utterance_id`, and a column (float64) for each
        name; NaN where it has no value, as F0 of a clip without voice. Files that cannot be used
        are NaN throughout, and `attrs["failures"]` has utterance id -> reason.

    Raises:
        OptionError: no such target.
        ProbeError: no utterance, or no file that can be used; or praat-parselmouth is not
            installed.

    >>> from probing.corpora import load_corpus
    >>> table = audio_targets(["energy", "duration"], load_corpus("demo", splits=["dev"]))
    >>> list(table.columns), bool(table["duration"].between(0.3, 30).all())
    (['utterance_id', 'energy', 'duration'], True)
    """
    names = list(dict.fromkeys(names))
    for name in names:
        _target(name)
    if any(AUDIO_TARGETS[name].pitched for name in names):
        praat()
    if n_workers < 1:
        raise OptionError("n_workers", n_workers, "expected 1 or more")
    if isinstance(audio, Corpus):
        table = audio.utterances
        files = {
            name: audio.root / path
            for name, path in zip(table["utterance_id"], table["path"], strict=True)
        }
    else:
        files = {name: Path(path) for name, path in audio.items()}
    if not files or not names:
        raise ProbeError(
            f"{len(files)} utterances and {len(names)} targets to measure: expected some of both"
        )
    rows: list[list[float]] = []
    failures: dict[str, str] = {}
    jobs = list(files.items())
    portions = [jobs[i : i + AT_ONCE] for i in range(0, len(jobs), AT_ONCE)]
    with progress_line("Measuring audio", len(jobs), "files") as line:
        for portion, found in zip(
            portions, _measured(portions, names, cropping or Cropping(), n_workers), strict=True
        ):
            for (name, _), values in zip(portion, found, strict=True):
                if isinstance(values, str):
                    failures[name] = values
                rows.append([np.nan] * len(names) if isinstance(values, str) else values)
            line.advance(len(portion))
    if len(failures) == len(files):
        name, reason = next(iter(failures.items()))
        raise ProbeError(f"{len(files)} files, and none can be used, as {files[name]}: {reason}")
    measured = pd.DataFrame(np.array(rows, np.float64), columns=names)
    measured.insert(0, "utterance_id", list(files))
    measured.attrs["failures"] = failures
    return measured


def frame_targets(name: str, samples: Waveform, times: Sequence[float] | Values) -> Values:
    """Measure a target around points in time, such as the centres of the frames of a model.

    Args:
        name: one of `FRAME_TARGETS`. f0: NaN where unvoiced; voicing: 1 or 0; energy: of 25 ms;
            tilt: of 32 ms; snr: energy above the noise floor of the clip.
        samples: (n,) at 16 kHz, as `probing.audio.load_audio` gives them.
        times: (m,) in s from the start of the clip.

    Returns:
        (m,) in the unit of the target; NaN where it has none, outside the clip, and for f0 and
        voicing in the first and last 25 ms.

    Raises:
        OptionError: no such target, or one that does not vary within a clip.
        ProbeError: praat-parselmouth is not installed.

    >>> frame_targets("energy", np.full(16000, 0.1, np.float32), [0.5, 2.0]).round(3).tolist()
    [-20.0, nan]
    """
    target = _target(name, FRAME_TARGETS)
    times = np.asarray(times, np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ProbeError(f"times of shape {times.shape}: expected finite numbers, one a frame")
    assert target.at is not None
    return target.at(Pitch(samples) if target.pitched else samples, times)


def _target(name: str, known: Sequence[str] = tuple(AUDIO_TARGETS)) -> AudioTarget:
    if name not in known:
        raise OptionError("target", name, f"expected {one_of(known)}")
    return AUDIO_TARGETS[name]


def _measured(
    portions: list[list[tuple[str, Path]]], names: list[str], cropping: Cropping, n_workers: int
) -> Iterator[list[list[float] | str]]:
    """What `_measure` finds in each portion, in their order."""
    files = [[path for _, path in portion] for portion in portions]
    if n_workers == 1 or len(portions) == 1:
        yield from (_measure(portion, names, cropping) for portion in files)
        return
    # comes with scikit-learn; processes, since Praat holds the interpreter
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=min(n_workers, len(portions)), return_as="generator")
    yield from parallel(delayed(_measure)(portion, names, cropping) for portion in files)


def _measure(paths: list[Path], names: list[str], cropping: Cropping) -> list[list[float] | str]:
    """The values of each file, or the reason why it has none."""
    found: list[list[float] | str] = []
    for path in paths:
        try:
            samples = load_audio(path, cropping)
        except UnusableAudio as error:
            found.append(str(error))
            continue
        targets = [AUDIO_TARGETS[name] for name in names]
        pitch = Pitch(samples) if any(target.pitched for target in targets) else None
        found.append([target.of_clip(pitch if target.pitched else samples) for target in targets])
    return found
