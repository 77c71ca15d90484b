"""Figures of several runs on the same trials: ranks, and differences of pairs.

A difference is tested at two sides by Student's t over its standard error on resamples; p-values of
all pairs are adjusted by Holm's procedure (Holm 1979), so that the chance of any false difference
is at most 5 %. The rank of a backbone is counted anew in every resample.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.runs.loading import Runs
from probing.metrics import Resamples, difference_p

LEVEL = 0.05


def ranked(
    runs: Runs, rates: NDArray[np.float64], resampled: NDArray[np.float64], drawn: Resamples
) -> pd.DataFrame:
    """One row a run, as `analysis.runs.comparison.Comparison.table`, in the order of the runs.

    Args:
        runs: R runs.
        rates: the figure of each (R,), as a share where it is one.
        resampled: the same on each resample (R, N).
        drawn: the N resamples.

    >>> from analysis import compare
    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> list(found.table)[:3]
    ['layers', 'best_layer', 'relative_depth']
    """
    task = runs[0].task
    scale = task.metric.scale
    losses = task.metric.loss(1) * resampled
    # ties share their mean rank
    above = (losses[:, None] > losses[None]).sum(1)
    order = above + 0.5 * ((losses[:, None] == losses[None]).sum(1) + 1)
    lowest = losses == losses.min(axis=0)
    first = (lowest / lowest.sum(axis=0)).mean(axis=1)
    rows = []
    for run, rate, sample, rank, share in zip(runs, rates, resampled, order, first, strict=True):
        interval = task.interval(rate, sample, drawn)
        layer = run.record.finding.layer
        # it is about that one
        finding = run.record.depth_finding if run.corpus == run.corpora[0] else None
        needed = finding.depth if finding else None
        gmacs = run.costs.set_index("depth")["gmacs"].to_dict()
        rows.append(
            {
                "layers": run.n_blocks,
                "best_layer": layer,
                "relative_depth": layer / max(run.n_blocks, 1),
                task.metric.name: scale * interval.value,
                "low": scale * interval.low,
                "high": scale * interval.high,
                "rank": float(rank.mean()),
                "rank_low": float(np.quantile(rank, LEVEL / 2, method="nearest")),
                "rank_high": float(np.quantile(rank, 1 - LEVEL / 2, method="nearest")),
                "best": 100 * float(share),
                "gmacs": gmacs.get(layer, np.nan),
                "depth_needed": needed,
                "gmacs_needed": gmacs.get(needed, np.nan),
                "gmacs_whole": gmacs.get(run.n_blocks, np.nan),
                "cache": run.record.cache,
            }
        )
    return pd.DataFrame(rows, index=pd.Index(runs.names, name="backbone")).astype(
        {"depth_needed": "Int64"}
    )


def paired(
    ordered: list[str],
    runs: Runs,
    rates: NDArray[np.float64],
    resampled: NDArray[np.float64],
    drawn: Resamples,
) -> pd.DataFrame:
    """One row a pair, as `analysis.runs.comparison.Comparison.pairs`.

    `ordered` are the names of the runs, the best first; all else as in `ranked`.
    """
    task = runs[0].task
    scale = task.metric.scale
    names = runs.names
    rows = []
    for one, two in combinations(ordered, 2):
        first = names.index(one)
        second = names.index(two)
        differences = resampled[first] - resampled[second]
        interval = task.difference(rates[first] - rates[second], differences, drawn)
        # no negative zero
        row = {"first": one, "second": two, "difference": scale * interval.value + 0.0}
        p = difference_p(interval.value, differences, drawn)
        rows.append(
            {**row, "low": scale * interval.low + 0.0, "high": scale * interval.high + 0.0, "p": p}
        )
    table = pd.DataFrame(rows)
    table["p_adjusted"] = holm(table["p"].to_numpy())
    table["shown"] = table["p_adjusted"] < LEVEL
    return table


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values (M,) adjusted by Holm's procedure.

    The i-th smallest (i from 0) is taken times M - i, at most 1, and none is below that of a
    smaller p.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
