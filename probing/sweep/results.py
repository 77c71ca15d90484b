"""The results table of a sweep: one row a figure.

experiment      what was done: `layer` (a linear probe per layer), `shuffled-labels` and `trivial-features` (controls),
                `depth` (heads on layers 1..k), `depth-excess`, `contribution`, `cost`, and, where asked for,
                `by-condition`, `unseen-attack`, and `mlp` and `mlp-shuffled-labels` (an MLP probe per layer and its
                control)
head, layer, depth, seed, strength   of what was measured; missing where they mean nothing
split           `dev` or `eval`
corpus          whose utterances these are: of `eval` there is one set of rows for each corpus evaluated on, that which
                the findings are about first; `Run.corpora` has their order and `Run.rows` those of one
condition       `all`, or which trials: `attack=A07`, `codec=opus`, `attack=A07,codec=opus`, `label=spoof`; see
                `probing.runs.condition_names`
metric          `eer` and others; value, low, high: shares from 0 to 1 with the ends of the 95 % interval

depth-excess: EER of a head on the first k layers less that of full depth, means over seeds, as `eer_excess`; `high` is
the upper end of the one-sided 95 % interval: the excess that is not excluded. There is no `low`.

by-condition: EER of the probe of each layer, trained on everything, on the trials of a condition as the official
packages take them: of an attack its spoofs and every bona fide trial, of a codec the trials of both classes. Each
column alone, and all columns together.

unseen-attack: `condition` names the attack that a probe per layer was trained and chosen without, and is measured on,
with every bona fide trial of that split: `eer`; `eer_seen` is that of the probe trained on everything, on the same
trials, and `eer_excess` the first less the second, paired. `split` is `dev` as well as `eval`, wherever there are
spoofs of that attack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.metrics import Interval, Resamples, eer, eer_resamples, rate_interval
from probing.sweep.depth_finding import excess_bound
from probing.sweep.depths import FittedHead
from probing.sweep.linear import Probe
from probing.sweep.mlp_probes import MLPProbe
from probing.sweep.refitting import with_training
from probing.sweep.splits import Split

LAYERS = "layer"
TRIVIAL = "trivial-features"
CONTROL = "shuffled-labels"
DEPTHS = "depth"
EXCESS = "depth-excess"
CONTRIBUTIONS = "contribution"
COSTS = "cost"
MLP = "mlp"
MLP_CONTROL = "mlp-shuffled-labels"
BY_CONDITION = "by-condition"
UNSEEN = "unseen-attack"
EMPTY: dict[str, Any] = {
    "experiment": "",
    "head": "",
    "layer": None,
    "depth": None,
    "seed": None,
    "split": "eval",
    "corpus": "",
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

    rates: part -> mean EER. resampled: part -> (R,) mean EER of each resample. best: lowest dev EER.
    """

    rates: dict[str, float]
    resampled: dict[str, NDArray[np.float64]]
    best: FittedHead


class Results:
    """Collects rows of the results table, one a figure; `resamples` are those behind its intervals, by part."""

    def __init__(self, splits: dict[str, Split], resamples: dict[str, Resamples]) -> None:
        self._splits, self.resamples = splits, resamples
        self._parts = [part for part in splits if part != "train"]
        self._rows: list[dict[str, Any]] = []

    def add(
        self,
        experiment: str,
        layer: int | None,
        probe: Probe | MLPProbe,
        shifts: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:
        """Add the dev and eval EER of a probe with their intervals; returns the resampled EER on the first corpus.

        `shifts` are those of `Refits`, where intervals include who was trained on.
        """
        resampled = {}
        for part in self._parts:
            bonafide = self._splits[part].bonafide
            scores = probe.scores[part]
            resampled[part] = eer_resamples(bonafide, scores, self.resamples[part])
            if shifts is not None:
                resampled[part] = with_training(resampled[part], shifts[part], self._splits[part])
            interval = rate_interval(eer(bonafide, scores), resampled[part], self.resamples[part])
            self._add(experiment, layer, None, part, probe.strength, interval)
        return resampled["eval"]

    def add_control(self, layer: int, seed: int, probe: Probe | MLPProbe, experiment: str = CONTROL) -> None:
        """Add the dev and eval EER, against the true labels, of a probe trained on shuffled ones."""
        for part in self._parts:
            value = eer(self._splits[part].bonafide, probe.scores[part])
            self._add(experiment, layer, seed, part, probe.strength, Interval(value, np.nan, np.nan))

    def add_depth(self, members: Sequence[FittedHead]) -> DepthFigures:
        """Add a head at a depth: its EER by seed, and their mean with its interval."""
        model = members[0].model
        row = {"experiment": DEPTHS, "head": model.head, "depth": model.depth}
        rates = {}
        resampled = {}
        for part in self._parts:
            bonafide = self._splits[part].bonafide
            row = {**row, **self._of(part)}
            rates[part] = [eer(bonafide, member.scores[part]) for member in members]
            of_seeds = [eer_resamples(bonafide, member.scores[part], self.resamples[part]) for member in members]
            resampled[part] = np.mean(of_seeds, axis=0)
            for member, rate in zip(members, rates[part], strict=True):
                strength = member.model.weight_decay
                self.append({**row, "seed": member.model.seed, "value": rate, "strength": strength})
            interval = rate_interval(float(np.mean(rates[part])), resampled[part], self.resamples[part])
            self.append({**row, **asdict(interval)})
        best = members[int(np.argmin(rates["dev"]))]
        return DepthFigures({part: float(np.mean(of)) for part, of in rates.items()}, resampled, best)

    def add_excess(self, head: str, depth: int, at_depth: DepthFigures, at_full: DepthFigures) -> None:
        """Add by how much a head is worse at a depth than at full depth, with what is not excluded."""
        for part in self._parts:
            value = at_depth.rates[part] - at_full.rates[part]
            most = excess_bound(at_depth.resampled[part], at_full.resampled[part])
            row = {"experiment": EXCESS, "head": head, "depth": depth, "metric": "eer_excess", **self._of(part)}
            self.append({**row, "value": value, "high": most})

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
        head = "mlp" if experiment in (MLP, MLP_CONTROL) else "linear"
        row = {"experiment": experiment, "head": head, "layer": layer, "seed": seed, **self._of(part)}
        self.append({**row, **asdict(interval), "strength": strength})

    def _of(self, part: str) -> dict[str, str]:
        return {"split": self._splits[part].name, "corpus": self._splits[part].corpus}

    def table(self) -> pd.DataFrame:
        """The tidy table, one row a figure; `layer`, `depth` and `seed` are missing where they mean nothing."""
        table = pd.DataFrame(self._rows).astype({"layer": "Int64", "depth": "Int64", "seed": "Int64"})
        return table.sort_values(["experiment", "head", "layer", "depth", "seed", "split"], kind="stable").reset_index(
            drop=True
        )
