"""Every figure of joined trials, pooled and by condition, with intervals, and beside those of another system."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cache.errors import ProbeError
from probing.corpora.speakers import known_speakers
from probing.metrics import Comparison, Interval, Resamples, compare, draw, eer_resamples, percentile_interval
from probing.metrics.decomposition import POOLED, conditions, decompose

AUTO, UTTERANCE = "auto", "utterance"


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    table: one row per condition, the pooled one first; see `probing.metrics.decomposition.decompose`. Beside `eer` the
        ends of its 95 % interval, `eer_low` and `eer_high`.
    eer: pooled equal error rate with its interval. unit: what the bootstrap drew. trials: the joined rows.
    comparison: with the other system, on the same resamples; None where there is none.
    """

    table: pd.DataFrame
    eer: Interval
    unit: str
    trials: pd.DataFrame
    comparison: Comparison | None = None

    @property
    def sentence(self) -> str:
        """The pooled figure in words."""
        counts, low, high = self.trials["label"].value_counts(), 100 * self.eer.low, 100 * self.eer.high
        said = (
            f"EER {100 * self.eer.value:.2f} % (95 % interval {low:.2f} to {high:.2f}, by {self.unit}) "
            f"on {counts['bonafide']} bona fide + {counts['spoof']} spoof"
        )
        if self.eer.low > 0.5:
            said += (
                f". Higher scores must mean bona fide, and the sign of these looks turned: turned back, their EER is "
                f"{100 - 100 * self.eer.value:.2f} %"
            )
        if self.comparison is None:
            return said
        by = self.comparison.difference
        sure = "" if by.low > 0 or by.high < 0 else ", which may be chance"
        return (
            f"{said}. The EER of the other system is {100 * (self.eer.value - by.value):.2f} %, a difference of "
            f"{100 * by.value:+.2f} points [{100 * by.low:+.2f}, {100 * by.high:+.2f}]{sure}"
        )

    def curves(self, by: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
        """Trials of the pooled condition and of each condition of the factors that has both classes, by name."""
        chosen = {", ".join(condition.values()) or POOLED: rows for condition, rows in conditions(self.trials, by)}
        return {name: rows for name, rows in chosen.items() if rows["label"].nunique() == 2}


def evaluate(
    trials: pd.DataFrame,
    by: Sequence[str] = (),
    asv: pd.DataFrame | None = None,
    *,
    against: pd.DataFrame | None = None,
    interval_by: str = AUTO,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compute every figure.

    Args:
        trials: from `join`.
        by: columns to decompose by.
        asv: speaker verification trials, for the t-DCF.
        against: the same trials with the scores of another system, from `join`.
        interval_by: the column whose values the bootstrap draws whole; `utterance` draws single trials, `auto` speakers
            where all are known and else utterances.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ProbeError: a class or a column is missing, the other system's trials are others, or too few resamples.
    """
    if resamples < 100:
        raise ProbeError(f"--resamples {resamples}: expected 100 or more; fewer say nothing about the ends")
    unit = _unit(trials, interval_by)
    table = decompose(trials, by, asv)
    intervals = [
        _interval(rows, value, unit, resamples, seed)
        for (_, rows), value in zip(conditions(trials, by), table["eer"], strict=True)
    ]
    at = table.columns.get_loc("eer") + 1
    table.insert(at, "eer_low", [interval.low for interval in intervals])
    table.insert(at + 1, "eer_high", [interval.high for interval in intervals])
    comparison = None
    if against is not None:
        other = trials[["utterance_id", "label"]].merge(against, on=["utterance_id", "label"], how="left")
        lacking = int(other["score"].isna().sum()) + len(against) - int(other["score"].notna().sum())
        if lacking:
            raise ProbeError(f"--against: {lacking} trials are in one file only. Expected scores of the same trials")
        bonafide = trials["label"].eq("bonafide")
        comparison = compare(bonafide, trials["score"], other["score"], _draw(trials, unit, resamples, seed))
    return Evaluation(table, intervals[0], unit, trials, comparison)


def _unit(trials: pd.DataFrame, interval_by: str) -> str:
    if interval_by == AUTO:
        known = "speaker" in trials and known_speakers(trials["speaker"]).all()
        return "speaker" if known else UTTERANCE
    if interval_by != UTTERANCE and interval_by not in trials:
        found = ", ".join(name for name in trials.columns if name not in ("utterance_id", "score"))
        raise ProbeError(f"--interval-by {interval_by}: no such column. Expected utterance or one of {found}")
    return interval_by


def _draw(trials: pd.DataFrame, unit: str, resamples: int, seed: int) -> Resamples:
    clusters = None if unit == UTTERANCE else trials[unit].to_numpy()
    return draw(trials["label"].eq("bonafide"), clusters, n=resamples, seed=seed)


def _interval(trials: pd.DataFrame, value: float, unit: str, resamples: int, seed: int) -> Interval:
    if trials["label"].nunique() < 2:
        return Interval(value, float("nan"), float("nan"))
    drawn = _draw(trials, unit, resamples, seed)
    return percentile_interval(value, eer_resamples(trials["label"].eq("bonafide"), trials["score"].to_numpy(), drawn))
