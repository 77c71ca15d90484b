"""Protocols: what two runs must have in common for their figures to say something about their backbones."""

from __future__ import annotations

from analysis.frames import LoadedRun
from cache import ProbeError
from probing.runs import Run

LINEAR = "linear"
# What has to be the same for figures to be comparable: part of the fingerprint -> what a person calls it.
AUDIO = {"crop": "cropping", "decoder": "decoder", "resampler": "resampler", "pooling": "pooling"}
PROBES = ("strengths", "interval_by")
TRAINING = ("tier", "recipe", "seeds", "epochs", "weight_decays")


def check_comparable(first: LoadedRun, other: LoadedRun, head: str = LINEAR) -> None:
    """Raise ProbeError, naming what differs, where the figures of two runs say nothing about their backbones."""
    reasons = []
    if first.corpus != other.corpus:
        reasons.append(f"corpus: {first.corpus} and {other.corpus}")
    one, two = first.record["options"], other.record["options"]
    splits = [f"{part}: {one[part]} and {two[part]}" for part in ("train", "dev", "eval") if one[part] != two[part]]
    reasons += [f"splits: {', '.join(splits)}"] if splits else []
    if not reasons and first.record["utterances"] != other.record["utterances"]:
        mine, theirs = first.record["utterances"], other.record["utterances"]
        parts = [part for part in sorted({*mine, *theirs}) if mine.get(part) != theirs.get(part)]
        reasons.append(f"utterances, labels or speakers of {', '.join(parts)}: {_counts(first)} and {_counts(other)}")
    for name, called in AUDIO.items():
        mine, theirs = first.record["fingerprint"].get(name), other.record["fingerprint"].get(name)
        if mine != theirs:
            reasons.append(f"{called}: {mine} and {theirs}")
    reasons += [f"{name}: {one[name]} and {two[name]}" for name in PROBES if one[name] != two[name]]
    if head != LINEAR:
        one, two = one["depths"], two["depths"]
        reasons += [f"{name} of heads: {one[name]} and {two[name]}" for name in TRAINING if one[name] != two[name]]
    if reasons:
        raise ProbeError(
            f"{first.folder} and {other.folder} cannot be compared: their protocols differ in\n"
            + "\n".join(f"  {reason}" for reason in reasons)
            + "\nExtract and sweep the same corpus with the same options for every backbone."
        )


def _counts(run: Run) -> str:
    counts = run.record["counts"].items()
    return ", ".join(f"{part} {of_part['bonafide']} + {of_part['spoof']}" for part, of_part in counts)
