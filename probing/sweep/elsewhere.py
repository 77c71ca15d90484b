"""Findings on what was not trained on: other corpora, and attacks left out of the training."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from probing.metrics import Interval
from probing.sweep.experiments import LAYERS, UNSEEN
from probing.sweep.finding import intervals_by_layer
from probing.targets.metrics import METRICS
from probing.targets.task import SPOOFING, Task


@dataclass(frozen=True)
class Elsewhere:
    """How the layer chosen on dev does on other corpora than the one of the finding.

    rates: corpus -> layer -> the metric on eval, of the layer chosen, the last one, and the best
    one there.
    """

    layer: int
    last: int
    rates: dict[str, dict[int, Interval]]
    metric: str = "eer"

    def sentence(self) -> str:
        """The figures in words."""
        metric = METRICS[self.metric]
        word = "highest" if metric.higher_is_better else "lowest"

        def text(interval: Interval) -> str:
            return metric.interval(interval.value, interval.low, interval.high)

        return " ".join(
            f"On {corpus}: layer {self.layer} {text(rates[self.layer])}, last "
            f"{text(rates[self.last])}, {word} {metric.text(rates[best[0]].value)} at "
            f"{_layers(best)}, picked there."
            for corpus, rates in self.rates.items()
            for best in [_lowest({layer: metric.loss(rate.value) for layer, rate in rates.items()})]
        )

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        rates = {
            corpus: {str(layer): asdict(rate) for layer, rate in of.items()}
            for corpus, of in self.rates.items()
        }
        return {"layer": self.layer, "last": self.last, "rates": rates, "sentence": self.sentence()}


@dataclass(frozen=True)
class UnseenFinding:
    """How the layers do on an attack they were not trained with.

    layer: chosen on dev.
    means: split and corpus -> layer -> mean over attacks of the EER on the attack left out, and of
        that of the probe trained on everything.
    attacks: split and corpus -> how many.
    """

    layer: int
    means: dict[str, dict[int, tuple[float, float]]]
    attacks: dict[str, int]

    def sentence(self) -> str:
        """The figures in words."""
        sentences = []
        for where, means in self.means.items():
            unseen, seen = means[self.layer]
            lowest = _lowest({layer: mean for layer, (mean, _) in means.items()})
            sentences.append(
                f"Attacks left out of the training, {where}: layer {self.layer} has a mean EER "
                f"of {100 * unseen:.1f} % over {self.attacks[where]} attacks, {100 * seen:.1f} % "
                "when trained with them; lowest "
                f"{100 * means[lowest[0]][0]:.1f} % at {_layers(lowest)}."
            )
        return " ".join(sentences)

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        means = {
            where: {
                str(layer): {"eer": unseen, "eer_seen": seen}
                for layer, (unseen, seen) in of.items()
            }
            for where, of in self.means.items()
        }
        return {
            "layer": self.layer,
            "means": means,
            "attacks": self.attacks,
            "sentence": self.sentence(),
        }


def find_elsewhere(
    table: pd.DataFrame, layer: int, last: int, corpora: Sequence[str], task: Task = SPOOFING
) -> Elsewhere | None:
    """The figures of other corpora; None where there are none."""
    metric = task.metric
    rows = table[
        (table["experiment"] == LAYERS)
        & (table["split"] == "eval")
        & (table["metric"] == metric.name)
    ]
    found = {}
    for corpus in corpora:
        of_layer = intervals_by_layer(rows[rows["corpus"] == corpus])
        best = min(of_layer, key=lambda k: metric.loss(of_layer[k].value))
        found[corpus] = {k: of_layer[k] for k in sorted({layer, last, best})}
    return Elsewhere(layer, last, found, metric.name) if found else None


def find_unseen(table: pd.DataFrame, layer: int) -> UnseenFinding:
    """The mean over attacks of the `unseen-attack` rows."""
    rows = table[table["experiment"] == UNSEEN]
    means: dict[str, dict[int, tuple[float, float]]] = {}
    attacks = {}
    for (split, corpus), part in rows.groupby(["split", "corpus"], sort=False):
        by = part.groupby(["layer", "metric"])["value"].mean().unstack()
        where = f"{split} of {corpus}"
        means[where] = {
            int(k): (float(row["eer"]), float(row["eer_seen"])) for k, row in by.iterrows()
        }
        attacks[where] = int(part["condition"].nunique())
    return UnseenFinding(layer, means, attacks)


def _lowest(losses: dict[int, float]) -> list[int]:
    """The layers of the least loss: all of them where several have the same."""
    least = min(losses.values())
    return [layer for layer, loss in losses.items() if loss == least]


def _layers(numbers: list[int]) -> str:
    """The layers in words.

    >>> _layers([3]), _layers([3, 5])
    ('layer 3', 'layers 3 and 5')
    """
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
