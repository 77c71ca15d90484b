"""Scoring of a cache, a corpus or audio files: scores, verdicts, and an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.augmentation.smoothing import Smoothing
from probing.corpora.corpus import Corpus
from probing.devices import find_device
from probing.evaluation import Evaluation, evaluate
from probing.labels import BONAFIDE, are_of_spoofing
from probing.metrics.thresholds import ErrorRates, error_rates
from probing.progress import console
from probing.scores.names import VERDICT_FILES
from probing.scores.options import ScoreOptions
from probing.serving.judging import judge
from probing.serving.output import Output, write_verdicts
from probing.serving.server import Server
from probing.serving.source import Source, files_of, none_usable, read_source, rows_of
from probing.serving.threshold import Threshold, choose_threshold
from probing.serving.verdict import Verdicts


@dataclass(frozen=True)
class Result:
    """What was found: the head, how many utterances were scored, and how many were of no use.

    Attributes:
        verdicts: on audio; None of a cache or corpus, which has labels instead, or none.
        evaluations: by split; one without both classes has none.
        rates: errors by split at the threshold of dev, which is `threshold`; None if none is
            known.
        left: with early exit, depth -> audio that left there.

    >>> run, cache = Path("results/demo.run"), Path("results/demo.cache")
    >>> found = score_inputs(
    ...     run, [cache], None, ScoreOptions(head="linear", split="eval"), say=lambda text: None
    ... )
    >>> found.scored, list(found.evaluations)
    (12, ['eval'])
    """

    head: str
    scored: int
    left_out: int = 0
    verdicts: Verdicts | None = None
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    rates: dict[str, ErrorRates] = field(default_factory=dict)
    threshold: Threshold | None = None
    left: dict[int, int] = field(default_factory=dict)


def score_inputs(
    where: Path,
    inputs: Sequence[Path],
    file: Path | None = None,
    options: ScoreOptions | None = None,
    *,
    corpus: str | None = None,
    audio_root: Path | None = None,
    device: str = "cpu",
    on_failure: Callable[[str, str], None] = lambda name, reason: None,
    say: Callable[[str], None] = console.print,
) -> Result:
    """Score a cache, a corpus, or audio; audio has verdicts, and labels are evaluated.

    Args:
        where: a run, or an exported folder.
        inputs: one cache, or audio files and folders of them; none for a corpus.
        file: written whole or not at all: a score file, or verdicts on audio as .csv or .json; None
            writes nothing.
        options: which head scores, what is decided and what is written.
        corpus: as `load_corpus` takes it: its audio is scored under its ids, with its labels and
            splits.
        audio_root: folder that the paths of a manifest start from.
        device: where audio is run.
        on_failure: called with name and reason of audio of no use.
        say: where to put what a person should know.

    Raises:
        ProbeError: an input, option or head that cannot serve.

    >>> found = score_inputs(Path("results/demo.run"), [Path("clip.wav")], say=lambda text: None)
    >>> found.scored, found.verdicts.clips[0].decision in ("bonafide", "spoof")
    (1, True)
    """
    source = read_source(
        where, inputs, file, options, corpus=corpus, audio_root=audio_root, say=say
    )
    return score_source(where, source, file, options, device=device, on_failure=on_failure, say=say)


def score_source(
    where: Path,
    source: Source,
    file: Path | None = None,
    options: ScoreOptions | None = None,
    *,
    device: str = "cpu",
    on_failure: Callable[[str, str], None] = lambda name, reason: None,
    say: Callable[[str], None] = console.print,
) -> Result:
    """Score what `probing.serving.source.read_source` read; other arguments as `score_inputs`.

    Raises:
        ProbeError: a head, a device or audio that cannot serve.
    """
    find_device(device)
    server = Server(where, (options or ScoreOptions()).head)
    output = Output(server, file, options or ScoreOptions())
    if isinstance(source, dict):
        return _on_audio(server, source, output=output, device=device, on_failure=on_failure)
    if server.note:  # a verdict holds it
        say(f"Note: {server.note}.")
    if isinstance(source, Cache):
        return _on_cache(server, source, output, say)
    return _on_corpus(server, source, output=output, device=device, on_failure=on_failure, say=say)


def _on_audio(
    server: Server,
    files: dict[str, Path],
    output: Output,
    device: str,
    on_failure: Callable[[str, str], None],
) -> Result:
    """Score audio files by name, judge each, and write verdicts or scores."""
    options = output.options
    smoothing = options.smoothing
    reference = server.reference
    if reference is not None:
        choose_threshold(reference, options.false_alarm)  # a wrong share is refused before any work
    failures: dict[str, tuple[str, str]] = {}

    def failed(name: str, reason: str) -> None:
        failures[name] = (str(files[name]), reason)
        on_failure(name, reason)

    training = reference.training if reference else None
    clips = list(
        server.clips(files, device, on_failure=failed, training=training, smoothing=smoothing)
    )
    if not clips:
        reasons = {Path(path): reason for path, reason in failures.values()}
        raise none_usable(reasons, len(files))
    notes = [server.note] if server.note else []
    early = sum(clip.distance is None for clip in clips) if training else 0
    if smoothing:
        notes.append(_of_smoothing(smoothing))
    elif early:
        notes.append(
            f"{early} of {len(clips)} clips left before the layer whose distance from the "
            "training clips is known; they were compared by length, "
            "level, bandwidth and noise floor only"
        )
    verdicts = judge(
        clips,
        failures,
        server.name,
        reference,
        prior=options.prior,
        false_alarm=options.false_alarm,
        cropping=server.options.cropping,
        notes=notes,
        smoothing=smoothing.as_dict() if smoothing else None,
    )
    if output.file is not None and output.file.suffix.lower() in VERDICT_FILES:
        write_verdicts(output.file, verdicts)
    else:
        table = pd.DataFrame({"utterance_id": [clip.name for clip in clips]})
        output.write(table, np.array([clip.score for clip in clips]))
    return Result(
        server.name,
        len(clips),
        len(failures),
        verdicts,
        threshold=verdicts.threshold,
        left=server.left,
    )


def _on_corpus(
    server: Server,
    corpus: Corpus,
    output: Output,
    device: str,
    on_failure: Callable[[str, str], None],
    say: Callable[[str], None],
) -> Result:
    """Score the audio of a corpus under its ids, and evaluate it if it has labels."""
    for note in corpus.notes:
        say(f"Note: {note}")
    files = files_of(corpus)
    failures: dict[Path, str] = {}

    def failed(name: str, reason: str) -> None:
        failures[files[name]] = reason
        on_failure(name, reason)

    smoothing = output.options.smoothing
    scores = server.on_audio(files, device, failed, smoothing)
    if not scores:
        raise none_usable(failures, len(files))
    table = corpus.utterances[corpus.utterances["utterance_id"].isin(scores)]
    values = np.array([scores[name] for name in table["utterance_id"]])
    if smoothing:
        say(f"Note: {_of_smoothing(smoothing)}.")
    return _evaluated(server, table, values=values, output=output, left_out=len(files) - len(table))


def _on_cache(server: Server, cache: Cache, output: Output, say: Callable[[str], None]) -> Result:
    """Score the utterances of a cache, and evaluate them if they have labels."""
    table = rows_of(cache, output.options)
    return _evaluated(server, table, server.on_cache(cache, table, say), output)


def _of_smoothing(smoothing: Smoothing) -> str:
    """A sentence on scores of noised copies."""
    return (
        f"{smoothing.sentence}; the threshold, the ratios and the errors were measured on clips "
        "without noise, and clips are compared with the training clips by length, level, "
        "bandwidth and noise floor only"
    )


def _evaluated(
    server: Server,
    table: pd.DataFrame,
    values: NDArray[np.float64],
    output: Output,
    left_out: int = 0,
) -> Result:
    """Write the scores of utterances, and evaluate those that have labels."""
    reference = server.reference
    threshold = (
        None if reference is None else choose_threshold(reference, output.options.false_alarm)
    )
    output.write(table, values)
    if not are_of_spoofing(table["label"]):
        return Result(server.name, len(table), left_out, left=server.left)
    trials = table.assign(score=values)
    splits = {str(name): trials[trials["split"] == name] for name in trials["split"].unique()}
    both = {name: rows for name, rows in splits.items() if rows["label"].nunique() == 2}
    rates = {}
    if threshold is not None:
        rates = {
            name: error_rates(rows["label"].eq(BONAFIDE), rows["score"], threshold.value)
            for name, rows in both.items()
        }
    evaluations = {name: evaluate(rows, **server.drawn) for name, rows in both.items()}
    return Result(
        server.name,
        len(table),
        left_out=left_out,
        verdicts=None,
        evaluations=evaluations,
        rates=rates,
        threshold=threshold,
        left=server.left,
    )
