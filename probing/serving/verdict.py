"""Verdicts: what the scores of single clips mean, beside the errors that were measured on dev and
eval.

score -> log-likelihood ratio (calibrated on dev) -> probability at a stated prior (Bayes' rule);
and a decision at a threshold that was chosen on dev. Where a clip is unlike the training clips,
none of it can be relied on, and that is said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
from scipy.special import expit, logit

from cache.errors import OptionError
from probing.audio import SAMPLING_RATE, Cropping
from probing.calibration import check_prior, cost_note
from probing.labels import BONAFIDE, SPOOF
from probing.metrics.intervals import Interval
from probing.metrics.thresholds import ErrorRates, eer_threshold, error_rates, false_alarm_threshold
from probing.serving.reference import Reference, Scored
from probing.serving.training_clips import CENTRAL, TrainingClips

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
AT_CHANCE = 0.5


@dataclass(frozen=True)
class ScoredClip:
    """A clip that was scored.

    name: of the utterance. path: of the file. score: the head's own. measures: of the audio, see
    `probing.audio.measure`. distance: from the training clips, see `TrainingClips.distance`; None
    where not known. cut: whether it is longer than what the head is given of a clip. depth: blocks
    after which it left, with early exit.
    """

    name: str
    path: str
    score: float
    measures: Mapping[str, float] = field(default_factory=dict)
    distance: float | None = None
    cut: bool = False
    depth: int | None = None


@dataclass(frozen=True)
class Threshold:
    """From which score a clip is called bona fide.

    value: a score. ratio: its log-likelihood ratio. chosen: how, in words.
    rates: errors by part that it has. note: what a person should know of it; else empty.
    """

    value: float
    ratio: float
    chosen: str
    rates: Mapping[str, ErrorRates]
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is said of one clip.

    name, path: whose. score: the head's own; None where the clip could not be used, and `failure`
    says why. ratio: natural log-likelihood ratio of bona fide against spoof. probability: of bona
    fide at the prior. decision: `bonafide` or `spoof`, at the threshold. All None where there is
    nothing to compare the score with. unlike: in what the clip is unlike the training clips, as
    `level`, each with a sentence. cut: whether only its beginning was heard, as of the training
    clips.

    >>> Verdict("clip", "clip.wav", score=1.5).decision is None
    True
    """

    name: str
    path: str
    score: float | None = None
    ratio: float | None = None
    probability: float | None = None
    decision: str | None = None
    unlike: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on clips, and the errors measured that they are to be read with.

    head: whose score it is. prior: of bona fide. threshold: None where there is nothing to choose
    it by, and then there are no decisions. eer: by part, with its interval. cllr: of the ratios by
    part, in bits. corpus: what these were measured on. notes: sentences that a person should know.
    smoothing: the noised copies that were scored in the place of each clip; None if there were
    none.

    >>> Verdicts("linear-layer-02", 0.5, (Verdict("clip", "clip.wav", score=1.5),)).clips[0].name
    'clip'
    """

    head: str
    prior: float
    clips: tuple[Verdict, ...]
    threshold: Threshold | None = None
    eer: Mapping[str, Interval] = field(default_factory=dict)
    cllr: Mapping[str, float] = field(default_factory=dict)
    corpus: str = ""
    notes: tuple[str, ...] = ()
    smoothing: Mapping[str, Any] | None = None

    def table(self) -> pd.DataFrame:
        """One row a clip, with the error rates in every row, so that no decision is
        without them.
        """
        rows = []
        for clip in self.clips:
            row: dict[str, Any] = {
                "utterance_id": clip.name,
                "file": clip.path,
                "score": clip.score,
                "log_likelihood_ratio": clip.ratio,
                "probability_bonafide": clip.probability,
                "prior_bonafide": self.prior,
                "decision": clip.decision or ("none" if clip.failure else ""),
                "failure": clip.failure,
                "cut": clip.cut,
            }
            for part, rates in self.threshold.rates.items() if self.threshold else ():
                row |= {
                    f"{part}_bonafide_rejected": rates.miss,
                    f"{part}_spoof_accepted": rates.false_alarm,
                }
            said = [*clip.unlike.values(), *([clip.failure] if clip.failure else []), *self.notes]
            rows.append({**row, "unlike_training": " ".join(clip.unlike), "notes": "; ".join(said)})
        return pd.DataFrame(rows)

    def json(self) -> str:
        """What `as_dict` gives, as text."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """As JSON: error rates first, then the clips."""
        threshold = None
        if self.threshold is not None:
            rates = {
                part: {
                    **asdict(one),
                    "bonafide_rejected": one.miss,
                    "spoof_accepted": one.false_alarm,
                }
                for part, one in self.threshold.rates.items()
            }
            threshold = {**asdict(self.threshold), "rates": rates}
        eer = {
            part: {
                **{name: _finite(end) for name, end in asdict(one).items()},
                "better_than_chance": _better(one),
            }
            for part, one in self.eer.items()
        }
        return {
            "head": self.head,
            "prior_bonafide": self.prior,
            "measured_on": self.corpus,
            "eer": eer,
            "cllr": dict(self.cllr),
            "threshold": threshold,
            "smoothing": dict(self.smoothing) if self.smoothing else None,
            "notes": list(self.notes),
            "clips": [
                {
                    "utterance_id": clip.name,
                    "file": clip.path,
                    "score": clip.score,
                    "log_likelihood_ratio": clip.ratio,
                    "probability_bonafide": clip.probability,
                    "decision": clip.decision,
                    "unlike_training": dict(clip.unlike),
                    "failure": clip.failure or None,
                    "cut": clip.cut,
                }
                for clip in self.clips
            ],
        }


def choose_threshold(reference: Reference, false_alarm: float | None = None) -> Threshold:
    """Choose a threshold on dev and measure what it does on every part.

    Args:
        reference: of the head.
        false_alarm: most spoofs of dev that may be accepted, 0 to 1; by default as many as bona
            fide ones are rejected.

    Raises:
        OptionError: a share that is none.
    """
    dev = reference.parts["dev"]
    note = ""
    if false_alarm is None:
        value = eer_threshold(dev.bonafide, dev.scores)
        chosen = "the EER point of dev"
    elif not 0 <= false_alarm < 1:
        raise OptionError("false_alarm", false_alarm, "expected a share of spoofs, as 1% or 0.01")
    else:
        value = false_alarm_threshold(dev.bonafide, dev.scores, false_alarm)
        chosen = f"where at most {_percent(false_alarm)} of the spoofs of dev are accepted"
        n_spoof = int((~dev.bonafide).sum())
        if false_alarm * n_spoof < 1:
            note = (
                f"{_percent(false_alarm)} of the {n_spoof} spoofs of dev is "
                "less than one: none of them is accepted"
            )
    ratio = float(reference.calibration.apply([value])[0])
    return Threshold(value, ratio, chosen=chosen, rates=rates_at(reference.parts, value), note=note)


def rates_at(parts: Mapping[str, Scored], threshold: float) -> dict[str, ErrorRates]:
    """Errors of every part at a threshold."""
    return {
        name: error_rates(part.bonafide, part.scores, threshold) for name, part in parts.items()
    }


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
    """
    check_prior(prior)
    of_cut = _of_cut(clips, cropping)
    of_no_use = [Verdict(name, path, failure=reason) for name, (path, reason) in failures.items()]
    if reference is None:
        said = (
            "An earlier version stored this head, without scores of dev, so that there is no "
            "likelihood ratio, no probability and no decision. Write it again: probe export RUN "
            "DIR, after probe sweep if the run is as old"
        )
        plain = [Verdict(clip.name, clip.path, clip.score, cut=clip.cut) for clip in clips]
        said_of_all = tuple(filter(None, (*notes, said, of_cut)))
        return Verdicts(head, prior, (*plain, *of_no_use), notes=said_of_all, smoothing=smoothing)
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
    said_too = [
        *notes,
        reference.calibration.note,
        of_cost,
        threshold.note,
        reference.missing,
        of_cut,
    ]
    eer = {name: part.eer for name, part in reference.parts.items()}
    kept = tuple(note for note in said_too if note)
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
            name, one, both = CALLED[measure]
            share = f"{100 * CENTRAL:g} % of the training clips"
            found[name] = f"{name} {one.format(value)}, where {share} have {both.format(low, high)}"
    if clip.distance is not None and not clip.distance <= 1:
        found[LAYERS] = (
            f"layer {training.layer} is {clip.distance:.1f} times as far from the training clips "
            f"as {100 * CENTRAL:g} % of the dev clips are at most: another channel, codec, noise "
            "or language, or no speech"
        )
    return found


def _of_cut(clips: Sequence[ScoredClip], cropping: Cropping | None) -> str:
    """A sentence if only the beginning of clips was heard, which is so of long training clips too;
    else empty.
    """
    n = sum(clip.cut for clip in clips)
    if not n or cropping is None:
        return ""
    return (
        f"only the first {cropping.n_samples() / SAMPLING_RATE:g} s "
        f"were heard of {n:,} clip{'s' * (n > 1)}"
    )


def _better(eer: Interval) -> bool:
    """Whether an EER is shown to be better than chance; without an interval it is not."""
    return eer.high < AT_CHANCE


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
