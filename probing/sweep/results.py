"""The results table of a sweep: one row a figure.

What is called EER below is the metric of the finding, if the target is another than bona fide
against spoof; the other figures of its task stand beside it under their names (see
`probing.targets.metrics`).

experiment: what was done, see below.
head, layer, depth, seed, strength: of what was measured; missing where they mean nothing.
split: `dev` or `eval`.
corpus: whose utterances these are. `eval` has one set of rows for each corpus evaluated on, that
    which the findings are about first; `Run.corpora` has their order and `Run.rows` those of one.
condition: `all`, or which trials: `attack=A07`, `codec=opus`, `attack=A07,codec=opus`,
    `label=spoof`; see `probing.runs.condition_names`.
metric: `eer` and others.
value, low, high: shares from 0 to 1, with the ends of the 95 % interval.

Experiments:

layer: a linear probe a layer.
shuffled-labels, trivial-features: its controls.
mlp, mlp-shuffled-labels: an MLP probe a layer and its control.
depth: heads on layers 1..k.
depth-excess: EER of a head on the first k layers less that of full depth, means over seeds, as
    `eer_excess`; `high` is the upper end of the one-sided 95 % interval: the excess that is not
    excluded. There is no `low`.
contribution: what each layer contributes to a head, see `probing.sweep.contributions`.
cost: parameters, multiply-accumulates and latency of a backbone of each depth.
layer-at-once: the metric of the linear probe of each layer on eval, with intervals that hold for
    all layers at once.
layer-excess: by how much it is worse than that of the layer chosen on dev, as `eer_excess`, paired,
    likewise.
by-condition: EER of the probe of each layer, trained on everything, on the trials of a condition as
    the official packages take them: of an attack its spoofs and every bona fide trial, of a codec
    the trials of both classes. Each column alone, and all columns together.
unseen-attack: `condition` names the attack that a probe a layer was trained and chosen without, and
    is measured on, with every bona fide trial of that split: `eer`; `eer_seen` is that of the probe
    trained on everything, on the same trials, and `eer_excess` the first less the second, paired.
    `split` is `dev` as well as `eval`, wherever there are spoofs of that attack.
by-class: of a target with classes, the `recall` of each layer, which has the class as condition.
localisation: of frames that are bona fide or spoofed, see `probing.sweep.localisation`.
erased: the figures of the probe of what is left of a layer after what probes read of it was
    removed, in so many dimensions in all as the condition says: `erased=5`. The metric of the
    finding has an interval at the layer chosen on dev.
erased-random: the same after as many random dimensions were removed (`seed`).
control-task: of units with types, the figures of a probe against the labels of a control task, see
    `probing.sweep.control_tasks`.
selectivity: by how much the probe of a layer is better at its task than at the control task, mean
    over seeds, as `balanced_accuracy_selectivity`; paired, on the same resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.metrics import ClassTrials, Interval, Resamples
from probing.runs.condition_names import condition_name
from probing.sweep.experiments import (
    BY_CLASS,
    CONTROL,
    CONTROL_TASK,
    COSTS,
    ERASED,
    ERASED_RANDOM,
    LAYERS,
    MLP,
    MLP_CONTROL,
    SELECTIVITY,
)
from probing.sweep.fitting import Probe
from probing.sweep.mlp_probes import MLPProbe
from probing.sweep.refitting import with_training
from probing.sweep.split import Split
from probing.targets.metrics import METRICS

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


class Results:
    """Collects rows of the results table, one a figure.

    Args:
        splits: utterances by part.
        resamples: part -> those behind its intervals.

    Attributes:
        parts: that have figures: all but `train`.
        task: what is read.
    """

    def __init__(self, splits: dict[str, Split], resamples: dict[str, Resamples]) -> None:
        self.splits = splits
        self.resamples = resamples
        self.task = splits["train"].task
        self.parts = [part for part in splits if part != "train"]
        self._rows: list[dict[str, Any]] = []

    def add(
        self,
        experiment: str,
        layer: int | None,
        probe: Probe | MLPProbe,
        shifts: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:
        """Add the figures of a probe on dev and eval with their intervals.

        Args:
            experiment: what was done.
            layer: of the probe; None if it is of no layer, as that on trivial features.
            probe: with scores of all parts.
            shifts: of `Refits`, if intervals include who was trained on.

        Returns:
            (R,) the metric on resamples of eval.
        """
        of_metric = {}
        for part in self.parts:
            trials = self.task.trials(self.splits[part].target, probe.scores[part])
            figures = trials.figures()
            resampled = trials.resampled(self.resamples[part])
            if shifts is not None:
                resampled["eer"] = with_training(resampled["eer"], shifts[part], self.splits[part])
            for name in self.task.metrics:
                interval = self.task.interval(
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
            of_metric[part] = resampled[self.task.metric.name]
            if isinstance(trials, ClassTrials) and experiment == LAYERS:
                self._add_classes(layer, part, trials)
        return of_metric["eval"]

    def _add_classes(self, layer: int | None, part: str, trials: ClassTrials) -> None:
        row = {
            "experiment": BY_CLASS,
            "head": "linear",
            "layer": layer,
            "metric": "recall",
            **self.columns_of(part),
        }
        for name, value in zip(self.task.classes, trials.recalls(), strict=True):
            if not np.isnan(value):
                self.append(
                    {
                        **row,
                        "condition": condition_name({self.task.target: name}),
                        "value": float(value),
                    }
                )

    def add_control(
        self, layer: int, seed: int, probe: Probe | MLPProbe, experiment: str = CONTROL
    ) -> None:
        """Add the figures of a probe that was trained on other labels, against the true ones."""
        for part in self.parts:
            figures = self.task.trials(self.splits[part].target, probe.scores[part]).figures()
            for name in self.task.metrics:
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
        """Add the figures of the probes of control tasks, one a seed, and the selectivity.

        Args:
            layer: their layer.
            probe: that of the task.
            seeds: of the control tasks.
            controls: probe of each, and the parts with its labels.
        """
        metric = self.task.metric
        for part in self.parts:
            resamples = self.resamples[part]
            of_task = self.task.trials(self.splits[part].target, probe.scores[part])
            values = []
            drawn = []
            for seed, (control, labelled) in zip(seeds, controls, strict=True):
                split = labelled[part]
                trials = split.task.trials(split.target, control.scores[part])
                figures = trials.figures()
                resampled = trials.resampled(resamples)
                for name in self.task.metrics:
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
            interval = self.task.difference(float(value), more, resamples)
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
        """Add the figures of a probe of what is left of a layer.

        Args:
            layer: of the probe.
            probe: with scores of all parts.
            removed: dimensions that were removed.
            seed: of random ones; None of those that probes read.
            interval: whether the metric of the finding has one.
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
        for part in self.parts:
            trials = self.task.trials(self.splits[part].target, probe.scores[part])
            figures = trials.figures()
            ends = {name: Interval(figures[name], np.nan, np.nan) for name in self.task.metrics}
            if interval:
                name = self.task.metric.name
                resampled = trials.resampled(self.resamples[part])[name]
                ends[name] = self.task.interval(figures[name], resampled, self.resamples[part])
            for name, figure in ends.items():
                self.append({**row, **self.columns_of(part), **asdict(figure), "metric": name})

    def values_by_layer(self) -> dict[int, float]:
        """Layer -> the metric of its linear probe on eval, of the first corpus."""
        of = {
            "experiment": LAYERS,
            "metric": self.task.metric.name,
            **self.columns_of("eval"),
        }
        return {row["layer"]: row["value"] for row in self._rows if of.items() <= row.items()}

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
            **self.columns_of(part),
        }
        self.append({**row, **asdict(interval), "metric": metric, "strength": strength})

    def columns_of(self, part: str) -> dict[str, str]:
        """What the columns `split` and `corpus` say of a part."""
        return {"split": self.splits[part].name, "corpus": self.splits[part].corpus}

    def table(self) -> pd.DataFrame:
        """The tidy table, one row a figure.

        `layer`, `depth` and `seed` are missing where they mean nothing.
        """
        table = pd.DataFrame(self._rows).astype(
            {"layer": "Int64", "depth": "Int64", "seed": "Int64"}
        )
        return table.sort_values(
            ["experiment", "head", "layer", "depth", "seed", "split"], kind="stable"
        ).reset_index(drop=True)
