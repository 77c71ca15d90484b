"""The results of heads by depth: figures by seed, their means, the excess over full depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from probing.sweep.depth_finding import excess_bound
from probing.sweep.depth_training import FittedHead
from probing.sweep.experiments import DEPTHS, EXCESS
from probing.sweep.results import Results


@dataclass(frozen=True)
class DepthFigures:
    """A head at a depth, over seeds.

    rates: part -> mean of the metric.
    resampled: part -> (R,) the same on each resample.
    best: the best on dev.
    """

    rates: dict[str, float]
    resampled: dict[str, NDArray[np.float64]]
    best: FittedHead


def add_depth(results: Results, members: Sequence[FittedHead]) -> DepthFigures:
    """Add a head at a depth: its metric by seed, and their mean with its interval."""
    model = members[0].model
    row = {"experiment": DEPTHS, "head": model.head, "depth": model.depth}
    task = results.task
    values = {}
    resampled = {}
    for part in results.parts:
        target = results.splits[part].target
        row = {**row, **results.columns_of(part), "metric": task.metric.name}
        values[part] = [task.value(target, member.scores[part]) for member in members]
        of_seeds = [
            task.resampled(target, member.scores[part], results.resamples[part])
            for member in members
        ]
        resampled[part] = np.mean(of_seeds, axis=0)
        for member, value in zip(members, values[part], strict=True):
            strength = member.model.weight_decay
            results.append({**row, "seed": member.model.seed, "value": value, "strength": strength})
        interval = task.interval(
            float(np.mean(values[part])), resampled[part], results.resamples[part]
        )
        results.append({**row, **asdict(interval)})
    best = members[int(np.argmin([task.metric.loss(value) for value in values["dev"]]))]
    return DepthFigures({part: float(np.mean(of)) for part, of in values.items()}, resampled, best)


def add_excess(
    results: Results, head: str, depth: int, at_depth: DepthFigures, at_full: DepthFigures
) -> None:
    """Add by how much a head is worse than at full depth, and what is not excluded."""
    for part in results.parts:
        sign = results.task.metric.loss(1)
        value = sign * (at_depth.rates[part] - at_full.rates[part])
        most = excess_bound(sign * at_depth.resampled[part], sign * at_full.resampled[part])
        metric = f"{results.task.metric.name}_excess"
        row = {
            "experiment": EXCESS,
            "head": head,
            "depth": depth,
            "metric": metric,
            **results.columns_of(part),
        }
        results.append({**row, "value": value, "high": most})
