"""What is scored, a cache, a corpus or audio files, and what is made of it: a score file, verdicts, an evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from cache.atomic import replaced
from cache.errors import ProbeError, argument
from cache.manifest import MANIFEST
from probing.audio import SUFFIXES
from probing.augmentation.smoothing import Smoothing
from probing.calibration import check_prior
from probing.corpora import load_corpus
from probing.corpora.corpus import ids_of
from probing.corpora.folders import files_below, is_audio, passed_over
from probing.devices import find_device
from probing.evaluation import Evaluation, evaluate
from probing.labels import BONAFIDE, are_of_spoofing
from probing.metrics.thresholds import ErrorRates, error_rates
from probing.progress import console
from probing.scores.files import write_scores
from probing.scores.names import VERDICT_FILES, Form, check_output
from probing.serving.exit_heads import ExitHeads
from probing.serving.heads import ServingError
from probing.serving.score import Server
from probing.serving.verdict import Threshold, Verdicts, choose_threshold, judge


def audio_files(given: Sequence[Path], say: Callable[[str], None] = lambda text: None) -> dict[str, Path]:
    """Audio files, and those in folders, under the names of the utterances: stems where no two are alike, else paths.

    Raises:
        ServingError: nothing there, or no audio.
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
                    f"{path}: no audio in there, and no cache{why}. Expected files in {', '.join(SUFFIXES)}"
                )
            if others:
                say(f"Note: {path}: {others}")
        elif path.exists():
            paths = [path]
        else:
            raise ServingError(f"{path}: no such file or folder. Name a cache, audio files, or folders of them")
        found.update({os.path.abspath(one): one for one in paths})
    table = pd.Series([str(one) for one in found.values()], dtype=str)
    names = ids_of(table.map(os.path.basename))
    if names.duplicated().any():
        names = ids_of(table)
    if names.duplicated().any():
        twice = table[names.duplicated()].iloc[0]
        raise ProbeError(f"{twice}: there is another file of that name. Rename one, or score them apart")
    return dict(zip(names, found.values(), strict=True))


@dataclass(frozen=True)
class Result:
    """What was found: the head, how many utterances were scored, and how many were of no use.

    verdicts: on audio; None of a cache or corpus, which has labels instead, or none.
    evaluations: by split; one without both classes has none. rates: errors by split at the threshold of dev, which is
        `threshold`; None where none is known. left: with early exit, depth -> audio that left there.
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
    *,
    corpus: str | None = None,
    audio_root: Path | None = None,
    head: str | None = None,
    form: Form | None = None,
    split: str | None = None,
    prior: float = 0.5,
    false_alarm: float | None = None,
    calibrated: bool = False,
    device: str = "cpu",
    early_exit: bool = False,
    smoothing: Smoothing | None = None,
    on_failure: Callable[[str, str], None] = lambda name, reason: None,
    say: Callable[[str], None] = console.print,
) -> Result:
    """Score a cache, a corpus, or audio; audio has verdicts, and labels are evaluated.

    Args:
        where: a run, or an exported folder.
        inputs: one cache, or audio files and folders of them; none for a corpus.
        file: written whole or not at all: a score file, or verdicts on audio as .csv or .json; None writes nothing.
        corpus: as `load_corpus` takes it: its audio is scored under its ids, with its labels and splits.
        audio_root: folder that the paths of a manifest start from.
        head: see `choose_head`.
        form: 2019, 2021 or 5; by default 2019 where there are labels, else 2021.
        split: only this split of a cache or corpus.
        prior: of bona fide, for the probability in a verdict.
        false_alarm: see `choose_threshold`.
        calibrated: write log-likelihood ratios into a score file, instead of the head's own scores.
        device: where audio is run.
        early_exit: refuse a model without exits.
        smoothing: noised copies to score in the place of each clip.
        on_failure: told the name and the reason of audio of no use.
        say: where to put what a person should know.

    Raises:
        ProbeError: an input, option or head that cannot serve.
    """
    caches = [path for path in inputs if (path / MANIFEST).is_file()]
    on_audio = not corpus and not caches
    check_output(file, form, verdicts=on_audio)
    check_prior(prior)
    find_device(device)
    if bool(inputs) == bool(corpus):
        raise ServingError(
            f"expected what to score: one cache, or audio files and folders, or {argument('corpus', 'SPEC')}"
        )
    if caches and len(inputs) > 1:
        raise ServingError(f"{caches[0]}: a cache is scored alone. Give one cache, or audio")
    smoothing = smoothing or Smoothing()
    if caches and smoothing:
        raise ServingError(
            f"{argument('smooth', smoothing.smooth)}: noise is added to audio, and {caches[0]} is a cache. Score "
            f"audio, or a {argument('corpus')}"
        )
    server = Server(where, head)
    server.check_smoothing(smoothing)
    if early_exit and not isinstance(server.head, ExitHeads):
        raise ServingError(
            f"{argument('early_exit', True)}: {where} has no exits. Make a model that has: probe exits RUN, then probe "
            f"export RUN DIR {argument('exits', 'FILE')}"
        )
    if server.note and not on_audio:  # a verdict holds it
        say(f"Note: {server.note}.")
    if on_audio and (form == "2019" or split):
        flag, needs = (argument("form", "2019"), "labels") if form == "2019" else (argument("split", split), "splits")
        raise ServingError(
            f"{flag}: needs {needs}, and audio has none. Leave it out, or score a cache, or a {argument('corpus')}"
        )
    output = _Output(server, file, form, calibrated)
    if on_audio:
        return _on_audio(server, audio_files(inputs, say), output, prior, false_alarm, device, smoothing, on_failure)
    if corpus:
        read = load_corpus(corpus, audio_root=audio_root, splits=[split] if split else None)
        for note in read.notes:
            say(f"Note: {note}")
        table = read.utterances
        output.check(table, read.name)
        files = {name: read.root / path for name, path in zip(table["utterance_id"], table["path"], strict=True)}
        scores = server.on_audio(files, device, on_failure, smoothing)
        table = table[table["utterance_id"].isin(scores)]
        if table.empty:
            raise ServingError(f"{len(files)} files, and none can be used. Nothing was written; give other audio")
        values = np.array([scores[name] for name in table["utterance_id"]])
        if smoothing:
            say(f"Note: {_of_smoothing(smoothing)}.")
        return _evaluated(server, table, values, output, len(files) - len(table), false_alarm)
    cache = Cache(caches[0])
    table = cache.select({"split": split} if split else None)
    if not len(table):
        raise ServingError(
            f"{argument('split', split)}: {cache.folder} has only {', '.join(cache.utterances['split'].unique())}"
        )
    output.check(table, str(cache.folder))
    return _evaluated(server, table, server.on_cache(cache, table, say), output, 0, false_alarm)


class _Output:
    """Where scores go: a file of a form, of the head's own scores or of likelihood ratios; or nowhere."""

    def __init__(self, server: Server, file: Path | None, form: Form | None, calibrated: bool) -> None:
        self.file, self.form, self.server, self.calibrated = file, form, server, calibrated
        if calibrated and file is None:
            raise ServingError(f"{argument('calibrated')}: says what {argument('out')} holds. Name a score file")
        if calibrated and server.reference is None:
            raise ServingError(
                f"{argument('calibrated')}: {server.where} is of an earlier version and has no calibration. Write it "
                "again: probe export RUN DIR"
            )

    def check(self, table: pd.DataFrame, where: str) -> None:
        """Refuse a form that the labels of a table do not fill."""
        if self.form == "2019" and not are_of_spoofing(table["label"]):
            raise ServingError(
                f"{argument('form', '2019')}: {where} has utterances without label of bona fide or spoof. Type "
                f"{argument('form', '2021')}"
            )

    def write(self, table: pd.DataFrame, values: NDArray[np.float64]) -> None:
        """Write a score file."""
        if self.file is None:
            return
        labelled = "label" in table and are_of_spoofing(table["label"])
        reference = self.server.reference if self.calibrated else None
        scores = values if reference is None else reference.calibration.apply(values)
        write_scores(self.file, table, scores, self.form or ("2019" if labelled else "2021"))


