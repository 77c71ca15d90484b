"""Protocols: what two runs must have in common to be compared."""

from __future__ import annotations

from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from cache.errors import argument
from cache.fingerprint import differences
from probing.runs import Run

LINEAR = "linear"
# What has to be the same for figures to be comparable: part of the fingerprint -> what a person
# calls it.
AUDIO = {"crop": "cropping", "decoder": "decoder", "resampler": "resampler", "pooling": "pooling"}
PROBES = ("strengths", "interval_by")
TRAINING = ("tier", "recipe", "seeds", "epochs", "weight_decays")


def check_comparable(first: LoadedRun, other: LoadedRun, head: str = LINEAR) -> None:
    """Raise ProbeError, naming what differs, where two runs cannot be compared.

    >>> from analysis import load
    >>> check_comparable(load("results/demo.run"), load("results/random.run"))
    """
    reasons = []
    if first.corpus != other.corpus:
        reasons.append(f"corpus: {first.corpus} and {other.corpus}")
    if first.task != other.task:
        targets = [f"{run.task.target} by {run.metric.called}" for run in (first, other)]
        classes = ", or classes" if targets[0] == targets[1] else ""
        reasons.append(f"targets: {targets[0]} and {targets[1]}{classes}")
    one = first.record["options"]
    two = other.record["options"]
    mine = first.utterances
    theirs = other.utterances
    parts = [part for part in mine if mine[part] != theirs[part]]
    if not reasons and parts:
        splits = [
            f"{part}: {one[part]} and {two[part]}" for part in parts if one[part] != two[part]
        ]
        reasons += [f"splits: {', '.join(splits)}"] if splits else []
        reasons.append(
            f"utterances, labels or speakers of {', '.join(parts)}: "
            f"{_counts(first)} and {_counts(other)}"
        )
    for found in differences(first.record.fingerprint, other.record.fingerprint, list(AUDIO)):
        reasons.append(f"{AUDIO[found.name]}: {found.first} and {found.second}")
    reasons += [
        f"{found.name}: {found.first} and {found.second}" for found in differences(one, two, PROBES)
    ]
    if head != LINEAR:
        differ = differences(one["depths"], two["depths"], TRAINING)
        reasons += [f"{found.name} of heads: {found.first} and {found.second}" for found in differ]
    if reasons:
        raise ProbeError(
            f"{first.folder} and {other.folder} cannot be compared: their protocols differ in\n"
            + "\n".join(f"  {reason}" for reason in reasons)
            + "\nExtract and sweep the same corpus with the same options for every backbone."
        )


def check_same_task(first: LoadedRun, other: LoadedRun) -> None:
    """Raise ProbeError where two runs read other targets, or are judged by other metrics.

    >>> from analysis import load
    >>> check_same_task(load("results/demo.run"), load("results/random.run"))
    """
    if (first.task.target, first.metric) != (other.task.target, other.metric):
        raise ProbeError(
            f"{other.folder}: its target is {other.task.target}, judged by "
            f"{other.metric.called}, and that of {first.folder} {first.task.target}, judged by "
            f"{first.metric.called}. Expected runs of one target"
        )


def check_same_utterances(
    utterances: dict[str, int], other: Run, corpus: str | None = None
) -> None:
    """Raise ProbeError where a run was made on other utterances than those of train, dev and eval
    here.

    Args:
        utterances: as `LoadedRun.utterances`, or `probing.sweep.identity`, has them.
        other: a run.
        corpus: of those the other run was evaluated on, whose eval is meant; default the first.

    >>> from analysis import load
    >>> run = load("results/demo.run")
    >>> check_same_utterances(run.utterances, load("results/random.run"))
    """
    if any(number != utterances[part] for part, number in load(other, corpus).utterances.items()):
        raise ProbeError(
            f"{other.folder}: made on other utterances, so the curves cannot be compared. Sweep "
            f"caches of the same corpus with the same {argument('train')}, "
            f"{argument('dev')} and {argument('eval')}."
        )


def _counts(run: Run) -> str:
    counts = run.record.counts.items()
    return ", ".join(f"{part} {' + '.join(map(str, of_part.values()))}" for part, of_part in counts)
