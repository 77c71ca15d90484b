"""Every figure of joined trials, pooled and by condition, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cache.errors import OptionError, ProbeError, argument
from probing.metrics import (
    RESAMPLES,
    Comparison,
    Interval,
    Resamples,
    compare,
    draw,
    eer_resamples,
    rate_interval,
)
from probing.metrics.clusters import AUTO, clusters_of
from probing.metrics.decomposition import POOLED, conditions, decompose, too_few


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    table: one row per condition, the pooled one first; see
        `probing.metrics.decomposition.decompose`. Beside `eer` the ends of its 95 % interval,
        `eer_low` and `eer_high`.
    eer: pooled equal error rate with its interval.
    unit: what the bootstrap drew, and drawn: the same with its numbers and what a person should
        know of it.
    trials: the joined rows.
    left_out: conditions of so few trials that they have no figures, in words.
    otherwise: conditions whose interval is not by that unit, as they have one cluster only, in
        words.
    comparison: with the other system, on the same resamples; None where there is none.

    >>> table = pd.DataFrame(
    ...     {"label": ["bonafide", "spoof"] * 10, "score": [2.0, 0.0, 1.0, 0.5] * 5}
    ... )
    >>> evaluate(table.assign(utterance_id=[f"u{n}" for n in range(20)]), resamples=100).sentence[
    ...     :10
    ... ]
    'EER 0.00 %'
    """

    table: pd.DataFrame
    eer: Interval
    unit: str
    trials: pd.DataFrame
    comparison: Comparison | None = None
    drawn: str = ""
    left_out: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The pooled figure in words."""
        counts = self.trials["label"].value_counts()
        low = 100 * self.eer.low
        high = 100 * self.eer.high
        text = (
            f"EER {100 * self.eer.value:.2f} % (95 % interval {low:.2f} to {high:.2f}, "
            f"{self.drawn}) on {counts['bonafide']} bona fide + {counts['spoof']} spoof"
        )
        if self.eer.low <= 0.5 <= self.eer.high:
            text += ", not shown to be better than chance"
        if self.eer.low > 0.5:
            text += (
                ". Higher scores must mean bona fide, and the sign of these looks turned: turned "
                f"back, their EER is {100 - 100 * self.eer.value:.2f} %"
            )
        if self.comparison is None:
            return text
        by = self.comparison.difference
        sure = "" if by.low > 0 or by.high < 0 else ", which may be chance"
        return (
            f"{text}. The EER of the other system is {100 * (self.eer.value - by.value):z.2f} %, "
            f"a difference of {100 * by.value:+z.2f} points [{100 * by.low:+z.2f}, "
            f"{100 * by.high:+z.2f}]{sure}"
        )

    def curves(self, by: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
        """Trials of the pooled condition and of each condition with both classes, by name."""
        chosen = {
            ", ".join(condition.values()) or POOLED: rows
            for condition, rows in conditions(self.trials, by)
        }
        both = {name: rows for name, rows in chosen.items() if rows["label"].nunique() == 2}
        return {
            name: rows
            for name, rows in both.items()
            if name == POOLED or not too_few(rows["label"])
        }


def evaluate(
    trials: pd.DataFrame,
    by: Sequence[str] = (),
    asv: pd.DataFrame | None = None,
    *,
    against: pd.DataFrame | None = None,
    interval_by: str = AUTO,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Compute every figure.

    Args:
        trials: from `join`.
        by: columns to decompose by.
        asv: speaker verification trials, for the t-DCF.
        against: the same trials with the scores of another system, from `join`.
        interval_by: the column whose values the bootstrap draws whole, or several with commas
            between, as `speaker,attack`; `utterance` draws single trials, `auto` speakers where all
            are known and else utterances.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ProbeError: a class or a column is missing, the other system's trials are others, or too few
            resamples.

    >>> table = pd.DataFrame(
    ...     {"label": ["bonafide", "spoof"] * 10, "score": [2.0, 0.0, 1.0, 0.5] * 5}
    ... )
    >>> table["utterance_id"] = [f"u{n}" for n in range(20)]
    >>> evaluate(table, resamples=100).eer.value
    0.0
    """
    if resamples < 100:
        raise OptionError(
            "resamples", resamples, "expected 100 or more; fewer say nothing about the ends"
        )
    if trials["label"].nunique() != 2:
        kinds = (
            ", ".join(f"{n:,} {label}" for label, n in trials["label"].value_counts().items())
            or "none"
        )
        raise ProbeError(
            f"trials to evaluate: {kinds}. Expected bona fide and "
            f"spoofed ones; name another {argument('split')}"
        )
    pooled = _draw(trials, interval_by, resamples, seed)
    table = decompose(trials, by, asv)
    intervals = []
    left_out = []
    otherwise = []
    for (condition, rows), value in zip(conditions(trials, by), table["eer"], strict=True):
        name = ", ".join(value for value in condition.values() if value != POOLED)
        if np.isnan(value):
            n_spoof = int(rows["label"].eq("spoof").sum())
            left_out.append(f"{name} ({n_spoof} spoof, {len(rows) - n_spoof} bona fide)")
            intervals.append(Interval(value, np.nan, np.nan))
            continue
        drawn = _draw(rows, interval_by, resamples, seed) if name else pooled
        bonafide = rows["label"].eq("bonafide")
        scores = rows["score"].to_numpy()
        intervals.append(
            rate_interval(value, eer_resamples(bonafide, scores, drawn, alone=True), drawn)
        )
        if drawn.unit != pooled.unit:
            otherwise.append(f"{name} (by {drawn.unit})")
    at = table.columns.get_loc("eer") + 1
    table.insert(at, "eer_low", [interval.low for interval in intervals])
    table.insert(at + 1, "eer_high", [interval.high for interval in intervals])
    comparison = None
    if against is not None:
        other = trials[["utterance_id", "label"]].merge(
            against, on=["utterance_id", "label"], how="left"
        )
        lacking = (
            int(other["score"].isna().sum()) + len(against) - int(other["score"].notna().sum())
        )
        if lacking:
            raise ProbeError(
                f"{argument('against')}: {lacking} trials are in one file "
                "only. Expected scores of the same trials"
            )
        comparison = compare(
            trials["label"].eq("bonafide"), trials["score"], other["score"], pooled
        )
    return Evaluation(
        table,
        intervals[0],
        unit=pooled.unit,
        trials=trials,
        comparison=comparison,
        drawn=pooled.drawn,
        left_out=tuple(left_out),
        otherwise=tuple(otherwise),
    )


def _draw(trials: pd.DataFrame, unit: str, resamples: int, seed: int) -> Resamples:
    return draw(trials["label"].eq("bonafide"), clusters_of(trials, unit), n=resamples, seed=seed)
