"""Figures by attack, codec or any other column, over the rows that the official packages take.

A factor is of spoofs where bona fide trials have no such thing (attack, vocoder): a condition is
then the spoofs of one value against all bona fide trials. Any other factor (codec, compression) is
of both: a condition is the spoofs and the bona fide trials of one value. Two factors together give
every pair and, as `pooled`, every value of either (ASVspoof 2021 evaluation package; ASVspoof 5
evaluation package, full tables). Speaker verification trials are taken likewise, targets and
nontargets as bona fide, and its rates and the weights of the t-DCF are computed anew for each
condition (ASVspoof 2021). Legacy t-DCF knows pooled verification scores only (ASVspoof 2019), and
keeps them here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import argument
from probing.metrics.clusters import FEW_TRIALS
from probing.metrics.eer import ScoresError
from probing.metrics.figures import METRICS, Trials, figures_of
from probing.metrics.tdcf import AsvRates, asv_rates

POOLED = "pooled"
MOST_CONDITIONS = 1500  # 114 vocoders x 9 codecs, as ASVspoof 2021 DF has them, are 1150
OF_SPOOFS = "spoof"
OF_BOTH = "both"


def decompose(
    trials: pd.DataFrame,
    factors: Sequence[str] = (),
    asv: pd.DataFrame | None = None,
    kinds: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Every figure, pooled and of each condition.

    Args:
        trials: one row each: `label` (`bonafide` or `spoof`), `score`, and the columns to decompose
            by.
        factors: columns of `trials`.
        asv: speaker verification trials: `key` (`target`, `nontarget`, `spoof`), `score`, and such
            columns as it has.
        kinds: `spoof` or `both` for a factor; default by whether bona fide trials share values with
            spoofs.

    Returns:
        One row per condition that has trials: the factors, `n_bonafide`, `n_spoof` and METRICS as
        shares, NaN if a class or the ASV trials are missing, or if it is a part of the trials with
        fewer than 5 of a class.

    Raises:
        ScoresError: no such column, or scores no figure can be computed from.

    >>> table = pd.DataFrame(
    ...     {
    ...         "label": ["bonafide"] * 6 + ["spoof"] * 12,
    ...         "score": [9, 8, 7, 3, 5, 1] + [2, 6, 0] * 4,
    ...     }
    ... )
    >>> table["attack"] = ["-"] * 6 + ["A01", "A02"] * 6
    >>> found = decompose(table, ["attack"]).set_index("attack")
    >>> found["n_spoof"].to_dict(), float(found.loc["pooled", "eer"].round(3))
    ({'pooled': 12, 'A01': 6, 'A02': 6}, 0.333)
    """
    legacy = _rates(asv) if asv is not None else None
    rows = []
    of_both = are_of_both(trials, factors, kinds)
    for condition, chosen in conditions(trials, factors, kinds):
        wanted = {name: value for name, value in condition.items() if value != POOLED}
        figures = _figures(chosen, rates_in(asv, wanted, of_both), legacy)
        if wanted and too_few(chosen["label"]):
            figures |= dict.fromkeys(METRICS, np.nan)
        rows.append({**condition, **figures})
    return pd.DataFrame(rows)


def too_few(labels: "pd.Series[str]") -> bool:
    """Whether a condition has fewer trials of a class than a figure can be made of."""
    n_bonafide = int(labels.eq("bonafide").sum())
    return min(n_bonafide, len(labels) - n_bonafide) < FEW_TRIALS


def conditions(
    trials: pd.DataFrame, factors: Sequence[str] = (), kinds: Mapping[str, str] | None = None
) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Each condition, the value of every factor or `pooled`, with its trials.

    Conditions without spoofs are left out.

    Args and errors: as `decompose`.
    """
    of_both = are_of_both(trials, factors, kinds)
    spoof = trials["label"].eq("spoof").to_numpy()
    values = [
        [POOLED, *sorted(trials.loc[spoof | of_both[name], name].unique())] for name in factors
    ]
    n = prod(map(len, values))
    if n > MOST_CONDITIONS:
        raise ScoresError(
            f"{argument('by', ','.join(factors))}: {n:,} conditions, each of which takes every "
            f"bona fide trial again; at most {MOST_CONDITIONS:,} are "
            "computed. Name columns of fewer values"
        )
    for condition in product(*values):
        named = dict(zip(factors, condition, strict=True))
        wanted = {name: value for name, value in named.items() if value != POOLED}
        chosen = trials[_rows(trials, spoof, wanted, of_both)]
        if not wanted or chosen["label"].eq("spoof").any():
            yield named, chosen


def are_of_both(
    trials: pd.DataFrame, factors: Sequence[str], kinds: Mapping[str, str] | None = None
) -> dict[str, bool]:
    """Whether each factor is of both classes; args and errors as `decompose`."""
    for factor in factors:
        if factor not in trials:
            raise ScoresError(
                f"{argument('by', factor)}: no such column. Expected some of "
                f"{', '.join(trials.columns)}"
            )
        if factor in METRICS or factor in METRICS.reserved:
            raise ScoresError(
                f"{argument('by', factor)}: a figure is called so. Give "
                f"the column another name, as own_{factor}"
            )
    spoof = trials["label"].eq("spoof").to_numpy()
    return {
        name: (kinds or {}).get(name, kind_of(trials[name].to_numpy(), spoof)) == OF_BOTH
        for name in factors
    }


def kind_of(values: NDArray[np.object_], spoof: NDArray[np.bool_]) -> str:
    """Whether a factor is of `spoof` trials only, or of `both` classes if these share a value."""
    return OF_BOTH if set(values[spoof]) & set(values[~spoof]) else OF_SPOOFS


def _rows(
    table: pd.DataFrame,
    spoof: NDArray[np.bool_],
    wanted: Mapping[str, str],
    of_both: Mapping[str, bool],
) -> NDArray[np.bool_]:
    chosen = np.ones(len(table), bool)
    for name, value in wanted.items():
        same = table[name].eq(value).to_numpy()
        chosen &= same if of_both[name] else same | ~spoof
    return chosen


def rates_in(
    asv: pd.DataFrame | None, wanted: Mapping[str, str], of_both: Mapping[str, bool]
) -> AsvRates | None:
    """Error rates of verification in a condition.

    None if it has no such trials, or there are no columns to tell them by.
    """
    if asv is None or any(name not in asv for name in wanted):
        return None
    return _rates(asv[_rows(asv, asv["key"].eq("spoof").to_numpy(), wanted, of_both)])


def _rates(asv: pd.DataFrame) -> AsvRates | None:
    return asv_rates(asv["key"], asv["score"]) if asv["key"].nunique() == 3 else None


def _figures(
    trials: pd.DataFrame, asv: AsvRates | None, legacy: AsvRates | None
) -> dict[str, float]:
    bonafide = trials["label"].eq("bonafide").to_numpy()
    scores = trials["score"].to_numpy(np.float64)
    counts = {"n_bonafide": int(bonafide.sum()), "n_spoof": int((~bonafide).sum())}
    return {**counts, **figures_of(Trials(bonafide, scores, asv, legacy))}
