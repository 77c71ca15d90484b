"""Judging: what the scores of clips mean, beside what a head did on dev and eval.

score -> log-likelihood ratio (calibrated on dev) -> probability at a stated prior (Bayes' rule);
and a decision at a threshold that was chosen on dev. If a clip is unlike the training clips, none
of it can be relied on, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scipy.special import expit, logit

from probing.audio import SAMPLING_RATE, Cropping
from probing.calibration import check_prior, cost_note
from probing.labels import BONAFIDE, SPOOF
from probing.serving.reference import Reference
from probing.serving.threshold import choose_threshold
from probing.serving.training_clips import CENTRAL, TrainingClips
from probing.serving.verdict import ScoredClip, Verdict, Verdicts

CALLED = {
    "audio_seconds": ("length", "{:.2f} s", "{:.2f} to {:.2f} s"),
    "audio_level_db": ("level", "{:z.1f} dB of full scale", "{:z.1f} to {:z.1f}"),
    "audio_bandwidth_hz": (
        "bandwidth",
        "{:.0f} Hz (95 % of the power lies below)",
        "{:.0f} to {:.0f}",
    ),
    "audio_noise_floor_db": ("noise floor", "{:z.1f} dB of full scale", "{:z.1f} to {:z.1f}"),
}
LAYERS = "layers"


def judge(
    clips: Sequence[ScoredClip],
    failures: Mapping[str, tuple[str, str]],
    head: str,
    reference: Reference | None,
    *,
    prior: float = 0.5,
    false_alarm: float | None = None,
    cropping: Cropping | None = None,
    notes: Iterable[str] = (),
    smoothing: Mapping[str, Any] | None = None,
) -> Verdicts:
    """Say what the scores of clips mean.

    Args:
        clips: scored.
        failures: name -> path and reason of clips that could not be used.
        head: its name.
        reference: of that head; None in exports of an earlier version, of which there are scores
            only.
        prior: of bona fide, before the clip was heard.
        false_alarm: see `choose_threshold`.
        cropping: how much of a clip the head is given, for messages.
        notes: sentences that a person should know of the head.
        smoothing: see `Verdicts`.

    Raises:
        OptionError: a prior or a share that is none.

    >>> found = judge([ScoredClip("clip", "clip.wav", 1.5)], {}, "linear-layer-02", None)
    >>> found.clips[0].score, found.clips[0].decision is None
    (1.5, True)
    """
    check_prior(prior)
    of_cut = _of_cut(clips, cropping)
    of_no_use = [Verdict(name, path, failure=reason) for name, (path, reason) in failures.items()]
    if reference is None:
        lacking = (
            "An earlier version stored this head, without scores of dev, so that there is no "
            "likelihood ratio, no probability and no decision. Write it again: probe export RUN "
            "DIR, after probe sweep if the run is as old"
        )
        plain = [Verdict(clip.name, clip.path, clip.score, cut=clip.cut) for clip in clips]
        kept = tuple(filter(None, (*notes, lacking, of_cut)))
        return Verdicts(head, prior, (*plain, *of_no_use), notes=kept, smoothing=smoothing)
    threshold = choose_threshold(reference, false_alarm)
    ratios = reference.calibration.apply([clip.score for clip in clips])
    found = []
    for clip, ratio in zip(clips, ratios, strict=True):
        probability = float(expit(ratio + logit(prior)))
        decision = BONAFIDE if clip.score >= threshold.value else SPOOF
        unlike = _unlike(clip, reference.training)
        found.append(
            Verdict(
                clip.name,
                clip.path,
                score=clip.score,
                ratio=float(ratio),
                probability=probability,
                decision=decision,
                unlike=unlike,
                cut=clip.cut,
            )
        )
    costs = reference.costs()
    of_cost = cost_note(costs["eval"]) if "eval" in costs else ""
    of_all = [
        *notes,
        reference.calibration.note,
        of_cost,
        threshold.note,
        reference.missing,
        of_cut,
    ]
    eer = {name: part.eer for name, part in reference.parts.items()}
    kept = tuple(note for note in of_all if note)
    return Verdicts(
        head,
        prior,
        clips=(*found, *of_no_use),
        threshold=threshold,
        eer=eer,
        cllr=costs,
        corpus=reference.corpus,
        notes=kept,
        smoothing=smoothing,
    )


def _unlike(clip: ScoredClip, training: TrainingClips | None) -> dict[str, str]:
    """In what a clip is outside what was seen in training, with a sentence each."""
    if training is None:
        return {}
    found = {}
    for measure, (low, high) in training.ranges.items():
        value = clip.measures.get(measure)
        if value is not None and not low <= value <= high:
            name, of_value, of_range = CALLED[measure]
            share = f"{100 * CENTRAL:g} % of the training clips"
            found[name] = (
                f"{name} {of_value.format(value)}, where {share} have {of_range.format(low, high)}"
            )
    if clip.distance is not None and not clip.distance <= 1:
        found[LAYERS] = (
            f"layer {training.layer} is {clip.distance:.1f} times as far from the training clips "
            f"as {100 * CENTRAL:g} % of the dev clips are at most: another channel, codec, noise "
            "or language, or no speech"
        )
    return found


def _of_cut(clips: Sequence[ScoredClip], cropping: Cropping | None) -> str:
    """A sentence if only the beginning of clips was scored, as of long training clips; or empty."""
    n = sum(clip.cut for clip in clips)
    if not n or cropping is None:
        return ""
    return (
        f"only the first {cropping.n_samples() / SAMPLING_RATE:g} s "
        f"were heard of {n:,} clip{'s' * (n > 1)}"
    )
