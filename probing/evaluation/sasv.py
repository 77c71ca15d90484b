"""Figures of spoofing-robust speaker verification, pooled and by condition, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError, ProbeError, argument
from probing.metrics import RESAMPLES, Interval, Resamples, difference_interval, draw, rate_interval
from probing.metrics.clusters import AUTO, FEW_TRIALS, clusters_of
from probing.metrics.decomposition import POOLED, are_of_both, conditions, rates_in, too_few
from probing.metrics.sasv import ASVSPOOF5_ASV, a_dcf, t_eer
from probing.metrics.sasv_bootstrap import a_dcf_resamples, t_eer_resamples
from probing.metrics.tdcf import KEYS, legacy_min_tdcf
from probing.scores.sasv import ASV, CLAIMED, CM, JOINT, KIND

_NEEDS = {"a_dcf": {JOINT}, "t_eer": {ASV, CM}}
_ACCEPTED = {"target": "bonafide", "nontarget": "spoof", "spoof": "spoof"}


@dataclass(frozen=True)
class SasvEvaluation:
    """What was found.

    table: one row per condition, the pooled one first: the factors, `n_target`, `n_nontarget`,
        `n_spoof`, `a_dcf` of joint scores and `t_eer` of tandem scores with the ends of their 95 %
        intervals, `a_dcf_low` and so on, and `min_tdcf` of tandem scores, in the legacy form, as
        ASVspoof 5 has it. A figure has no columns if the scores it is made of are not there, and is
        NaN of conditions of fewer than 5 trials of a kind.
    trials: the joined rows.
    drawn: what the bootstrap drew, with its numbers.
    left_out: conditions without figures.
    difference: of the first figure, less that of another system on the same resamples; None where
        there is none.

    >>> table = pd.DataFrame(
    ...     {KIND: ["target", "nontarget", "spoof"] * 10, JOINT: np.arange(30.0) % 3}
    ... )
    >>> table = table.assign(
    ...     utterance_id=[f"u{n}" for n in range(30)], label=["bonafide", "bonafide", "spoof"] * 10
    ... )
    >>> evaluate_sasv(table, resamples=100).sentence[:5]
    'a-DCF'
    """

    table: pd.DataFrame
    trials: pd.DataFrame
    drawn: str
    left_out: tuple[str, ...] = ()
    difference: Interval | None = None

    @property
    def sentence(self) -> str:
        """The pooled figures in words."""
        row = self.table.iloc[0]
        figures = []
        if "a_dcf" in row:
            figures.append(
                f"a-DCF {row['a_dcf']:.4f} [{row['a_dcf_low']:.4f}, {row['a_dcf_high']:.4f}]"
            )
        if "t_eer" in row:
            value, low, high = (100 * row[name] for name in ("t_eer", "t_eer_low", "t_eer_high"))
            figures.append(f"t-EER {value:.2f} % [{low:.2f}, {high:.2f}]")
        counted = " + ".join(f"{row[f'n_{key}']:,.0f} {key}" for key in KEYS)
        text = f"{', '.join(figures)} (95 % intervals, {self.drawn}) on {counted} trials"
        if self.difference is None:
            return text
        by = self.difference
        sure = "" if by.low > 0 or by.high < 0 else ", which may be chance"
        name = "a-DCF" if "a_dcf" in row else "t-EER"
        ends = f"[{by.low:+z.4f}, {by.high:+z.4f}]"
        return f"{text}. The {name} less that of the other system is {by.value:+z.4f} {ends}{sure}"

    def curves(self, by: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
        """Trials to draw, targets as bona fide and what must be rejected as spoof, by name.

        Without columns: by kind, and both together. By columns: the pooled condition and each that
        has enough trials.
        """
        score = next(name for name in (JOINT, CM) if name in self.trials)
        kinds = self.trials[KIND]
        rejected = self.trials.assign(score=self.trials[score], label=kinds.map(_ACCEPTED))
        rejected = rejected.assign(label=self.trials["label"]) if score == CM else rejected
        if by:
            chosen = {
                ", ".join(condition.values()): rejected.loc[rows.index]
                for condition, rows in conditions(self.trials, by)
            }
            return {
                name: rows
                for name, rows in chosen.items()
                if name == POOLED or not too_few(rows["label"])
            }
        if score == CM:
            return {POOLED: rejected}
        return {POOLED: rejected} | {
            f"against {kind}": rejected[kinds.isin(("target", kind))] for kind in KEYS[1:]
        }


def evaluate_sasv(
    trials: pd.DataFrame,
    by: Sequence[str] = (),
    asv: pd.DataFrame | None = None,
    *,
    against: pd.DataFrame | None = None,
    interval_by: str = AUTO,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SasvEvaluation:
    """Compute every figure that the scores allow.

    Args:
        trials: from `probing.scores.sasv.sasv_trials`.
        by: columns to decompose by: of an attack its spoofs and every target and nontarget, of a
            codec all three.
        asv: verification trials for the t-DCF, `key` and `score`, with such columns as they have;
            by default the error rates of the organisers' system that the ASVspoof 5 package has.
        against: the same trials with the scores of another system, to compare the a-DCF (or the
            t-EER) with.
        interval_by: the column whose values the bootstrap draws whole, or several with commas
            between; `utterance` draws utterances, `auto` claimed speakers where they are named and
            else utterances.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ProbeError: a kind of trials or a column is missing, the other system's trials are others,
            or too few resamples.

    >>> table = pd.DataFrame(
    ...     {KIND: ["target", "nontarget", "spoof"] * 10, JOINT: np.arange(30.0) % 3}
    ... )
    >>> table = table.assign(
    ...     utterance_id=[f"u{n}" for n in range(30)], label=["bonafide", "bonafide", "spoof"] * 10
    ... )
    >>> evaluate_sasv(table, resamples=100).table["n_spoof"].tolist()
    [10]
    """
    if resamples < 100:
        raise OptionError(
            "resamples", resamples, "expected 100 or more; fewer say nothing about the ends"
        )
    names = [name for name, needed in _NEEDS.items() if needed <= set(trials)]
    if not names:
        found = ", ".join(sorted({JOINT, ASV, CM} & set(trials)))
        raise ProbeError(
            f"verification trials with {found} only. Expected sasv-score for the a-DCF, or "
            "asv-score and cm-score for the t-EER; verification scores may be in a file of their "
            f"own: {argument('asv_scores', 'FILE')}"
        )
    counted = {key: int(trials[KIND].eq(key).sum()) for key in KEYS}
    if not all(counted.values()):
        found = ", ".join(f"{n:,} {key}" for key, n in counted.items())
        raise ProbeError(
            f"trials to evaluate: {found}. Expected all three "
            f"kinds; name another {argument('split')}"
        )
    rows = []
    left_out = []
    of_both = are_of_both(trials, by)
    pooled = _draw(trials, interval_by, resamples, seed)
    for condition, chosen in conditions(trials, by):
        kinds = chosen[KIND].to_numpy()
        counts = {f"n_{key}": int((kinds == key).sum()) for key in KEYS}
        wanted = {name: value for name, value in condition.items() if value != POOLED}
        row = {**condition, **counts}
        if min(counts.values()) < (FEW_TRIALS if wanted else 1):
            few = ", ".join(f"{n} {name.removeprefix('n_')}" for name, n in counts.items())
            left_out.append(f"{', '.join(wanted.values())} ({few})")
            rows.append(row)
            continue
        drawn = _draw(chosen, interval_by, resamples, seed) if wanted else pooled
        for name in names:
            value = _value(name, chosen)
            known = _resampled(name, chosen, drawn)
            known = known[np.isfinite(known)]  # a resample of few speakers may have none of a kind
            interval = (
                rate_interval(value, known, drawn)
                if len(known) > 1
                else Interval(value, np.nan, np.nan)
            )
            row |= {name: value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        if CM in chosen:
            rates = ASVSPOOF5_ASV if asv is None else rates_in(asv, wanted, of_both)
            bonafide = chosen["label"].eq("bonafide")
            row["min_tdcf"] = (
                np.nan if rates is None else legacy_min_tdcf(bonafide, chosen[CM], rates)
            )
        rows.append(row)
    difference = None
    if against is not None:
        difference = _difference(names[0], trials, against, pooled)
    return SasvEvaluation(
        pd.DataFrame(rows),
        trials,
        drawn=pooled.drawn,
        left_out=tuple(left_out),
        difference=difference,
    )


def _value(name: str, trials: pd.DataFrame) -> float:
    if name == "a_dcf":
        return a_dcf(trials[KIND], trials[JOINT])
    return t_eer(trials[KIND], trials[ASV], trials[CM])


def _resampled(name: str, trials: pd.DataFrame, drawn: Resamples) -> NDArray[np.float64]:
    if name == "a_dcf":
        return a_dcf_resamples(trials[KIND], trials[JOINT], drawn)
    return t_eer_resamples(trials[KIND], trials[ASV], trials[CM], drawn)


def _difference(
    name: str, trials: pd.DataFrame, against: pd.DataFrame, drawn: Resamples
) -> Interval:
    names = [column for column in (CLAIMED, "utterance_id") if column in trials]
    if not _NEEDS[name] <= set(against) or not set(names) <= set(against):
        raise ProbeError(
            f"{argument('against')}: its scores are of another "
            "kind. Expected the same columns of scores"
        )
    other = trials[[*names, KIND, "label"]].merge(against, on=[*names, KIND, "label"], how="left")
    column = next(iter(_NEEDS[name] & {JOINT, CM}))
    lacking = int(other[column].isna().sum()) + len(against) - int(other[column].notna().sum())
    if lacking:
        raise ProbeError(
            f"{argument('against')}: {lacking} trials are in one file "
            "only. Expected scores of the same trials"
        )
    by = _resampled(name, trials, drawn) - _resampled(name, other, drawn)
    return difference_interval(
        _value(name, trials) - _value(name, other), by[np.isfinite(by)], drawn
    )


def _draw(trials: pd.DataFrame, unit: str, resamples: int, seed: int) -> Resamples:
    return draw(
        trials["label"].eq("bonafide"), clusters_of(trials, unit, "trial"), n=resamples, seed=seed
    )
