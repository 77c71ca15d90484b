"""The results table of a sweep: one row a figure.

What is called EER below is the metric of the finding where the target is another than bona fide
against spoof; the other figures of its task stand beside it under their names (see
`probing.targets.metrics`).

experiment      what was done: `layer` (a linear probe per layer), `shuffled-labels` and
`trivial-features` (controls),
                `depth` (heads on layers 1..k), `depth-excess`, `contribution`, `cost`,
                `layer-at-once` and `layer-excess` (what holds for all layers at once), and, where
                asked for, `by-condition`, `unseen-attack`, and `mlp` and `mlp-shuffled-labels` (an
                MLP probe per layer and its control); of frames that are bona fide or spoofed
                `localisation`; `erased` and `erased-random` (a probe of what is left of a layer);
                of units with types `control-task` (see `probing.sweep.control_tasks`), measured
                against the labels of that task, and `selectivity`; of a target with classes
                `by-class`, whose `recall` of each layer has the class as condition
head, layer, depth, seed, strength   of what was measured; missing where they mean nothing
split           `dev` or `eval`
corpus          whose utterances these are: of `eval` there is one set of rows for each corpus
evaluated on, that which
                the findings are about first; `Run.corpora` has their order and `Run.rows` those of
                one
condition       `all`, or which trials: `attack=A07`, `codec=opus`, `attack=A07,codec=opus`,
`label=spoof`; see
                `probing.runs.condition_names`
metric          `eer` and others; value, low, high: shares from 0 to 1 with the ends of the 95 %
interval

depth-excess: EER of a head on the first k layers less that of full depth, means over seeds, as
`eer_excess`; `high` is the upper end of the one-sided 95 % interval: the excess that is not
excluded. There is no `low`.

layer-at-once: the metric of the linear probe of each layer on eval, with intervals that hold for
all layers at once; layer-excess: by how much it is worse than that of the layer chosen on dev, as
`eer_excess`, paired, likewise.

by-condition: EER of the probe of each layer, trained on everything, on the trials of a condition as
the official packages take them: of an attack its spoofs and every bona fide trial, of a codec the
trials of both classes. Each column alone, and all columns together.

erased: the figures of the probe of what is left of a layer after what probes read of it was
removed, in so many dimensions in all as the condition says: `erased=5`; erased-random: the same
after as many random ones (`seed`). The metric of the finding has an interval at the layer chosen on
dev.

selectivity: by how much the probe of a layer is better at its task than at the control task, mean
over seeds, as `balanced_accuracy_selectivity`; paired, on the same resamples.

unseen-attack: `condition` names the attack that a probe per layer was trained and chosen without,
and is measured on, with every bona fide trial of that split: `eer`; `eer_seen` is that of the probe
trained on everything, on the same trials, and `eer_excess` the first less the second, paired.
`split` is `dev` as well as `eval`, wherever there are spoofs of that attack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.metrics import ClassTrials, Interval, Resamples, simultaneous_level
from probing.runs.condition_names import condition_name
from probing.sweep.depth_finding import excess_bound
from probing.sweep.depths import FittedHead
from probing.sweep.fitting import Probe
from probing.sweep.mlp_probes import MLPProbe
from probing.sweep.refitting import with_training
from probing.sweep.split import Split
from probing.targets.metrics import METRICS
from probing.targets.task import Task

LAYERS = "layer"
TRIVIAL = "trivial-features"
CONTROL = "shuffled-labels"
DEPTHS = "depth"
EXCESS = "depth-excess"
LAYER_EXCESS = "layer-excess"
AT_ONCE = "layer-at-once"
CONTRIBUTIONS = "contribution"
COSTS = "cost"
MLP = "mlp"
MLP_CONTROL = "mlp-shuffled-labels"
BY_CONDITION = "by-condition"
BY_CLASS = "by-class"
UNSEEN = "unseen-attack"
CONTROL_TASK = "control-task"
SELECTIVITY = "selectivity"
ERASED = "erased"
ERASED_RANDOM = "erased-random"
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

    rates: part -> mean of the metric. resampled: part -> (R,) the same on each resample. best: the
    best on dev.
    """

    rates: dict[str, float]
    resampled: dict[str, NDArray[np.float64]]
    best: FittedHead


