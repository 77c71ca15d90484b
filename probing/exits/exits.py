"""Early exit by a policy that was chosen on dev: what it saves and costs, in figures and words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from probing.exits.policy import ExitPolicy
from probing.metrics import Interval
from probing.sweep.margin import Margin

LINEAR = "linear"


@dataclass(frozen=True)
class Exits:
    """Early exit by a policy that was chosen on dev, on the utterances of eval.

    policy: depths, calibration, confidence, threshold.
    margin: by how much the dev EER may exceed that of the last exit.
    curve: one row a split and threshold tried: `split`, `threshold` (NaN: none leaves early),
        `depth` (mean over utterances), `blocks`, `macs` (mean shares of what the last exit
        computes), `eer`, `chosen`.
    alone: the same of every depth by itself, which all utterances compute: `split`, `depth`,
        `blocks`, `macs`, `eer`.
    at_exits, at_full: eval EER with early exit and of the last exit, 0 to 1.
    difference: the first less the second, paired.
    blocks, macs: mean shares on eval; macs is NaN if the run did not measure the backbone.
    rival: the depth alone of lowest dev EER among those that compute no more than early exit does
        on dev; None if each computes more.
    over_rival: the eval EER of early exit less that of this depth, paired.
    leaving: share of eval utterances that leave at each depth: `depth`, `all`, `bonafide`, `spoof`.
    run, run_id: name of the run and `Run.id`, by which a policy is known to be of it; empty in
        those of earlier versions.
    by_attack: of each attack: `attack`, `n_spoof`, `depth`, `blocks`, `eer`, `eer_full`,
        `difference`, `low`, `high`; an attack of fewer than five spoofs has no figures.

    >>> from probing.exits import find_exits
    >>> from probing.runs import Run
    >>> find_exits(Run("results/demo.run"), "linear").curve["split"].unique().tolist()
    ['dev', 'eval']
    """

    backbone: str
    policy: ExitPolicy
    margin: float | str
    curve: pd.DataFrame
    alone: pd.DataFrame
    at_exits: Interval
    at_full: Interval
    difference: Interval
    blocks: float
    macs: float
    rival: int | None
    over_rival: Interval | None
    leaving: pd.DataFrame
    by_attack: pd.DataFrame
    run: str = ""
    run_id: str = ""

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.at_full.high < 0.5:
            return self._found()
        return (
            "The last exit is not shown to be better than chance "
            f"(eval EER {self.at_full}). {self._found()}"
        )

    def _found(self) -> str:
        last = self.policy.depths[-1]
        head = "linear probes" if self.policy.head == LINEAR else self.policy.head
        within = Margin.of(self.margin).in_words()
        at = self.leaving.loc[self.leaving["all"] == 1, "depth"]
        if len(at) and at.iloc[0] < last:
            return (
                f"Early exit of {self.backbone} comes to truncation ({head}, "
                f"{self.policy.confidence}): within {within} of the dev EER of depth {last} "
                f"every eval utterance leaves at depth {at.iloc[0]}, with an EER of "
                f"{self.at_exits} against {self.at_full} at depth {last}, difference "
                f"{_points(self.difference)}."
            )
        if self.policy.threshold is None:
            return (
                f"On dev no threshold lets utterances leave {self.backbone} before block {last} "
                f"within {within} of the EER there ({head}, "
                f"{self.policy.confidence}); eval EER {self.at_full}."
            )
        macs = (
            ""
            if np.isnan(self.macs)
            else f" and {100 * self.macs:.0f} % of the multiply-accumulates"
        )
        found = (
            f"With exits at {len(self.policy.depths)} depths ({head}, {self.policy.confidence}; "
            f"threshold chosen on dev for at most {within} more), eval utterances compute "
            f"{100 * self.blocks:.0f} % of the {last} blocks of {self.backbone}{macs}: EER "
            f"{self.at_exits} against {self.at_full} with all of them, difference "
            f"{_points(self.difference)}."
        )
        if self.rival is None or self.over_rival is None:
            return f"{found} No depth alone computes as little."
        verdict = "not shown to differ"
        if self.over_rival.high < 0:
            verdict = "early exit is better"
        elif self.over_rival.low > 0:
            verdict = "early exit is worse"
        return (
            f"{found} To stop every utterance at depth {self.rival}, which computes no more, has "
            f"an EER that differs from it by {_points(self.over_rival)}: {verdict}."
        )


def _points(difference: Interval) -> str:
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    return f"{value:+z.1f} points [{low:+z.1f}, {high:+z.1f}]"
