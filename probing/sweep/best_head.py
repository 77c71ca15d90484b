"""The best of all heads and depths, as far as dev can tell, and what choosing it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probing.metrics import Interval, Resamples
from probing.targets.metrics import METRICS
from probing.targets.task import SPOOFING, Task

LEVEL = 0.05
Key = tuple[str, int]  # head and depth


@dataclass(frozen=True)
class BestHead:
    """The head and depth that are best on dev, of lowest EER; among equals the smallest depth.

    head, depth: which.
    n: of how many.
    dev: its dev EER, 0 to 1, mean over seeds as all figures of heads.
    metric: that stands for EER, see `probing.targets.metrics`.
    price: how much too good that is for having been chosen: over resamples of dev, the mean of the
        dev EER of what is chosen on a resample less its EER on that resample (optimism; Efron
        1983). Eval plays no role in the choice, so that the interval of its EER there stands.
    at_eval: its eval EER.
    better_than_chance: whether that is shown, one-sided at 5 %.
    """

    head: str
    depth: int
    n: int
    dev: float
    price: float
    at_eval: Interval
    better_than_chance: bool
    metric: str = "eer"

    def sentence(self, known: Key) -> str:
        """In words; `known` is the head and depth whose eval EER is given already."""
        if self.n == 1:
            return ""
        metric = METRICS[self.metric]
        highest, high = ("Highest", "high") if metric.higher_is_better else ("Lowest", "low")
        price = (
            f", about {metric.difference(self.price)} too {high} by the choice"
            if self.price >= 0.0005
            else ""
        )
        text = (
            f" {highest} dev {metric.called} of {self.n} heads and depths: {self.head} on layers "
            f"1..{self.depth}, {metric.text(self.dev)}{price}"
        )
        if (self.head, self.depth) == known:
            return text + "."
        chance = "" if self.better_than_chance else ", not shown to be better than chance"
        at_eval = metric.interval(self.at_eval.value, self.at_eval.low, self.at_eval.high)
        return f"{text}; eval {metric.called} {at_eval}{chance}."


def find_best(
    dev: Mapping[Key, float],
    dev_resampled: Mapping[Key, NDArray[np.float64]],
    evaluated: Mapping[Key, float],
    eval_resampled: Mapping[Key, NDArray[np.float64]],
    resamples: Resamples,
    task: Task = SPOOFING,
) -> BestHead:
    """Choose by the metric on dev.

    Args:
        dev: head and depth -> dev EER, or the metric of another task.
        dev_resampled: the same -> (R,) on resamples of dev, paired.
        evaluated: the same -> eval EER.
        eval_resampled: the same -> (R,) on resamples of eval.
        resamples: those of eval.
        task: what is read.
    """
    sign = task.metric.loss(1)
    keys = sorted(dev, key=lambda key: (sign * dev[key], key[1]))
    best = keys[0]
    resampled = sign * np.stack([dev_resampled[key] for key in keys])
    chosen = resampled.argmin(axis=0)
    true = sign * np.array([dev[key] for key in keys])[chosen]
    price = float((true - resampled.min(axis=0)).mean())
    at_eval = task.interval(evaluated[best], eval_resampled[best], resamples)
    worst = np.quantile(sign * eval_resampled[best], 1 - LEVEL)
    shown = bool(task.chance is None or worst < sign * task.chance)
    return BestHead(*best, len(keys), dev[best], price, at_eval, shown, task.metric.name)
