"""Gates and weights of layers against where they started, seed by seed, and how far seeds agree.

Gates of attentive merges and SLS start at random, and a training that has other ways to lower its
loss leaves them near there: on caches with one planted layer the highest gate of a seed was that
layer in 3 to 7 of 10 seeds, and in 1 of 10 for SLS, whose gates correlate at .9 to 1 with their
start; permutation importance found it in all. So what is shown is the change from the start, and
beside it how far the seeds agree.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.runs.loading import load
from probing.runs import Run

KEYS = ["head", "metric", "seed"]


def gate_changes(run: str | Path | Run, condition: str = "all") -> pd.DataFrame:
    """Gates and weights of heads of full depth, one row a head, metric (gate, weight,
    weight_x_norm), seed and layer.

    Args:
        run: a run with heads.
        condition: `all`, `label=spoof`, `attack=A10`, ...: on which utterances.

    Returns:
        share: of the sum over layers, %. start: that before training; weighted sums start with all
        layers alike, and in runs of an earlier version that of gates is not known (NaN). change =
        share - start, in points.

    >>> list(gate_changes("results/demo.run").columns)
    ['head', 'metric', 'seed', 'layer', 'share', 'start', 'change']
    """
    rows = load(run).results
    rows = rows[(rows["experiment"] == "contribution") & (rows["condition"] == condition)]
    table = rows.pivot_table(
        index=["head", "seed", "layer"], columns="metric", values="value"
    ).astype(float)
    table = table.reindex(columns=["gate", "gate_start", "weight", "weight_x_norm"]).reset_index()
    starts = {
        "gate": table["gate_start"],
        "weight": table["weight"] * 0 + 1,
        "weight_x_norm": (table["weight_x_norm"] / table["weight"]).where(table["weight"] > 0, 0.0),
    }
    parts = []
    for metric, start in starts.items():
        part = table[["head", "seed", "layer"]].assign(
            metric=metric, share=table[metric], start=start
        )
        parts.append(part[part["share"].notna()])
    found = pd.concat(parts, ignore_index=True)
    for name in ("share", "start"):
        total = found.groupby(KEYS)[name].transform(lambda values: values.sum(skipna=False))
        found[name] = 100 * found[name] / total.where(total != 0)
    found["change"] = found["share"] - found["start"]
    return found.astype({"seed": int, "layer": int}).sort_values(
        [*KEYS, "layer"], ignore_index=True
    )[[*KEYS, "layer", "share", "start", "change"]]


def gate_agreement(run: str | Path | Run, condition: str = "all") -> pd.DataFrame:
    """How far seeds agree on layers, one row a head and metric.

    Args:
        run: a run with heads.
        condition: see `gate_changes`.

    Returns:
        seeds; kendall_w of the ranks of layers by change (`kendall_w`), NaN for one seed;
        by_chance, its mean for ranks drawn at random, 1 / seeds; start_low and start_high, the
        lowest and highest correlation over seeds of the shares with their start, NaN where that is
        even.

    >>> list(gate_agreement("results/demo.run").columns)
    ['seeds', 'kendall_w', 'by_chance', 'start_low', 'start_high']
    """
    found = []
    for (head, metric), rows in gate_changes(run, condition).groupby(
        ["head", "metric"], sort=False
    ):
        change, share, start = (
            rows.pivot(index="seed", columns="layer", values=name).to_numpy()
            for name in ("change", "share", "start")
        )
        apart = [
            np.corrcoef(after, before)[0, 1]
            for after, before in zip(share, start, strict=True)
            if metric == "gate" and min(np.ptp(after), np.ptp(before)) > 1e-9
        ]
        ends = (min(apart), max(apart)) if apart and np.isfinite(apart).all() else (np.nan, np.nan)
        figures = {"kendall_w": kendall_w(change), "by_chance": 1 / len(change)}
        figures |= dict(zip(("start_low", "start_high"), ends, strict=True))
        found.append({"head": head, "metric": metric, "seeds": len(change), **figures})
    columns = ["head", "metric", "seeds", "kendall_w", "by_chance", "start_low", "start_high"]
    return pd.DataFrame(found, columns=columns).set_index(["head", "metric"])


def kendall_w(values: NDArray[np.float64]) -> float:
    """Kendall's W of m raters (rows) of n things (columns), corrected for ties.

    1 where all rank alike, 1 / m on average by chance; NaN for one rater, one thing, or ranks that
    are all tied (Kendall and Babington Smith 1939).

    >>> kendall_w(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    1.0
    """
    m, n = values.shape
    if m < 2 or n < 2 or not np.isfinite(values).all():
        return float("nan")
    ranks = rankdata(values, axis=1)
    ties = sum(
        float((counts**3 - counts).sum())
        for counts in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    most = m**2 * (n**3 - n) - m * ties
    spread = ranks.sum(axis=0) - m * (n + 1) / 2
    return float(12 * (spread @ spread) / most) if most > 0 else float("nan")
