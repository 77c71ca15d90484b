"""What is scored, a cache, a corpus or audio files, and what is made of it: a score file, verdicts,
an evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from cache.atomic import replaced
from cache.errors import ProbeError, argument
from cache.manifest import MANIFEST
from probing.audio import SUFFIXES
from probing.augmentation.smoothing import Smoothing
from probing.corpora import load_corpus
from probing.corpora.corpus import Corpus, ids_of
from probing.corpora.folders import files_below, is_audio, passed_over
from probing.devices import find_device
from probing.evaluation import Evaluation, evaluate
from probing.labels import BONAFIDE, are_of_spoofing
from probing.metrics.thresholds import ErrorRates, error_rates
from probing.progress import console
from probing.scores.files import write_scores
from probing.scores.names import VERDICT_FILES, Form, check_output
from probing.scores.options import ScoreOptions
from probing.serving.heads import ServingError
from probing.serving.places import check_model
from probing.serving.score import Server
from probing.serving.verdict import Threshold, Verdicts, choose_threshold, judge


def audio_files(
    given: Sequence[Path], say: Callable[[str], None] = lambda text: None
) -> dict[str, Path]:
    """Audio files, and those in folders, under the names of the utterances: stems where no two are
    alike, else paths.

    Raises:
        ServingError: nothing there, or no audio.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "clip.wav").write_bytes(b"RIFF")
    ...     list(audio_files([Path(folder)]))
    ['clip']
    """
    found: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            names = sorted(files_below(path))
            paths = [path / name for name in names if is_audio(name)]
            others = passed_over(names)
            if not paths:
                why = f" ({others})" if others else ""
                raise ServingError(
                    f"{path}: no audio in there, and no cache{why}. "
                    f"Expected files in {', '.join(SUFFIXES)}"
                )
            if others:
                say(f"Note: {path}: {others}")
        elif path.exists():
            paths = [path]
        else:
            raise ServingError(
                f"{path}: no such file or folder. Name a cache, audio files, or folders of them"
            )
        found.update({os.path.abspath(one): one for one in paths})
    table = pd.Series([str(one) for one in found.values()], dtype=str)
    names = ids_of(table.map(os.path.basename))
    if names.duplicated().any():
        names = ids_of(table)
    if names.duplicated().any():
        twice = table[names.duplicated()].iloc[0]
        raise ProbeError(
            f"{twice}: there is another file of that name. Rename one, or score them apart"
        )
    return dict(zip(names, found.values(), strict=True))


@dataclass(frozen=True)
class Result:
    """What was found: the head, how many utterances were scored, and how many were of no use.

    verdicts: on audio; None of a cache or corpus, which has labels instead, or none.
    evaluations: by split; one without both classes has none. rates: errors by split at the
        threshold of dev, which is `threshold`; None where none is known. left: with early exit,
        depth -> audio that left there.

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
        on_failure: told the name and the reason of audio of no use.
        say: where to put what a person should know.

    Raises:
        ProbeError: an input, option or head that cannot serve.

    >>> found = score_inputs(Path("results/demo.run"), [Path("clip.wav")], say=lambda text: None)
    >>> found.scored, found.verdicts.clips[0].decision in ("bonafide", "spoof")
    (1, True)
    """
    options = options or ScoreOptions()
    caches = [path for path in inputs if (path / MANIFEST).is_file()]
    on_audio = not corpus and not caches
    check_output(file, options.form, verdicts=on_audio)
    find_device(device)
    _check_inputs(inputs, caches, corpus, options)
    check_model(where, options)
    server = Server(where, options.head)
    if server.note and not on_audio:  # a verdict holds it
        say(f"Note: {server.note}.")
    if on_audio:
        _check_no_labels(options)
    output = _Output(server, file, options)
    if on_audio:
        return _on_audio(
            server, audio_files(inputs, say), output=output, device=device, on_failure=on_failure
        )
    if corpus:
        read = load_corpus(
            corpus, audio_root=audio_root, splits=[options.split] if options.split else None
        )
        return _on_corpus(
            server, read, output=output, device=device, on_failure=on_failure, say=say
        )
    return _on_cache(server, Cache(caches[0]), output, say)


def _check_inputs(
    inputs: Sequence[Path], caches: Sequence[Path], corpus: str | None, options: ScoreOptions
) -> None:
    """Refuse nothing to score, a cache among others, and noise on a cache, before a
    model is read.
    """
    if bool(inputs) == bool(corpus):
        raise ServingError(
            "expected what to score: one cache, or audio files and folders, or "
            f"{argument('corpus', 'SPEC')}"
        )
    if caches and len(inputs) > 1:
        raise ServingError(f"{caches[0]}: a cache is scored alone. Give one cache, or audio")
    if caches and options.smoothing:
        raise ServingError(
            f"{argument('smooth', options.smoothing.smooth)}: noise is added to audio, and "
            f"{caches[0]} is a cache. Score audio, or a {argument('corpus')}"
        )


def _check_no_labels(options: ScoreOptions) -> None:
    """Refuse what needs labels or splits, which audio has not."""
    if options.form == "2019":
        flag, needs = argument("form", "2019"), "labels"
    elif options.split:
        flag, needs = argument("split", options.split), "splits"
    else:
        return
    raise ServingError(
        f"{flag}: needs {needs}, and audio has none. Leave it out, or "
        f"score a cache, or a {argument('corpus')}"
    )


class _Output:
    """Where scores go: a file of a form, of the head's own scores or of likelihood ratios; or
    nowhere.
    """

    def __init__(self, server: Server, file: Path | None, options: ScoreOptions) -> None:
        self.server = server
        self.file = file
        self.options = options
        if options.calibrated and file is None:
            raise ServingError(
                f"{argument('calibrated')}: says what {argument('out')} holds. Name a score file"
            )
        if options.calibrated and server.reference is None:
            raise ServingError(
                f"{argument('calibrated')}: {server.where} is of an earlier version and has no "
                "calibration. Write it again: probe export RUN DIR"
            )

    def check(self, table: pd.DataFrame, where: str) -> None:
        """Refuse a form that the labels of a table do not fill."""
        if self.options.form == "2019" and not are_of_spoofing(table["label"]):
            raise ServingError(
                f"{argument('form', '2019')}: {where} has utterances without label of bona fide "
                f"or spoof. Type {argument('form', '2021')}"
            )

    def write(self, table: pd.DataFrame, values: NDArray[np.float64]) -> None:
        """Write a score file."""
        if self.file is None:
            return
        labelled = "label" in table and are_of_spoofing(table["label"])
        reference = self.server.reference if self.options.calibrated else None
        scores = values if reference is None else reference.calibration.apply(values)
        form = self.options.form or ("2019" if labelled else "2021")
        write_scores(self.file, table, scores, cast("Form", form))


def _on_audio(
    server: Server,
    files: dict[str, Path],
    output: _Output,
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
        raise ServingError(
            f"{len(files)} files, and none can be used. Nothing was written; give other audio"
        )
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
    output: _Output,
    device: str,
    on_failure: Callable[[str, str], None],
    say: Callable[[str], None],
) -> Result:
    """Score the audio of a corpus under its ids, and evaluate it if it has labels."""
    for note in corpus.notes:
        say(f"Note: {note}")
    table = corpus.utterances
    output.check(table, corpus.name)
    files = {
        name: corpus.root / path
        for name, path in zip(table["utterance_id"], table["path"], strict=True)
    }
    smoothing = output.options.smoothing
    scores = server.on_audio(files, device, on_failure, smoothing)
    table = table[table["utterance_id"].isin(scores)]
    if table.empty:
        raise ServingError(
            f"{len(files)} files, and none can be used. Nothing was written; give other audio"
        )
    values = np.array([scores[name] for name in table["utterance_id"]])
    if smoothing:
        say(f"Note: {_of_smoothing(smoothing)}.")
    return _evaluated(server, table, values=values, output=output, left_out=len(files) - len(table))


def _on_cache(server: Server, cache: Cache, output: _Output, say: Callable[[str], None]) -> Result:
    """Score the utterances of a cache, and evaluate them if they have labels."""
    split = output.options.split
    table = cache.select({"split": split} if split else None)
    if not len(table):
        raise ServingError(
            f"{argument('split', split)}: {cache.folder} has only "
            f"{', '.join(cache.utterances['split'].unique())}"
        )
    output.check(table, str(cache.folder))
    return _evaluated(server, table, server.on_cache(cache, table, say), output)


def _of_smoothing(smoothing: Smoothing) -> str:
    """A sentence on scores of noised copies."""
    return (
        f"{smoothing.sentence}; the threshold, the ratios and the errors were measured on clips "
        "without noise, and clips are compared with the training clips by length, level, "
        "bandwidth and noise floor only"
    )


def write_verdicts(file: Path, verdicts: Verdicts) -> None:
    """Write verdicts as a table, .csv, or as JSON; whole or not at all."""
    with replaced(file) as partial:
        if file.suffix.lower() == ".csv":
            verdicts.table().to_csv(partial, index=False)
        else:
            partial.write_text(verdicts.json() + "\n", encoding="utf-8")


def _evaluated(
    server: Server,
    table: pd.DataFrame,
    values: NDArray[np.float64],
    output: _Output,
    left_out: int = 0,
) -> Result:
    """Write the scores of labelled or other utterances, and find what `probe evaluate` does where
    there are labels.
    """
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
