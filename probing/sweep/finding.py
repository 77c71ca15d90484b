"""The finding: the sentence a sweep is run for, and the figures behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.metrics import Interval, Resamples, difference_interval
from probing.sweep.mlp_probes import MLPFinding
from probing.sweep.results import CONTROL, LAYERS, MLP, MLP_CONTROL, TRIVIAL, UNSEEN
from probing.targets.metrics import METRICS, Metric
from probing.targets.task import SPOOFING, Task

ENDS = ("value", "low", "high")


@dataclass(frozen=True)
class Finding:
    """Which layer a linear probe reads best, as far as dev can tell.

    layer: chosen on dev. last: number of the last layer.
    best, last_layer: the metric on eval of the two, as a share, in bits or as a number, see
    `metric`. difference: last minus best on the same resamples. trivial: the metric on eval of
    features that say nothing about speech. shuffled: its mean with shuffled labels. unit: what the
    bootstrap drew. drawn: the same with its numbers, and what a person should know of it. metric:
    see `probing.targets.metrics`; EER, 0 to 1, where the target is bona fide against spoof. target:
    what is read, of other targets. chance: what the metric is by chance; None where that is not
    known. others: further figures of the task at the layer, on eval. trials: what is counted:
    utterances, frames or segments.

    >>> from probing.runs import Run
    >>> Run("results/demo.run").record.finding.last
    4
    """

    backbone: str
    random_weights: bool
    layer: int
    last: int
    best: Interval
    last_layer: Interval
    difference: Interval
    trivial: Interval
    shuffled: float
    n_eval: int
    unit: str
    drawn: str = ""
    metric: str = "eer"
    target: str = ""
    chance: float | None = 0.5
    others: Mapping[str, Interval] = field(default_factory=dict)
    trials: str = "utterances"

    def sentence(self) -> str:
        """The finding in words."""
        metric = METRICS[self.metric]
        of = f" of {self.target}" if self.target else ""
        figure = f"an eval {metric.called}{of} of {self._text(self.best)}"
        if self.last == 0:
            compared = (
                f"{self.backbone} has one layer: eval {metric.called}{of} {self._text(self.best)}."
            )
        elif self.layer == self.last:
            compared = (
                f"Chosen on dev: the last layer of {self.backbone}, {self.last}, with {figure}."
            )
        else:
            compared = (
                f"Chosen on dev: layer {self.layer} of {self.last} of {self.backbone}, with "
                f"{figure}; the last layer has "
                f"{self._text(self.last_layer)}, {self._difference()}."
            )
        others = "; ".join(
            f"{METRICS[name].called} {self._text(one, name)}" for name, one in self.others.items()
        )
        compared += f" There: {others}." if others else ""
        shuffled = (
            "" if np.isnan(self.shuffled) else f", shuffled labels {metric.text(self.shuffled)}"
        )
        controls = (
            f" For comparison: trivial features alone {self._text(self.trivial)}{shuffled}. "
            f"{self.n_eval} eval {self.trials}, 95 % intervals {self.drawn}."
        )
        if self.by_chance:
            compared += (
                " That is not shown to be better than chance; a linear probe of mean and "
                "deviation can miss what is there, which an MLP probe may find."
            )
        warning = (
            " The weights are random: this shows what the architecture gives without any learning."
        )
        return compared + controls + (warning if self.random_weights else "")

    @property
    def by_chance(self) -> bool:
        """Whether the layer is not shown to be better than chance."""
        if self.chance is None:
            return False
        metric = METRICS[self.metric]
        worst = self.best.low if metric.higher_is_better else self.best.high
        return not metric.better(worst, self.chance)

    def _text(self, value: Interval, name: str = "") -> str:
        return METRICS[name or self.metric].interval(value.value, value.low, value.high)

    def _difference(self) -> str:
        """How the last layer differs, with the interval."""
        sure = (
            "" if self.difference.low > 0 or self.difference.high < 0 else ", which may be chance"
        )
        return difference_in_words(METRICS[self.metric], self.difference) + sure

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def difference_in_words(metric: Metric, difference: Interval) -> str:
    """A paired difference with its interval, both of the sign that its word says.

    >>> difference_in_words(METRICS["eer"], Interval(-0.021, -0.05, 0.01))
    '2.1 points less [-1.0, 5.0]'
    """
    word = "more" if difference.value >= 0 else "less"
    sign = np.sign(difference.value or 1)
    low, high = sorted(sign * end for end in (difference.low, difference.high))
    ends = ", ".join(metric.number(metric.scale * end) for end in (low, high))
    return f"{metric.difference(difference.value)} {word} [{ends}]"


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

        def text(one: Interval) -> str:
            return metric.interval(one.value, one.low, one.high)

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

    layer: chosen on dev. means: split and corpus -> layer -> mean over attacks of the EER on the
    attack left out, and of that of the probe trained on everything. attacks: split and corpus ->
    how many.
    """

    layer: int
    means: dict[str, dict[int, tuple[float, float]]]
    attacks: dict[str, int]

    def sentence(self) -> str:
        """The figures in words."""
        said = []
        for where, means in self.means.items():
            unseen, seen = means[self.layer]
            lowest = _lowest({layer: mean for layer, (mean, _) in means.items()})
            said.append(
                f"Attacks left out of the training, {where}: layer {self.layer} has a mean EER "
                f"of {100 * unseen:.1f} % over {self.attacks[where]} attacks, {100 * seen:.1f} % "
                "when trained with them; lowest "
                f"{100 * means[lowest[0]][0]:.1f} % at {_layers(lowest)}."
            )
        return " ".join(said)

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


