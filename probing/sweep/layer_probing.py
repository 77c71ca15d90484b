"""The probes of a sweep by layer: each with its controls, their figures and scores in the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from probing.audio import MEASURES
from probing.progress import progress_line
from probing.runs import RunWriter
from probing.sweep.conditions import ConditionFigures
from probing.sweep.dividing import rows_by_training
from probing.sweep.erasure import erase_layers
from probing.sweep.experiments import LAYERS, MLP, MLP_CONTROL, TRIVIAL
from probing.sweep.fitting import Probe, cross_validate, fit_probes
from probing.sweep.linear import probe_layers, sampled
from probing.sweep.localisation import add_localisation, localises
from probing.sweep.mlp_probes import probe_with_mlp
from probing.sweep.options import TRAINING
from probing.sweep.preparation import Prepared
from probing.sweep.refitting import Refits
from probing.sweep.results import Results
from probing.sweep.scores import add_scores
from probing.targets.aligned import FROM_CLIP
from probing.targets.metrics import BINARY, CLASSES, NUMBER

INPUTS = {
    False: "pooled mean and standard deviation, (2 * dim) features, not standardised",
    True: "one vector of dim features, a frame or the mean of several, not standardised",
}
_SCORES = {
    BINARY: "log odds of the positive class",
    CLASSES: "log odds of the classes at equal priors, but for a constant",
    NUMBER: "the number",
}


@dataclass
class LayerProbes:
    """What was trained by layer.

    of_layer: the linear probe, without its scores.
    dev_losses: layer -> its metric on dev turned so that lower is better, of each fold or once;
        empty if no heads are trained.
    boots: layer -> (R,) its EER on the first corpus.
    mlp_boots: likewise of MLP probes; empty if there are none.
    """

    of_layer: dict[int, Probe] = field(default_factory=dict)
    dev_losses: dict[int, list[float]] = field(default_factory=dict)
    boots: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    mlp_boots: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def rankings(self) -> list[list[int]]:
        """For each fold, or once, layers above 0, that of the best linear probe on dev first.

        Among equals the lowest comes first.
        """
        losses = self.dev_losses
        layers = [layer for layer in losses if layer > 0]
        return [
            sorted(layers, key=lambda layer: (losses[layer][i], layer))
            for i in range(len(losses[layers[0]]))
        ]


@dataclass(frozen=True)
class LayerProbing:
    """The probing of every layer.

    Args:
        data: what the sweep is about.
        results: to which figures are added.
        writer: of the run, to which scores and probes are added.
        device: where to solve.
        memory_gb: most memory for features.
        say: where to put what a person should know.
    """

    data: Prepared
    results: Results
    writer: RunWriter
    device: str
    memory_gb: float
    say: Callable[[str], None]

    def run(self) -> LayerProbes:
        """Train the probes of every layer with their controls; add figures and scores."""
        data = self.data
        found = LayerProbes()
        by_condition = self._by_condition()
        refits = self._refits()
        by_layer = probe_layers(
            data.splits,
            data.labellings,
            strengths=data.options.strengths,
            device=self.device,
            memory_gb=self.memory_gb,
            left_out=data.left_out.rows if data.left_out else None,
            max_units=data.options.target.max_units,
            controls=data.controls,
        )
        with progress_line("Probing", len(data.cache.layers), "layers") as line:
            for layer, probes, without in by_layer:
                shifts = refits.shifts(layer) if refits else None
                found.boots[layer] = self.results.add(LAYERS, layer, probes[0], shifts)
                self._add_controls(layer, probes)
                if by_condition is not None:
                    by_condition.add(layer, probes[0], without)
                self._add_scores(layer, probes[0])
                if data.trains_heads:
                    found.dev_losses[layer] = self._dev_losses(probes[0])
                found.of_layer[layer] = replace(probes[0], scores={})
                line.advance(1, f"layer {layer}")
            if by_condition is not None and by_condition.otherwise:
                self.say(by_condition.otherwise)
            if data.options.probe == "mlp":
                found.mlp_boots = self._add_mlp()
            self._add_trivial()
        return found

    def erase(self, probes: LayerProbes, chosen: int) -> None:
        """Add the probes of what is left of each layer, with intervals at the chosen layer."""
        options = self.data.options
        by_layer = erase_layers(
            self.data.splits,
            probes.of_layer,
            strengths=options.strengths,
            n_rounds=options.erase,
            seed=options.seed,
            device=self.device,
            memory_gb=self.memory_gb,
            max_units=options.target.max_units,
        )
        with progress_line("Erasing", len(probes.of_layer), "layers") as line:
            for layer, rounds in by_layer:
                for of_round in rounds:
                    add = partial(
                        self.results.add_erased,
                        layer,
                        removed=of_round.removed,
                        interval=layer == chosen,
                    )
                    add(of_round.probe, seed=None)
                    add(of_round.random, seed=options.seed)
                line.advance(1, f"layer {layer}")

    def store(self, probes: LayerProbes) -> None:
        """Write the linear probes of all layers into one file of the run."""
        task = self.data.task
        cache = self.data.cache
        tensors = {}
        for layer, probe in probes.of_layer.items():
            tensors[f"layer_{layer:02d}.weight"] = np.asarray(probe.weight)
            tensors[f"layer_{layer:02d}.bias"] = np.asarray(np.atleast_1d(probe.bias))
        about = {
            "head": "linear",
            "input": INPUTS[bool(self.data.splits["train"].unit)],
            "score": "log odds of bona fide" if task.is_spoofing else _SCORES[task.name],
            **({} if task.is_spoofing else {"target": task.as_dict()}),
            "cache": cache.id,
            "backbone": cache.about["backbone"],
            "strength": {str(layer): probe.strength for layer, probe in probes.of_layer.items()},
        }
        self.writer.add_heads("linear", tensors, about)

    def _by_condition(self) -> ConditionFigures | None:
        """The figures by condition, of spoofing only."""
        data = self.data
        if not data.task.is_spoofing:
            return None
        return ConditionFigures(
            self.results,
            data.splits,
            by_condition=data.conditions,
            left_out=data.left_out,
            resamples=data.options.resamples,
            seed=data.options.seed,
            interval_by=data.options.interval_by,
        )

    def _refits(self) -> Refits | None:
        """The refits on other speakers, if intervals include who was trained on."""
        options = self.data.options
        if TRAINING not in options.interval_includes:
            return None
        return Refits(
            self.data.splits,
            options.interval_by,
            strengths=options.strengths,
            seed=options.seed,
            device=self.device,
        )

    def _add_controls(self, layer: int, probes: Sequence[Probe]) -> None:
        """Add the figures of shuffled labels and of control tasks, which follow the true labels."""
        data = self.data
        seeds = data.options.control_seeds
        n_labellings = len(data.labellings)
        for seed, probe in zip(seeds, probes[1:n_labellings], strict=True):
            self.results.add_control(layer, seed, probe)
        if data.controls:
            controls = list(zip(probes[n_labellings:], data.controls, strict=True))
            self.results.add_control_tasks(layer, probes[0], seeds, controls)

    def _add_scores(self, layer: int, probe: Probe) -> None:
        """Add the scores of a layer, and how well they localise if trials lie in time."""
        splits = self.data.splits
        add_scores(splits, self.writer, f"linear-layer-{layer:02d}", probe.scores)
        if localises(splits["train"]) and splits["train"].folds is None:
            add_localisation(
                self.results,
                splits,
                probe.scores,
                head="linear",
                layer=layer,
                strength=probe.strength,
            )

    def _dev_losses(self, probe: Probe) -> list[float]:
        """The metric on dev turned so that lower is better, of each fold or once."""
        dev = self.data.splits["dev"]
        task = self.data.task
        return [
            task.metric.loss(task.value(dev.target[rows], probe.scores["dev"][rows]))
            for rows in rows_by_training(dev)
        ]

    def _add_mlp(self) -> dict[int, NDArray[np.float64]]:
        """Add the figures of MLP probes; gives layer -> (R,) their EER on the first corpus."""
        data = self.data
        boots: dict[int, NDArray[np.float64]] = {}
        by_layer = probe_with_mlp(data.cache, data.splits, data.labellings, self.device)
        with progress_line("MLP probes", len(data.cache.layers), "layers") as line:
            for layer, probes in by_layer:
                boots[layer] = self.results.add(MLP, layer, probes[0])
                for seed, probe in zip(data.options.control_seeds, probes[1:], strict=True):
                    self.results.add_control(layer, seed, probe, MLP_CONTROL)
                line.advance(1, f"layer {layer}")
        return boots

    def _add_trivial(self) -> None:
        """Add the probe of features that say nothing about speech."""
        data = self.data
        names = [*MEASURES, *(FROM_CLIP if data.splits["train"].unit else ())]
        features = {part: table[names].to_numpy(np.float64) for part, table in data.tables.items()}
        folds = data.splits["train"].folds
        fit = partial(
            fit_probes, strengths=data.options.strengths, device=self.device, task=data.task
        )
        if folds is not None:
            trivial = cross_validate(
                features["train"],
                folds,
                labellings=data.labellings[:1],
                strengths=data.options.strengths,
                device=self.device,
                task=data.task,
            )[0]
        elif data.splits["train"].unit:
            trivial = self._trivial_of_units(features, fit)
        else:
            trivial = fit(features, data.labellings[:1])[0]
        self.results.add(TRIVIAL, None, trivial)
        add_scores(data.splits, self.writer, TRIVIAL, trivial.scores)

    def _trivial_of_units(
        self, features: Mapping[str, NDArray[np.float64]], fit: Callable[..., list[Probe]]
    ) -> Probe:
        """The probe on trivial features of units, trained on no more units than those of layers."""
        splits = self.data.splits
        most = self.data.options.target.max_units
        rows = {part: sampled(splits[part], most).rows for part in ("train", "dev")}
        some = {part: features[part][chosen] for part, chosen in rows.items()}
        labels = {part: splits[part].target[chosen] for part, chosen in rows.items()}
        probe = fit(some, [labels])[0]
        scores = {
            part: probe.score(features[part], split)
            for part, split in splits.items()
            if part != "train"
        }
        return replace(probe, scores=scores)