class Results:
    """Collects rows of the results table, one a figure; `resamples` are those behind its intervals,
    by part.
    """

    def __init__(self, splits: dict[str, Split], resamples: dict[str, Resamples]) -> None:
        self._splits, self.resamples = splits, resamples
        self._task = splits["train"].task
        self._parts = [part for part in splits if part != "train"]
        self._rows: list[dict[str, Any]] = []

    def add(
        self,
        experiment: str,
        layer: int | None,
        probe: Probe | MLPProbe,
        shifts: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:
        """Add the figures of a probe on dev and eval with their intervals; returns the metric on
        resamples of eval.

        `shifts` are those of `Refits`, where intervals include who was trained on.
        """
        of_metric = {}
        for part in self._parts:
            trials = self._task.trials(self._splits[part].target, probe.scores[part])
            figures = trials.figures()
            resampled = trials.resampled(self.resamples[part])
            if shifts is not None:
                resampled["eer"] = with_training(resampled["eer"], shifts[part], self._splits[part])
            for name in self._task.metrics:
                interval = self._task.interval(
                    figures[name], resampled[name], self.resamples[part], METRICS[name]
                )
                self._add(
                    experiment,
                    layer,
                    seed=None,
                    part=part,
                    strength=probe.strength,
                    interval=interval,
                    metric=name,
                )
            of_metric[part] = resampled[self._task.metric.name]
            if isinstance(trials, ClassTrials) and experiment == LAYERS:
                self._add_classes(layer, part, trials)
        return of_metric["eval"]

    def _add_classes(self, layer: int | None, part: str, trials: ClassTrials) -> None:
        row = {
            "experiment": BY_CLASS,
            "head": "linear",
            "layer": layer,
            "metric": "recall",
            **self._of(part),
        }
        for name, value in zip(self._task.classes, trials.recalls(), strict=True):
            if not np.isnan(value):
                self.append(
                    {
                        **row,
                        "condition": condition_name({self._task.target: name}),
                        "value": float(value),
                    }
                )

    def add_control(
        self, layer: int, seed: int, probe: Probe | MLPProbe, experiment: str = CONTROL
    ) -> None:
        """Add the figures on dev and eval of a probe trained on other labels, against the true
        ones.
        """
        for part in self._parts:
            figures = self._task.trials(self._splits[part].target, probe.scores[part]).figures()
            for name in self._task.metrics:
                value = Interval(figures[name], np.nan, np.nan)
                self._add(
                    experiment,
                    layer,
                    seed=seed,
                    part=part,
                    strength=probe.strength,
                    interval=value,
                    metric=name,
                )

    def add_control_tasks(
        self,
        layer: int,
        probe: Probe,
        seeds: Sequence[int],
        controls: Sequence[tuple[Probe, Mapping[str, Split]]],
    ) -> None:
        """Add the figures of the probes of control tasks, one a seed, and the selectivity of the
        probe of the task.

        Args:
            layer: their layer.
            probe: that of the task.
            seeds: of the control tasks.
            controls: probe of each, and the parts with its labels.
        """
        metric = self._task.metric
        for part in self._parts:
            resamples = self.resamples[part]
            of_task = self._task.trials(self._splits[part].target, probe.scores[part])
            values, drawn = [], []
            for seed, (control, asked) in zip(seeds, controls, strict=True):
                split = asked[part]
                trials = split.task.trials(split.target, control.scores[part])
                figures, resampled = trials.figures(), trials.resampled(resamples)
                for name in self._task.metrics:
                    interval = split.task.interval(
                        figures[name], resampled[name], resamples, METRICS[name]
                    )
                    self._add(
                        CONTROL_TASK,
                        layer,
                        seed=seed,
                        part=part,
                        strength=control.strength,
                        interval=interval,
                        metric=name,
                    )
                values.append(figures[metric.name])
                drawn.append(resampled[metric.name])
            sign = metric.loss(1)
            value = sign * (np.mean(values) - of_task.figures()[metric.name])
            more = sign * (np.mean(drawn, axis=0) - of_task.resampled(resamples)[metric.name])
            interval = self._task.difference(float(value), more, resamples)
            self._add(
                SELECTIVITY,
                layer,
                seed=None,
                part=part,
                strength=probe.strength,
                interval=interval,
                metric=f"{metric.name}_{SELECTIVITY}",
            )

    def add_erased(
        self, layer: int, probe: Probe, removed: int, seed: int | None, *, interval: bool
    ) -> None:
        """Add the figures of a probe of what is left of a layer after so many dimensions were
        removed.

        `seed` is that of random ones; with `interval`, the metric of the finding has one.
        """
        experiment = ERASED if seed is None else ERASED_RANDOM
        row = {
            "experiment": experiment,
            "head": "linear",
            "layer": layer,
            "seed": seed,
            "strength": probe.strength,
        }
        row |= {"condition": condition_name({ERASED: str(removed)})}
        for part in self._parts:
            trials = self._task.trials(self._splits[part].target, probe.scores[part])
            figures = trials.figures()
            ends = {name: Interval(figures[name], np.nan, np.nan) for name in self._task.metrics}
            if interval:
                name = self._task.metric.name
                resampled = trials.resampled(self.resamples[part])[name]
                ends[name] = self._task.interval(figures[name], resampled, self.resamples[part])
            for name, one in ends.items():
                self.append({**row, **self._of(part), **asdict(one), "metric": name})

    def add_depth(self, members: Sequence[FittedHead]) -> DepthFigures:
        """Add a head at a depth: its metric by seed, and their mean with its interval."""
        model = members[0].model
        row = {"experiment": DEPTHS, "head": model.head, "depth": model.depth}
        task = self._task
        values = {}
        resampled = {}
        for part in self._parts:
            target = self._splits[part].target
            row = {**row, **self._of(part), "metric": task.metric.name}
            values[part] = [task.value(target, member.scores[part]) for member in members]
            of_seeds = [
                task.resampled(target, member.scores[part], self.resamples[part])
                for member in members
            ]
            resampled[part] = np.mean(of_seeds, axis=0)
            for member, value in zip(members, values[part], strict=True):
                strength = member.model.weight_decay
                self.append(
                    {**row, "seed": member.model.seed, "value": value, "strength": strength}
                )
            interval = task.interval(
                float(np.mean(values[part])), resampled[part], self.resamples[part]
            )
            self.append({**row, **asdict(interval)})
        best = members[int(np.argmin([task.metric.loss(value) for value in values["dev"]]))]
        return DepthFigures(
            {part: float(np.mean(of)) for part, of in values.items()}, resampled, best
        )

    def add_excess(
        self, head: str, depth: int, at_depth: DepthFigures, at_full: DepthFigures
    ) -> None:
        """Add by how much a head is worse at a depth than at full depth, with what is
        not excluded.
        """
        for part in self._parts:
            sign = self._task.metric.loss(1)
            value = sign * (at_depth.rates[part] - at_full.rates[part])
            most = excess_bound(sign * at_depth.resampled[part], sign * at_full.resampled[part])
            metric = f"{self._task.metric.name}_excess"
            row = {
                "experiment": EXCESS,
                "head": head,
                "depth": depth,
                "metric": metric,
                **self._of(part),
            }
            self.append({**row, "value": value, "high": most})

    def add_layers_at_once(self, chosen: int, resampled: Mapping[int, NDArray[np.float64]]) -> None:
        """Add what holds for all layers at once on eval: each layer's interval, and by how much it
        is worse than one.

        The excess over the layer chosen on dev is paired, positive where the layer is worse.

        Args:
            chosen: that layer.
            resampled: layer -> (R,) the metric of its linear probe on resamples of eval.
        """
        task = self._task
        drawn = self.resamples["eval"]
        rows = {row["layer"]: row["value"] for row in self._rows if self._is_finding(row)}
        sign = task.metric.loss(1)
        layers = list(resampled)
        values = np.stack([resampled[layer] for layer in layers])
        level = simultaneous_level(values)
        others = [layer for layer in layers if layer != chosen]
        excess = {layer: sign * (resampled[layer] - resampled[chosen]) for layer in others}
        excess_level = (
            simultaneous_level(np.stack([excess[layer] for layer in others])) if others else level
        )
        for layer, of_layer in zip(layers, values, strict=True):
            of = {"head": "linear", "layer": layer, **self._of("eval")}
            interval = task.interval(rows[layer], of_layer, drawn, level=level)
            self.append(
                {"experiment": AT_ONCE, **of, "metric": task.metric.name, **asdict(interval)}
            )
            if layer != chosen:
                value = sign * (rows[layer] - rows[chosen])
                difference = task.difference(value, excess[layer], drawn, excess_level)
                metric = f"{task.metric.name}_excess"
                self.append(
                    {"experiment": LAYER_EXCESS, **of, "metric": metric, **asdict(difference)}
                )

    def _is_finding(self, row: Mapping[str, Any]) -> bool:
        of = self._of("eval")
        return (
            row["experiment"] == LAYERS
            and row["metric"] == self._task.metric.name
            and of.items() <= row.items()
        )

    @property
    def task(self) -> Task:
        """What is read."""
        return self._task

    def add_costs(self, costs: pd.DataFrame) -> None:
        """Add what a backbone of each depth costs: parameters, macs, latency_ms."""
        for row in costs.to_dict("records"):
            for metric in ("parameters", "macs", "latency_ms"):
                figure = {
                    "depth": int(row["depth"]),
                    "split": "",
                    "metric": metric,
                    "value": float(row[metric]),
                }
                self.append({"experiment": COSTS, **figure})

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a figure; what it does not say is missing."""
        self._rows.append({**EMPTY, **row})

    def _add(
        self,
        experiment: str,
        layer: int | None,
        seed: int | None,
        part: str,
        strength: float,
        interval: Interval,
        metric: str,
    ) -> None:
        head = "mlp" if experiment in (MLP, MLP_CONTROL) else "linear"
        row = {
            "experiment": experiment,
            "head": head,
            "layer": layer,
            "seed": seed,
            **self._of(part),
        }
        self.append({**row, **asdict(interval), "metric": metric, "strength": strength})

    def _of(self, part: str) -> dict[str, str]:
        return {"split": self._splits[part].name, "corpus": self._splits[part].corpus}

    def table(self) -> pd.DataFrame:
        """The tidy table, one row a figure; `layer`, `depth` and `seed` are missing where they mean
        nothing.
        """
        table = pd.DataFrame(self._rows).astype(
            {"layer": "Int64", "depth": "Int64", "seed": "Int64"}
        )
        return table.sort_values(
            ["experiment", "head", "layer", "depth", "seed", "split"], kind="stable"
        ).reset_index(drop=True)
