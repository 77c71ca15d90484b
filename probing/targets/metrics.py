"""The figures of a target: what they are called, which way is better, what chance gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

BINARY = "binary"
CLASSES = "classes"
NUMBER = "number"


@dataclass(frozen=True)
class Metric:
    """A figure of a task.

    name: in tables.
    called: in sentences and on axes.
    task: binary, classes or number.
    higher_is_better: else lower is.
    share: from 0 to 1 and shown in per cent, so that differences are in points.
    unit: of others, `bits`; that of the target itself where it is empty and `lowest` is 0.
    lowest, highest: what it can be.
    chance: what a predictor that sees nothing gets; None where that depends on the trials. `one
        over M` has `1 / M`.
    """

    name: str
    called: str
    task: str
    higher_is_better: bool
    share: bool = False
    unit: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    chance: float | None = None
    one_over_m: bool = False

    @property
    def scale(self) -> float:
        """What values are multiplied by to be shown."""
        return 100.0 if self.share else 1.0

    @property
    def shown_unit(self) -> str:
        """Unit of what is shown."""
        return "%" if self.share else self.unit

    @property
    def axis(self) -> str:
        """The label of an axis: `EER (%)`.

        >>> METRICS["balanced_accuracy"].axis, METRICS["r2"].axis
        ('balanced accuracy (%)', 'R²')
        """
        return self.axis_of("")

    def axis_of(self, what: str) -> str:
        """The label of an axis with something after the name, as a split.

        >>> METRICS["eer"].axis_of(" on eval"), METRICS["r2"].axis_of(" by layer")
        ('EER on eval (%)', 'R² by layer')
        """
        return f"{self.called}{what}" + (f" ({self.shown_unit})" if self.shown_unit else "")

    def loss(self, value: float) -> float:
        """The value turned so that lower is better."""
        return -value if self.higher_is_better else value

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is better than the second."""
        return self.loss(first) < self.loss(second)

    def chance_of(self, n_classes: int) -> float | None:
        """What chance gives with so many classes; None where that depends on the trials."""
        return 1 / n_classes if self.one_over_m else self.chance

    def number(self, shown: float) -> str:
        """A value that is scaled for people already, without its unit; never a negative zero.

        >>> (
        ...     METRICS["eer"].number(12.54),
        ...     METRICS["eer"].number(-0.01),
        ...     METRICS["r2"].number(0.12345),
        ... )
        ('12.5', '0.0', '0.123')
        """
        return f"{shown:z.1f}" if self.share else f"{shown:z.3g}"

    def text(self, value: float) -> str:
        """A value for people.

        >>> METRICS["eer"].text(0.125), METRICS["v_information"].text(1.234)
        ('12.5 %', '1.23 bits')
        """
        return f"{self.number(self.scale * value)} {self.shown_unit}".rstrip()

    def interval(self, value: float, low: float, high: float) -> str:
        """A value with the ends of its interval for people.

        >>> METRICS["eer"].interval(0.125, 0.1, 0.151)
        '12.5 % [10.0, 15.1]'
        """
        ends = (self.number(self.scale * end) for end in (low, high))
        return f"{self.text(value)} [{', '.join(ends)}]"

    def difference(self, value: float) -> str:
        """A difference of two values for people, without its sign.

        >>> METRICS["eer"].difference(-0.021), METRICS["v_information"].difference(0.5)
        ('2.1 points', '0.5 bits')
        """
        return f"{self.number(self.scale * abs(value))} {self.step}".rstrip()

    @property
    def step(self) -> str:
        """What differences are counted in."""
        return "points" if self.share else self.unit


METRICS = {
    metric.name: metric
    for metric in (
        Metric("eer", "EER", BINARY, False, share=True, lowest=0, highest=1, chance=0.5),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            task=CLASSES,
            higher_is_better=True,
            share=True,
            lowest=0,
            highest=1,
            one_over_m=True,
        ),
        Metric(
            "macro_f1",
            "macro F1",
            task=CLASSES,
            higher_is_better=True,
            share=True,
            lowest=0,
            highest=1,
        ),
        Metric(
            "accuracy",
            "accuracy",
            task=CLASSES,
            higher_is_better=True,
            share=True,
            lowest=0,
            highest=1,
        ),
        Metric("cross_entropy", "cross-entropy", CLASSES, False, unit="bits", lowest=0),
        Metric("v_information", "V-information", CLASSES, True, unit="bits", chance=0.0),
        Metric("r2", "R²", NUMBER, True, highest=1, chance=0.0),
        Metric("spearman", "Spearman's rho", NUMBER, True, lowest=-1, highest=1, chance=0.0),
        Metric("concordance", "concordance", NUMBER, True, lowest=-1, highest=1, chance=0.0),
        Metric("mean_absolute_error", "mean absolute error", NUMBER, False, lowest=0),
    )
}
# task -> metric of the finding
DEFAULTS = {BINARY: "eer", CLASSES: "balanced_accuracy", NUMBER: "r2"}


def metrics_of(task: str) -> tuple[str, ...]:
    """Names of the metrics of a task, that of the finding by default first.

    >>> metrics_of("binary")
    ('eer',)
    """
    return tuple(name for name, metric in METRICS.items() if metric.task == task)
