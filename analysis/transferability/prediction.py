"""How well scores without training predict the probes that were trained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata, spearmanr

from analysis.runs.loading import load
from analysis.transferability.layers import SHUFFLED
from cache import Cache, CacheMissing, ProbeError
from cache.errors import argument
from probing.runs import Run, check_cache
from probing.targets.metrics import NUMBER

FEWEST = 3  # points that can be ranked
LOSS = "loss"  # column beside those of the scores
PERMUTATIONS = 5000
VALUES_AT_ONCE = 1_000_000  # most values of a table in memory


def predicts(
    run: Run | Sequence[Run],
    scores: pd.DataFrame,
    split: str = "eval",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank correlation of scores with the metric of the trained probes, 1 where the higher score
    has the better one.

    The metric is that of the runs' findings: the EER of bona fide against spoof, lower is better.

    Args:
        run: the run of the cache that was scored, or several in the order of the caches.
        scores: of `transfer_scores`, or any table by layer (by backbone and layer for several
            runs), higher is better.
        split: `eval` or `dev`.
        permutations: of the layers, for the p value and the range of chance.
        seed: of the permutations.

    Returns:
        One row for each score over the layers of each backbone; for several also over `all layers`,
        and from three backbones on over the `best layers`: kendall (tau-b) and spearman; p,
        two-sided, of tau; chance_low and chance_high, between which 95 % of the taus of permuted
        layers lie; n points. Layers are alike, so that p is optimistic.

    Raises:
        ProbeError: other runs than scored caches, runs of another target than was scored, or fewer
            than three layers in common.

    >>> from analysis import load, transfer_scores
    >>> run = load("results/demo.run")
    >>> found = predicts(run, transfer_scores(run.cache, scores=["logme"]))
    >>> list(found.columns)
    ['over', 'score', 'kendall', 'spearman', 'p', 'chance_low', 'chance_high', 'n']
    """
    runs = [run] if isinstance(run, Run) else list(run)
    several = isinstance(scores.index, pd.MultiIndex)
    groups = (
        {str(name): part.droplevel(0) for name, part in scores.groupby(level=0, sort=False)}
        if several
        else {"layers": scores}
    )
    if len(groups) != len(runs):
        raise ProbeError(
            f"{len(runs)} runs for the scores of {len(groups)} "
            "caches: expected one each, in their order"
        )
    check_targets(runs, scores.attrs.get("target"))
    points = {}
    scored = scores.attrs.get("caches", [])
    folders = scores.attrs.get("folders", [])
    for i, (of_cache, (name, part)) in enumerate(zip(runs, groups.items(), strict=True)):
        # a part of a table keeps the caches of the whole
        known = [scored[i]] if len(scored) == len(runs) else scored
        if known and of_cache.record.cache not in known:
            raise ProbeError(
                f"{of_cache.folder}: made from cache {of_cache.record.cache}, the scores are of "
                f"{', '.join(known)}. Sweep that cache, or score this one"
            )
        if len(scored) == len(runs) == len(folders):
            with suppress(CacheMissing):  # scores are of use without their cache
                check_cache(of_cache, Cache(folders[i]))
        points[name] = part.join(_losses(of_cache, split), how="inner")
        if len(points[name]) < FEWEST:
            raise ProbeError(
                f"{of_cache.folder}: {len(points[name])} layers with "
                f"scores and probes: expected {FEWEST}"
            )
    if len(points) > 1:
        joined = {name: points[name] for name in points}
        points["all layers"] = pd.concat(joined.values())
        if len(joined) >= FEWEST:
            best = {name: {**part.max(), LOSS: part[LOSS].min()} for name, part in joined.items()}
            points["best layers"] = pd.DataFrame.from_dict(best, orient="index")
    rows = []
    for name, table in points.items():
        for score in scores.columns.drop(SHUFFLED, errors="ignore"):
            generator = np.random.default_rng(seed)
            rows.append(
                {
                    "over": name,
                    "score": score,
                    **_agreement(table, str(score), permutations, generator),
                }
            )
    return pd.DataFrame(rows)


def check_targets(runs: Sequence[Run], target: str | None) -> None:
    """Refuse runs of several targets or metrics, or of another target than is scored.

    `target` is the column that says the class; None if it is not known.

    >>> check_targets([Run("results/demo.run")], "label")
    """
    metrics = {run.metric.name: run for run in runs}
    if len(metrics) > 1:
        targets = ", ".join(
            f"{run.folder} by {run.metric.called} of {run.task.target}" for run in metrics.values()
        )
        raise ProbeError(
            f"runs of several targets: {targets}. Expected runs of one target and metric"
        )
    for run in runs:
        if target not in (None, run.task.target):
            raise ProbeError(
                f"{run.folder}: its target is {run.task.target}, the scores are of {target}. "
                f"{_scored_as(run)}, or give a run of {target}"
            )


def _losses(run: Run, split: str) -> pd.Series:
    """The metric of the probes by layer, turned so that lower is better."""
    table = run.rows("layer", split, load(run).corpus)
    rows = table[(table["metric"] == run.metric.name) & (table["condition"] == "all")]
    return pd.Series(
        run.metric.loss(1) * rows["value"].to_numpy(),
        rows["layer"].astype(int).to_numpy(),
        name=LOSS,
    )


def _scored_as(run: Run) -> str:
    """What to do to have scores of the target of a run; of numbers there are none."""
    if run.task.name == NUMBER:
        return "Numbers have no classes that could be scored without training"
    return f"Score the layers by {argument('target', run.task.target)}"


def _agreement(
    table: pd.DataFrame, score: str, permutations: int, generator: np.random.Generator
) -> dict[str, float | int]:
    x = table[score].to_numpy(np.float64)
    y = -table[LOSS].to_numpy(np.float64)
    flat = np.ptp(x) == 0 or np.ptp(y) == 0  # no order to agree with
    tau = np.nan if flat else float(kendalltau(x, y).statistic)
    rho = np.nan if flat else float(spearmanr(x, y).statistic)
    by_chance = np.full(1, np.nan) if flat else _permuted(x, y, permutations, generator)
    low, high = np.quantile(by_chance, [0.025, 0.975])
    p = (
        np.nan
        if flat
        else (1 + int((np.abs(by_chance) >= abs(tau) - 1e-12).sum())) / (1 + permutations)
    )
    return {
        "kendall": tau,
        "spearman": rho,
        "p": p,
        "chance_low": float(low),
        "chance_high": float(high),
        "n": len(x),
    }


def _permuted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    permutations: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Kendall's tau-b of x with y in random order, (permutations,)."""
    signs = np.sign(np.subtract.outer(x, x))
    others = np.sign(np.subtract.outer(rankdata(y), rankdata(y)))
    size = np.sqrt(np.square(signs).sum() * np.square(others).sum())
    orders = np.array([generator.permutation(len(y)) for _ in range(permutations)])
    sums = []
    for some in np.array_split(orders, max(1, permutations * len(y) ** 2 // VALUES_AT_ONCE)):
        sums.append(np.einsum("ij,pij->p", signs, others[some[:, :, None], some[:, None, :]]))
    return np.concatenate(sums) / size