def find_layer(
    cache: Cache,
    table: pd.DataFrame,
    corpus: str,
    boots: Mapping[int, NDArray[np.float64]],
    resamples: Resamples,
    task: Task = SPOOFING,
    trials: str = "utterances",
) -> Finding:
    """The finding on one corpus.

    Args:
        cache: trained on.
        table: of the results.
        corpus: evaluated on.
        boots: layer -> (R,) the metric there on paired resamples.
        resamples: whose they are.
        task: what is read.
        trials: what is counted.
    """
    metric = task.metric
    figures = table[table["metric"] == metric.name]
    dev = figures[(figures["experiment"] == LAYERS) & (figures["split"] == "dev")]
    layer = int(dev.loc[_best_row(dev, metric), "layer"])
    last = cache.layers[-1]
    on_eval = figures[(figures["split"] == "eval") & (figures["corpus"] == corpus)]
    of_layer = _intervals(on_eval[on_eval["experiment"] == LAYERS])
    best = of_layer[layer]
    at_last = of_layer[last]
    trivial, control = (on_eval[on_eval["experiment"] == name] for name in (TRIVIAL, CONTROL))
    here = table[
        (table["experiment"] == LAYERS) & (table["split"] == "eval") & (table["corpus"] == corpus)
    ]
    here = here[here["layer"] == layer].set_index("metric")
    others = {
        name: Interval(*(float(here.at[name, end]) for end in ENDS)) for name in task.metrics[1:]
    }
    return Finding(
        backbone=cache.about["backbone"],
        random_weights=cache.about["random_weights"],
        layer=layer,
        last=last,
        best=best,
        last_layer=at_last,
        difference=task.difference(
            at_last.value - best.value, boots[last] - boots[layer], resamples
        ),
        trivial=Interval(*(float(trivial.iloc[0][name]) for name in ENDS)),
        shuffled=float(control["value"].mean()) if len(control) else float("nan"),
        n_eval=len(resamples.cluster),
        unit=resamples.unit,
        drawn=resamples.drawn,
        metric=metric.name,
        target=task.called,
        chance=task.chance,
        others=others,
        trials=trials,
    )


def _best_row(rows: pd.DataFrame, metric: Metric) -> Any:
    """Index of the row of the best value; among equals the first."""
    return rows["value"].idxmax() if metric.higher_is_better else rows["value"].idxmin()


def find_mlp(
    table: pd.DataFrame,
    corpus: str,
    boots: Mapping[int, NDArray[np.float64]],
    linear_boots: Mapping[int, NDArray[np.float64]],
    resamples: Resamples,
) -> MLPFinding:
    """The finding of MLP probes on one corpus; `boots` and `linear_boots` are layer -> (R,) on
    `resamples`.
    """
    rows = table[table["experiment"] == MLP]
    dev = rows[rows["split"] == "dev"]
    layer = int(dev.loc[dev["value"].idxmin(), "layer"])
    on_eval = table[(table["split"] == "eval") & (table["corpus"] == corpus)]
    rate, linear = (
        _intervals(on_eval[on_eval["experiment"] == name])[layer] for name in (MLP, LAYERS)
    )
    difference = difference_interval(
        linear.value - rate.value, linear_boots[layer] - boots[layer], resamples
    )
    control = on_eval[(on_eval["experiment"] == MLP_CONTROL) & (on_eval["layer"] == layer)]
    return MLPFinding(
        layer, rate, linear=linear, difference=difference, shuffled=float(control["value"].mean())
    )


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
        of_layer = _intervals(rows[rows["corpus"] == corpus])
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


def _intervals(rows: pd.DataFrame) -> dict[int, Interval]:
    return {
        int(row.layer): Interval(float(row.value), float(row.low), float(row.high))
        for row in rows.itertuples()
    }


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
