"""Every figure of joined trials, pooled with an interval and by condition."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cache.errors import ProbeError
from probing.metrics import Interval, draw, eer, eer_resamples, percentile_interval
from probing.metrics.decomposition import POOLED, conditions, decompose


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    table: one row per condition, the pooled one first; see `probing.metrics.decomposition.decompose`.
    eer: pooled equal error rate with its 95 % interval. unit: what the bootstrap drew. trials: the joined rows.
    """

    table: pd.DataFrame
    eer: Interval
    unit: str
    trials: pd.DataFrame

    @property
    def sentence(self) -> str:
        """The pooled figure in words."""
        counts, low, high = self.trials["label"].value_counts(), 100 * self.eer.low, 100 * self.eer.high
        return (
            f"EER {100 * self.eer.value:.2f} % (95 % interval {low:.2f} to {high:.2f}, by {self.unit}) "
            f"on {counts['bonafide']} bona fide + {counts['spoof']} spoof"
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
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Compute every figure.

    Args:
        trials: from `join`; the bootstrap draws speakers where all are known, else utterances.
        by: columns to decompose by.
        asv: speaker verification trials, for the t-DCF.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ProbeError: a class or a column is missing, or too few resamples.
    """
    if resamples < 100:
        raise ProbeError(f"--resamples {resamples}: expected 100 or more; fewer say nothing about the ends")
    bonafide, scores = trials["label"].eq("bonafide").to_numpy(), trials["score"].to_numpy()
    table = decompose(trials, by, asv)
    value = eer(bonafide, scores)
    speakers = trials["speaker"] if "speaker" in trials and (~trials["speaker"].isin(["", "-"])).all() else None
    drawn = draw(bonafide, speakers, n=resamples, seed=seed)
    interval = percentile_interval(value, eer_resamples(bonafide, scores, drawn))
    return Evaluation(table, interval, drawn.unit, trials)
