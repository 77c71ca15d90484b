"""Erasure: what is left in a layer without the subspace that a probe reads, or a random one.

Every round removes what the probe of the round before reads from the standardised training features
(see `probing.probes.erasure`), chooses the strength on dev again, and is scored on dev and eval.
The weights of a probe of what is left lie in what is left, so that they score features as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from probing.metrics import Interval
from probing.probes.erasure import erase, new_directions, random_directions
from probing.probes.scaling import Scaling
from probing.runs.condition_names import n_removed
from probing.sweep.experiments import ERASED, ERASED_RANDOM
from probing.sweep.finding import ENDS, Finding
from probing.sweep.fitting import Labelling, Probe, best_on_dev, product_dtype, solve_standardised
from probing.sweep.linear import add_scores, beside, features_of, sampled, working_bytes
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import METRICS
from probing.targets.task import Task

TOLERANCE = 1e-9  # of directions, whose weights are the smaller the less is left
MOST_SCORES = 400  # of a trial at once


@dataclass(frozen=True)
class Round:
    """A probe of a layer without `removed` dimensions, and one without as many random ones."""

    removed: int
    probe: Probe
    random: Probe


def erase_layers(
    splits: dict[str, Split],
    probes: Mapping[int, Probe],
    strengths: Sequence[float],
    n_rounds: int,
    seed: int,
    device: str = "cpu",
    memory_gb: float = 2.0,
    max_units: int = 50_000,
) -> Iterator[tuple[int, list[Round]]]:
    """Erase what the probe of each layer reads, probe again, and so on; layers in parallel.

    Args:
        splits: part -> utterances or units, of one division.
        probes: layer -> the probe that was trained on all of it.
        strengths: values of C.
        n_rounds: how often; fewer where nothing is left.
        seed: of the random dimensions.
        device: where to solve.
        memory_gb: most memory for features; one layer is always taken.
        max_units: see `probe_layers`.

    Yields:
        Layers in order, each with its rounds, with scores of all parts but `train`.
    """
    task = splits["train"].task
    fitted_on = {part: sampled(splits[part], max_units) for part in ("train", "dev")}
    labels = {part: splits[part].target[sample.rows] for part, sample in fitted_on.items()}
    scored = {part: split for part, split in splits.items() if part != "train"}
    n_train, n_dev = (len(sample.rows) for sample in fitted_on.values())
    n_scored = sum(map(len, scored.values()))
    needed = (
        working_bytes(n_train, n_train + n_dev, splits["train"].width, 4) + 32 * n_rounds * n_scored
    )

    def of_layer(layer: int) -> tuple[int, list[Round]]:
        features = {
            part: features_of(splits[part], layer, sample.table)
            for part, sample in fitted_on.items()
        }
        found = erase_and_probe(
            features,
            labels,
            probe=probes[layer],
            strengths=strengths,
            n_rounds=n_rounds,
            seed=seed,
            task=task,
            device=device,
        )
        del features
        every = [probe for erased in found for probe in (erased.probe, erased.random)]
        at_once = max(1, MOST_SCORES // max(1, len(task.classes)))
        for first in range(0, len(every), at_once):
            for part, split in scored.items():
                add_scores(
                    layer, every[first : first + at_once], part=part, split=split, device=device
                )
        return layer, found

    at_once = 1 if torch.device(device).type != "cpu" else int(memory_gb * 1e9 / needed)
    yield from beside(of_layer, sorted(probes), at_once)


def erase_and_probe(
    features: dict[str, NDArray[Any]],
    labels: Labelling,
    probe: Probe,
    strengths: Sequence[float],
    n_rounds: int,
    seed: int,
    task: Task,
    device: str = "cpu",
) -> list[Round]:
    """The rounds of one layer, without scores.

    Args:
        features: `train` and `dev` -> (N, P) as they are.
        labels: the same parts -> (N,).
        probe: that of the first round, trained on these features, whose subspace is the first to
            go.
        strengths: values of C.
        n_rounds: how often.
        seed: of the random dimensions.
        task: what is read.
        device: where to solve.

    >>> from probing.sweep.fitting import fit_probes
    >>> from probing.targets.task import SPOOFING
    >>> y = np.arange(200) % 2 == 0
    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> x[:, 0] += 4 * y  # one dimension has the classes
    >>> features = {"train": x, "dev": x}
    >>> labels = {"train": y, "dev": y}
    >>> (probe,) = fit_probes(features, [labels], [1.0])
    >>> (found,) = erase_and_probe(
    ...     features, labels, probe=probe, strengths=[1.0], n_rounds=1, seed=0, task=SPOOFING
    ... )
    >>> rates = [
    ...     SPOOFING.value(y, x @ kind.weight + kind.bias) for kind in (found.probe, found.random)
    ... ]
    >>> found.removed, rates[0] > 0.4, rates[1] < 0.1
    (1, True, True)
    """
    strengths = sorted(strengths)
    train = torch.from_numpy(features["train"]).to(device)[None]
    targets = torch.from_numpy(labels["train"]).to(device)[None]
    dtype = product_dtype(task, train)
    scaling = Scaling.of(train, dtype)
    p = train.shape[-1]

    def probe_again(z: torch.Tensor, removed: torch.Tensor) -> Probe:
        solution = solve_standardised(
            task, z, targets=targets, strengths=strengths, tolerance=TOLERANCE
        )
        weight = solution.weight - (solution.weight @ removed.T) @ removed
        weight, bias = scaling.fold(weight, solution.bias)
        chosen = best_on_dev(
            {"dev": features["dev"]},
            [labels],
            weight=weight[0],
            bias=bias[0],
            strengths=strengths,
            task=task,
        )[0]
        return replace(chosen, scores={})  # of many classes and rounds too many to be kept

    def reads(probe: Probe, removed: torch.Tensor) -> torch.Tensor:
        return new_directions(
            torch.from_numpy(probe.weight).to(device) * scaling.scale[0, 0], removed
        )

    z = scaling.apply(train, dtype)
    removed = torch.zeros(0, p, dtype=torch.float64, device=z.device)
    found: list[Probe] = []
    sizes: list[int] = []
    while len(found) < n_rounds:
        more = reads(found[-1] if found else probe, removed)
        if not len(more) or len(removed) + len(more) == p:
            break
        removed = torch.cat([removed, more])
        erase(z[0], more)
        found.append(probe_again(z, removed))
        sizes.append(len(removed))
    if not found:
        return []
    del z  # of which there is memory for one
    z = scaling.apply(train, dtype)
    drawn = random_directions(sizes[-1], p, seed).to(z.device)
    rounds = []
    for begin, end, after in zip([0, *sizes[:-1]], sizes, found, strict=True):
        erase(z[0], drawn[begin:end])
        rounds.append(Round(end, after, probe_again(z, drawn[:end])))
    return rounds


@dataclass(frozen=True)
class ErasureFinding:
    """How many dimensions have to be removed at the layer chosen on dev until it is at chance.

    layer: chosen on dev.
    width: its dimensions.
    before: the metric on eval with all of them.
    removed: dimensions that were removed, one number a round.
    erased, random: the metric on eval after that.
    level: what chance gives, or shuffled labels where that is not known; None where neither is.
    """

    layer: int
    width: int
    before: Interval
    removed: tuple[int, ...]
    erased: tuple[Interval, ...]
    random: tuple[Interval, ...]
    metric: str = "eer"
    target: str = ""
    level: float | None = 0.5

    @property
    def at_chance(self) -> int | None:
        """How many have to be removed until the layer is not shown to be better than chance.

        None if it is better than chance after all rounds; 0 if it is not shown to be better to
        begin with.
        """
        if self.level is None:
            return None
        metric = METRICS[self.metric]
        for n, interval in zip((0, *self.removed), (self.before, *self.erased), strict=True):
            if not metric.better(
                interval.low if metric.higher_is_better else interval.high, self.level
            ):
                return n
        return None

    def sentence(self) -> str:
        """The finding in words."""
        metric = METRICS[self.metric]
        figure = f"eval {metric.called}" + (f" of {self.target}" if self.target else "")
        n = self.at_chance
        if n == 0:
            return (
                f"Erasure: layer {self.layer} is not shown to be better "
                "than chance, so there is nothing to erase."
            )
        if not self.removed:
            return (
                f"Erasure: layer {self.layer} has {self.width} dimensions, and its probe reads "
                "all of them: nothing is left to probe."
            )
        i = len(self.removed) - 1 if n is None else self.removed.index(n)
        removed = self.removed[i]
        after, random = (
            metric.interval(interval.value, interval.low, interval.high)
            for interval in (self.erased[i], self.random[i])
        )
        many = f"{removed} of {self.width} dimensions"
        beside = (
            f"(with all {metric.text(self.before.value)}, without as many random ones {random})"
        )
        if n is None:
            chance = "" if self.level is None else f", still better than {self._level}"
            end = f"layer {self.layer} has an {figure} of {after}{chance}"
        else:
            end = (
                f"layer {self.layer} is not shown to be better than "
                f"{self._level}, with an {figure} of {after}"
            )
        return f"Erasure: without {many} that probes read, {end} {beside}."

    @property
    def _level(self) -> str:
        assert self.level is not None
        return f"chance ({METRICS[self.metric].text(self.level)})"

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "at_chance": self.at_chance, "sentence": self.sentence()}


def find_erasure(table: pd.DataFrame, finding: Finding, width: int, corpus: str) -> ErasureFinding:
    """The finding on one corpus, at the layer of the finding on layers; `table` are the results."""
    rows = table[(table["layer"] == finding.layer) & (table["metric"] == finding.metric)]
    rows = rows[(rows["split"] == EVAL) & (rows["corpus"] == corpus)]
    erased, random = (
        _by_removed(rows[rows["experiment"] == name]) for name in (ERASED, ERASED_RANDOM)
    )
    level = finding.chance if finding.chance is not None else finding.shuffled
    return ErasureFinding(
        finding.layer,
        width,
        before=finding.best,
        removed=tuple(erased),
        erased=tuple(erased.values()),
        random=tuple(random[n] for n in erased),
        metric=finding.metric,
        target=finding.target,
        level=None if level is None or np.isnan(level) else level,
    )


def _by_removed(rows: pd.DataFrame) -> dict[int, Interval]:
    """Number of dimensions removed -> the figure, ascending."""
    numbers = [n_removed(condition) for condition in rows["condition"]]
    ends = rows[list(ENDS)].to_numpy(np.float64)
    return {
        n: Interval(*map(float, of))
        for n, of in sorted(zip(numbers, ends, strict=True), key=lambda row: row[0])
    }
