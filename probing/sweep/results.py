"""The results table of a sweep: one row a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.metrics import Interval, Resamples, eer, eer_resamples, percentile_interval
from probing.sweep.depths import FittedHead
from probing.sweep.linear import Probe
from probing.sweep.splits import Split

LAYERS, TRIVIAL, CONTROL = "layer", "trivial-features", "shuffled-labels"
DEPTHS, CONTRIBUTIONS, COSTS = "depth", "contribution", "cost"
EMPTY: dict[str, Any] = {
    "experiment": "",
    "head": "",
    "layer": None,
    "depth": None,
    "seed": None,
    "split": "eval",
    "condition": "all",
    "metric": "eer",
    "value": np.nan,
    "low": np.nan,
    "high": np.nan,
    "strength": np.nan,
}


@dataclass(frozen=True)
class DepthFigures:
    """A head at a depth, over seeds.

    rate, dev_rate: mean eval and dev EER. resampled: (R,) mean eval EER of each resample. best: lowest dev EER.
    """

    rate: float
    resampled: NDArray[np.float64]
    dev_rate: float
    best: FittedHead


class Results:
    """Collects rows of the results table: one a figure."""

    def __init__(self, splits: dict[str, Split], resamples: dict[str, Resamples]) -> None:
        self._splits, self._resamples = splits, resamples
        self._rows: list[dict[str, Any]] = []

    def add(self, experiment: str, layer: int | None, probe: Probe) -> NDArray[np.float64]:
        """Add the dev and eval EER of a probe with their intervals; returns the resampled eval EER."""
        resampled = np.empty(0)
        for part in ("dev", "eval"):
            bonafide, scores = self._splits[part].bonafide, probe.scores[part]
            resampled = eer_resamples(bonafide, scores, self._resamples[part])
            interval = percentile_interval(eer(bonafide, scores), resampled)
            self._add(experiment, layer, None, part, probe.strength, interval)
        return resampled

    def add_control(self, layer: int, seed: int, probe: Probe) -> None:
        """Add the dev and eval EER, against the true labels, of a probe trained on shuffled ones."""
        for part in ("dev", "eval"):
            value = eer(self._splits[part].bonafide, probe.scores[part])
            self._add(CONTROL, layer, seed, part, probe.strength, Interval(value, np.nan, np.nan))

    def add_depth(self, members: Sequence[FittedHead]) -> DepthFigures:
        """Add a head at a depth: its EER by seed, and their mean with its interval."""
        model = members[0].model
        row = {"experiment": DEPTHS, "head": model.head, "depth": model.depth}
        rates, resampled = {}, {}
        for part in ("dev", "eval"):
            bonafide = self._splits[part].bonafide
            rates[part] = [eer(bonafide, member.scores[part]) for member in members]
            of_seeds = [eer_resamples(bonafide, member.scores[part], self._resamples[part]) for member in members]
            resampled[part] = np.mean(of_seeds, axis=0)
            for member, rate in zip(members, rates[part], strict=True):
                strength = member.model.weight_decay
                self.append({**row, "seed": member.model.seed, "split": part, "value": rate, "strength": strength})
            interval = percentile_interval(float(np.mean(rates[part])), resampled[part])
            self.append({**row, "split": part, **asdict(interval)})
        best = members[int(np.argmin(rates["dev"]))]
        return DepthFigures(float(np.mean(rates["eval"])), resampled["eval"], float(np.mean(rates["dev"])), best)

    def add_costs(self, costs: pd.DataFrame) -> None:
        """Add what a backbone of each depth costs: parameters, macs, latency_ms."""
        for row in costs.to_dict("records"):
            for metric in ("parameters", "macs", "latency_ms"):
                figure = {"depth": int(row["depth"]), "split": "", "metric": metric, "value": float(row[metric])}
                self.append({"experiment": COSTS, **figure})

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a figure; what it does not say is missing."""
        self._rows.append({**EMPTY, **row})

    def _add(
        self, experiment: str, layer: int | None, seed: int | None, part: str, strength: float, interval: Interval
    ) -> None:
        row = {"experiment": experiment, "head": "linear", "layer": layer, "seed": seed, "split": part}
        self.append({**row, **asdict(interval), "strength": strength})

    def table(self) -> pd.DataFrame:
        """The tidy table, one row a figure; `layer`, `depth` and `seed` are missing where they mean nothing."""
        table = pd.DataFrame(self._rows).astype({"layer": "Int64", "depth": "Int64", "seed": "Int64"})
        return table.sort_values(["experiment", "head", "layer", "depth", "seed", "split"], kind="stable").reset_index(
            drop=True
        )
