"""The finding: the sentence a sweep is run for, and the figures behind it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from probing.metrics import Interval


@dataclass(frozen=True)
class Finding:
    """Which layer a linear probe reads best.

    layer: chosen on dev. last: number of the last layer.
    best, last_layer: eval EER of the two, 0 to 1. difference: last minus best on the same resamples.
    trivial: eval EER of features that say nothing about speech. shuffled: mean eval EER with shuffled labels.
    """

    backbone: str
    random_weights: bool
    layer: int
    last: int
    best: Interval
    last_layer: Interval
    difference: Interval
    trivial: Interval
    shuffled: float
    n_eval: int
    unit: str

    def sentence(self) -> str:
        """The finding in words."""
        if self.layer == self.last:
            compared = f"The last layer, {self.last}, is the best of {self.backbone} (chosen on dev)"
            compared += f": eval EER {_percent(self.best)}."
        else:
            sign = "more" if self.difference.value >= 0 else "less"
            points = 100 * abs(self.difference.value)
            ends = self.difference.low, self.difference.high
            low, high = sorted(np.sign(self.difference.value or 1) * 100 * end for end in ends)
            sure = "" if self.difference.low > 0 or self.difference.high < 0 else ", which may be chance"
            compared = (
                f"Layer {self.layer} of {self.last} is the best of {self.backbone} (chosen on dev): eval EER "
                f"{_percent(self.best)}; the last layer has {_percent(self.last_layer)}, {points:.1f} points {sign} "
                f"[{low:.1f}, {high:.1f}]{sure}."
            )
        shuffled = "" if np.isnan(self.shuffled) else f", shuffled labels {100 * self.shuffled:.1f} %"
        controls = (
            f" For comparison: trivial features alone {_percent(self.trivial)}{shuffled}. {self.n_eval} eval "
            f"utterances, 95 % intervals over {self.unit}s."
        )
        warning = " The weights are random: this shows what the architecture gives without any learning."
        return compared + controls + (warning if self.random_weights else "")

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
