"""Control tasks (Hewitt & Liang, EMNLP 2019): what a probe can learn by heart.

Every type, as a word, gets a label at random, drawn as often as the labels of training are, and
keeps it in all parts. Nothing in a layer is about such labels but which type it is; a probe that
reads them has learnt the types. Selectivity is the figure of the task less that of the control
task. A type that is not in training is read by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError
from probing.alignments.alignments import TYPE
from probing.metrics import Interval
from probing.sweep.experiments import CONTROL_TASK, LAYERS, SELECTIVITY
from probing.sweep.finding import ENDS, Finding
from probing.sweep.linear import sampled
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import BINARY, CLASSES, METRICS, NUMBER


def control_tasks(
    splits: dict[str, Split], column: str, seeds: Sequence[int], max_units: int
) -> list[dict[str, Split]]:
    """The same trials with the labels of a control task, one a seed.

    Args:
        splits: of units with TYPE; an empty one is a type as well.
        column: what types are called, for messages.
        seeds: one control task each.
        max_units: see `probe_layers`; every class is among those that are trained on.

    Raises:
        OptionError: fewer types in training than classes, or all types of a part have one of two
            labels.
    """
    codes, names = pd.factorize(
        pd.concat([split.table[TYPE] for split in splits.values()]), sort=True
    )
    ends = np.cumsum([len(split) for split in splits.values()])[:-1]
    of_part = dict(zip(splits, np.split(codes, ends), strict=True))
    train = splits["train"]
    in_training = np.unique(of_part["train"][sampled(train, max_units).rows])
    n_classes = 1 if train.task.name == NUMBER else len(train.task.classes)
    if len(in_training) < max(2, n_classes):
        raise OptionError(
            "control_type",
            column,
            f"training has {len(in_training)} values of it, and the control task of "
            f"{train.task.target} needs {max(2, n_classes)} or more. Expected a column with "
            "more, as word beside phones",
        )
    found = []
    for seed in seeds:
        labels = _labels(
            train,
            in_training,
            n_types=len(names),
            n_classes=n_classes,
            generator=np.random.default_rng([seed, 2]),
        )
        control = {
            part: replace(split, target=labels[of_part[part]]) for part, split in splits.items()
        }
        if train.task.name == BINARY:
            for part, split in control.items():
                if split.target.all() or not split.target.any():
                    raise OptionError(
                        "control_type",
                        column,
                        f"all its values in {part} got one of two labels. Expected more of them",
                    )
        if train.task.name == CLASSES:
            shares = np.bincount(control["train"].target, minlength=n_classes) / len(train)
            task = replace(train.task, prior=tuple(map(float, shares)))
            control = {part: replace(split, task=task) for part, split in control.items()}
        found.append(control)
    return found


def _labels(
    train: Split,
    in_training: NDArray[np.intp],
    n_types: int,
    n_classes: int,
    generator: np.random.Generator,
) -> NDArray[Any]:
    """A label (T,) for each type, drawn from those of training.

    Every class is that of some type in training.
    """
    labels = generator.choice(train.target, size=n_types)
    some = generator.permutation(in_training)
    if n_classes > 1:
        of_training = labels[some].astype(np.intp)
        absent = np.flatnonzero(np.bincount(of_training, minlength=n_classes) == 0)
        for label in absent:  # takes the place of one that several types have
            counts = np.bincount(of_training, minlength=n_classes)
            at = int(np.flatnonzero(counts[of_training] > 1)[0])
            of_training[at] = label
        labels[some] = of_training.astype(labels.dtype)
    return labels


@dataclass(frozen=True)
class ControlTaskFinding:
    """How selective the layers are.

    column: what types are called.
    layer: chosen on dev by the metric.
    value, control: the metric on eval of the task, and the mean over seeds of that of the control
        task, there.
    selectivity: by how much the first is better, paired.
    selective: the layer of highest selectivity on dev, with value, control and selectivity
        likewise.
    """

    column: str
    layer: int
    value: float
    control: float
    selectivity: Interval
    selective: int
    selective_value: float
    selective_control: float
    selective_selectivity: Interval
    n_seeds: int
    metric: str

    def sentence(self) -> str:
        """The finding in words."""
        metric = METRICS[self.metric]

        def in_words(control: float, more: Interval) -> str:
            sign = "-" if more.value < 0 else ""
            ends = ", ".join(metric.number(metric.scale * end) for end in (more.low, more.high))
            return (
                f"{metric.text(control)} on eval, selectivity "
                f"{sign}{metric.difference(more.value)} [{ends}]"
            )

        seeds = f"{self.n_seeds} seed{'s' if self.n_seeds > 1 else ''}"
        lead = (
            f"Control task, a fixed random label for each {self.column} ({seeds}): layer "
            f"{self.layer} has {in_words(self.control, self.selectivity)}"
        )
        if self.selective == self.layer:
            return f"{lead}, the highest on dev."
        return (
            f"{lead}; most selective on dev is layer {self.selective}, with "
            f"{metric.text(self.selective_value)}, and "
            f"{in_words(self.selective_control, self.selective_selectivity)}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def find_control_task(
    table: pd.DataFrame, finding: Finding, column: str, corpus: str
) -> ControlTaskFinding:
    """The finding on one corpus; `table` are the results."""
    metric = METRICS[finding.metric]
    rows = table[table["metric"] == metric.name]
    rows = rows[(rows["split"] != EVAL) | (rows["corpus"] == corpus)]
    own, control = (
        rows[rows["experiment"] == name].groupby(["split", "layer"])["value"].mean()
        for name in (LAYERS, CONTROL_TASK)
    )
    more = table[table["experiment"] == SELECTIVITY]
    more = more[(more["split"] != EVAL) | (more["corpus"] == corpus)].set_index(["split", "layer"])[
        list(ENDS)
    ]
    best = int(more.loc["dev", "value"].idxmax())
    n_seeds = int(rows.loc[rows["experiment"] == CONTROL_TASK, "seed"].nunique())

    def at(layer: int) -> tuple[float, float, Interval]:
        return (
            float(own[EVAL][layer]),
            float(control[EVAL][layer]),
            Interval(*map(float, more.loc[(EVAL, layer)])),
        )

    return ControlTaskFinding(
        column, finding.layer, *at(finding.layer), best, *at(best), n_seeds, metric.name
    )
