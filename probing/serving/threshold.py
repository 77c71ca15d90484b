"""The threshold of a decision: the score from which a clip is called bona fide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cache.errors import OptionError
from probing.metrics.thresholds import ErrorRates, eer_threshold, error_rates, false_alarm_threshold
from probing.serving.reference import Reference, Scored


@dataclass(frozen=True)
class Threshold:
    """From which score a clip is called bona fide.

    Attributes:
        value: a score.
        ratio: its log-likelihood ratio.
        chosen: how, in words.
        rates: errors by part that it has.
        note: what a person should know of it; else empty.
    """

    value: float
    ratio: float
    chosen: str
    rates: Mapping[str, ErrorRates]
    note: str = ""


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


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
