"""Verdicts on clips, beside the errors that were measured on dev and eval."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from probing.metrics.intervals import Interval
from probing.serving.threshold import Threshold

AT_CHANCE = 0.5


@dataclass(frozen=True)
class ScoredClip:
    """A clip that was scored.

    Attributes:
        name: of the utterance.
        path: of the file.
        score: the head's own.
        measures: of the audio, see `probing.audio.measure`.
        distance: from the training clips, see `TrainingClips.distance`; None if not known.
        cut: whether it is longer than what the head is given of a clip.
        depth: blocks after which it left, with early exit.
    """

    name: str
    path: str
    score: float
    measures: Mapping[str, float] = field(default_factory=dict)
    distance: float | None = None
    cut: bool = False
    depth: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict on one clip.

    Attributes:
        name, path: whose.
        score: the head's own; None if the clip could not be used, and `failure` says why.
        ratio: natural log-likelihood ratio of bona fide against spoof.
        probability: of bona fide at the prior.
        decision: `bonafide` or `spoof`, at the threshold. All None if there is nothing to
            compare the score with.
        unlike: in what the clip is unlike the training clips, as `level`, each with a sentence.
        cut: whether only its beginning was scored, as of the training clips.

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

    Attributes:
        head: whose score it is.
        prior: of bona fide.
        threshold: None if there is nothing to choose it by, and then there are no decisions.
        eer: by part, with its interval.
        cllr: of the ratios by part, in bits.
        corpus: what these were measured on.
        notes: sentences that a person should know.
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
        """One row a clip, each with the error rates, so that no decision is without them."""
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
            notes = [*clip.unlike.values(), *([clip.failure] if clip.failure else []), *self.notes]
            rows.append(
                {**row, "unlike_training": " ".join(clip.unlike), "notes": "; ".join(notes)}
            )
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
                    **asdict(at_threshold),
                    "bonafide_rejected": at_threshold.miss,
                    "spoof_accepted": at_threshold.false_alarm,
                }
                for part, at_threshold in self.threshold.rates.items()
            }
            threshold = {**asdict(self.threshold), "rates": rates}
        eer = {
            part: {
                **{name: _finite(end) for name, end in asdict(interval).items()},
                "better_than_chance": _better(interval),
            }
            for part, interval in self.eer.items()
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


def _better(eer: Interval) -> bool:
    """Whether an EER is shown to be better than chance; without an interval it is not."""
    return eer.high < AT_CHANCE


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