def _on_audio(
    server: Server,
    files: dict[str, Path],
    output: _Output,
    prior: float,
    false_alarm: float | None,
    device: str,
    smoothing: Smoothing,
    on_failure: Callable[[str, str], None],
) -> Result:
    reference = server.reference
    if reference is not None:
        choose_threshold(reference, false_alarm)  # a wrong share is refused before any work
    failures: dict[str, tuple[str, str]] = {}

    def failed(name: str, reason: str) -> None:
        failures[name] = (str(files[name]), reason)
        on_failure(name, reason)

    training = reference.training if reference else None
    clips = list(server.clips(files, device, failed, training, smoothing))
    if not clips:
        raise ServingError(f"{len(files)} files, and none can be used. Nothing was written; give other audio")
    notes = [server.note] if server.note else []
    early = sum(clip.distance is None for clip in clips) if training else 0
    if smoothing:
        notes.append(_of_smoothing(smoothing))
    elif early:
        notes.append(
            f"{early} of {len(clips)} clips left before the layer whose distance from the training clips is known; "
            "they were compared by length, level, bandwidth and noise floor only"
        )
    verdicts = judge(
        clips,
        failures,
        server.name,
        reference,
        prior=prior,
        false_alarm=false_alarm,
        cropping=server.options.cropping,
        notes=notes,
        smoothing=smoothing.as_dict() if smoothing else None,
    )
    if output.file is not None and output.file.suffix.lower() in VERDICT_FILES:
        write_verdicts(output.file, verdicts)
    else:
        table = pd.DataFrame({"utterance_id": [clip.name for clip in clips]})
        output.write(table, np.array([clip.score for clip in clips]))
    return Result(server.name, len(clips), len(failures), verdicts, threshold=verdicts.threshold, left=server.left)


def _of_smoothing(smoothing: Smoothing) -> str:
    """A sentence on scores of noised copies."""
    return (
        f"{smoothing.sentence}; the threshold, the ratios and the errors were measured on clips without noise, and "
        "clips are compared with the training clips by length, level, bandwidth and noise floor only"
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
    left_out: int,
    false_alarm: float | None,
) -> Result:
    """Write the scores of labelled or other utterances, and find what `probe evaluate` does where there are labels."""
    threshold = choose_threshold(server.reference, false_alarm) if server.reference is not None else None
    output.write(table, values)
    if not are_of_spoofing(table["label"]):
        return Result(server.name, len(table), left_out, left=server.left)
    trials = table.assign(score=values)
    splits = {str(name): trials[trials["split"] == name] for name in trials["split"].unique()}
    both = {name: rows for name, rows in splits.items() if rows["label"].nunique() == 2}
    rates = {}
    if threshold is not None:
        rates = {
            name: error_rates(rows["label"].eq(BONAFIDE), rows["score"], threshold.value) for name, rows in both.items()
        }
    evaluations = {name: evaluate(rows) for name, rows in both.items()}
    return Result(server.name, len(table), left_out, None, evaluations, rates, threshold, server.left)
