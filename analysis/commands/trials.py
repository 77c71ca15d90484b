"""The trials that `probe evaluate` is given: files of scores and of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.arguments import AUDIO_ROOT_HELP, check_audio_root
from analysis.commands.files import check_given
from analysis.commands.typed import refuse_idle, same_file
from analysis.runs.kinds import expect_file
from cache.errors import OptionError, ProbeError, argument
from probing.drawn import BootstrapOptions
from probing.options import option
from probing.progress import console

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrialFiles:
    """Keys of a score file, which utterances are evaluated, and with what other scores."""

    corpus: str | None = option(
        None, "What the utterances are, as probe extract --corpus.", metavar="SPEC"
    )
    keys: Path | None = option(
        None,
        "The same from a protocol or key table of ASVspoof 2019, "
        "2021, 5, or a csv: utterance_id,label.",
        metavar="FILE",
        is_path=True,
    )
    split: str | None = option(
        None, "Only this split or subset [default: eval if scored, else all scored]."
    )
    asv_scores: Path | None = option(
        None,
        "Speaker verification scores, for the t-DCF (and a tandem).",
        metavar="FILE",
        is_path=True,
    )
    asv_keys: Path | None = option(
        None, "Their trial_metadata.txt, for those of ASVspoof 2021.", metavar="FILE", is_path=True
    )
    against: Path | None = option(
        None,
        "Scores of another system on the same trials, to compare with.",
        metavar="SCORES",
        is_path=True,
    )
    audio_root: Path | None = option(None, AUDIO_ROOT_HELP, is_path=True)

    def check(self, scores: Path) -> None:
        """Refuse files that are not there, and options of no use, before any file is read."""
        for file in (scores, *([self.against] if self.against else [])):
            expect_file(file)
        if self.against and same_file(scores, self.against):
            advice = "is the file of the scores itself. Name that of another system"
            raise OptionError("against", self.against, advice)
        for name in ("keys", "asv_scores", "asv_keys"):
            check_given(getattr(self, name), name)
        if self.corpus and self.keys:
            raise ProbeError(f"{argument('corpus')} and {argument('keys')}: expected one of them")
        check_audio_root(self.audio_root, self.corpus)
        if self.asv_scores is None:
            why = f"is of speaker verification scores. Name them: {argument('asv_scores', 'FILE')}"
            refuse_idle("asv_keys", self.asv_keys, why, "Or leave it out")


@dataclass(frozen=True)
class Evaluated:
    """Figures of trials, of a countermeasure or of spoofing-robust verification.

    Attributes:
        found: an `Evaluation` or a `SasvEvaluation`.
        others: trials of another system to draw beside it, by name.
        by_organisers: whether a t-DCF would be with the verification system of the organisers of
            ASVspoof 5.
    """

    found: Any
    others: dict[str, pd.DataFrame]
    by_organisers: bool = False


def evaluate_files(
    scores: Path, files: TrialFiles, factors: Sequence[str], bootstrap: BootstrapOptions
) -> Evaluated:
    """Read scores, join them with what is known of their utterances, and compute every figure.

    Args:
        scores: of a form that `probing.evaluation.read_trials` reads.
        files: what the utterances are.
        factors: columns to decompose by.
        bootstrap: what is drawn behind each interval.
    """
    evaluation = import_module("probing.evaluation")
    known = evaluation.read_keys(files.keys) if files.keys else None
    if files.corpus:
        known = (
            import_module("probing.corpora")
            .load_corpus(files.corpus, audio_root=files.audio_root)
            .utterances
        )
    read = evaluation.read_trials(scores)
    tandem = files.asv_scores and (
        evaluation.are_of_sasv(read) or (known is not None and "asv_label" in known)
    )
    by_trial = evaluation.read_verification_trials(files.asv_scores) if tandem else None
    if evaluation.are_of_sasv(read, known, by_trial):
        return _of_verification(
            read, known, by_trial=by_trial, files=files, factors=factors, bootstrap=bootstrap
        )
    return _of_countermeasure(read, known, files=files, factors=factors, bootstrap=bootstrap)


def _of_verification(
    read: pd.DataFrame,
    known: pd.DataFrame | None,
    by_trial: pd.DataFrame | None,
    files: TrialFiles,
    factors: Sequence[str],
    bootstrap: BootstrapOptions,
) -> Evaluated:
    """Evaluate trials that claim a speaker; `by_trial` are verification scores, if given.

    These are of the same trials.
    """
    if files.asv_keys:
        raise ProbeError(
            f"{argument('asv_keys')}: expected with scores of a "
            "countermeasure of ASVspoof 2021 only"
        )
    evaluation = import_module("probing.evaluation")
    trials = evaluation.sasv_trials(read, known, asv=by_trial, split=files.split, say=console.print)
    other = None
    if files.against:
        other = evaluation.sasv_trials(
            evaluation.read_trials(files.against), known, by_trial, files.split
        )
    asv = None
    if by_trial is not None:
        asv = evaluation.verification_of(trials)
    elif files.asv_scores:
        asv = evaluation.read_verification(files.asv_scores)
    with console.status("Evaluating"):
        found = evaluation.evaluate_sasv(trials, factors, asv, against=other, **asdict(bootstrap))
    return Evaluated(found, {}, by_organisers=asv is None)


def _of_countermeasure(
    read: pd.DataFrame,
    known: pd.DataFrame | None,
    files: TrialFiles,
    factors: Sequence[str],
    bootstrap: BootstrapOptions,
) -> Evaluated:
    """Evaluate trials of bona fide against spoof."""
    evaluation = import_module("probing.evaluation")
    known = None if known is None else evaluation.utterances_of(known, console.print)
    trials = evaluation.join(read, known, files.split, console.print)
    chosen = files.split or (
        "eval" if "split" in trials and set(trials["split"]) == {"eval"} else None
    )
    asv = (
        evaluation.read_verification(files.asv_scores, files.asv_keys, chosen)
        if files.asv_scores
        else None
    )
    other = (
        evaluation.join(evaluation.read_scores(files.against), known, files.split)
        if files.against
        else None
    )
    with console.status("Evaluating"):
        found = evaluation.evaluate(trials, factors, asv, against=other, **asdict(bootstrap))
    return Evaluated(found, {} if files.against is None else {files.against.stem: other})
