"""The finding: the sentence a sweep is run for, and the figures behind it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.metrics import Interval, Resamples
from probing.sweep.experiments import CONTROL, LAYERS, TRIVIAL
from probing.targets.metrics import METRICS, Metric
from probing.targets.task import SPOOFING, Task

ENDS = ("value", "low", "high")


@dataclass(frozen=True)
class Finding:
    """Which layer a linear probe reads best, as far as dev can tell.

    layer: chosen on dev.
    last: number of the last layer.
    best, last_layer: the metric on eval of the two, as a share, in bits or as a number, see
        `metric`.
    difference: last minus best on the same resamples.
    trivial: the metric on eval of features that say nothing about speech.
    shuffled: its mean with shuffled labels.
    unit: what the bootstrap drew.
    drawn: the same with its numbers, and what a person should know of it.
    metric: see `probing.targets.metrics`; EER, 0 to 1, where the target is bona fide against spoof.
    target: what is read, of other targets.
    chance: what the metric is by chance; None where that is not known.
    others: further figures of the task at the layer, on eval.
    trials: what is counted: utterances, frames or segments.

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
            f"{METRICS[name].called} {self._text(interval, name)}"
            for name, interval in self.others.items()
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
    of_layer = intervals_by_layer(on_eval[on_eval["experiment"] == LAYERS])
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


def intervals_by_layer(rows: pd.DataFrame) -> dict[int, Interval]:
    """Layer -> the figure of its row, with its interval."""
    return {
        int(row.layer): Interval(float(row.value), float(row.low), float(row.high))
        for row in rows.itertuples()
    }
