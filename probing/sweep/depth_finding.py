"""The finding on depth: how many layers are enough, at a known rate of error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from probing.metrics import Interval, Resamples, standard_error
from probing.sweep.best_head import BestHead
from probing.sweep.margin import Margin
from probing.targets.metrics import METRICS, Metric
from probing.targets.task import SPOOFING, Task

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class DepthFinding:
    """The smallest depth that is not worse than full depth.

    A depth is not worse if the upper end of the one-sided 95 % interval of its excess, on the same
    resamples, is below the margin: EER(depth) / EER(full) - 1 with a relative margin, EER(depth) -
    EER(full) with one in points; of a metric of which more is better, the excess is what is lost.
    Depths are tested from full - 1 downwards and the testing ends at the first that is not shown:
    in this fixed order every test keeps the full level, and the chance of calling any worse depth
    "not worse" is at most 5 % (fixed-sequence procedure; Maurer, Hothorn & Lehmacher 1995). Where
    full depth itself is not better than chance at the same level, there is nothing to compare and
    no depth is named.

    head: the one of lowest dev EER at full depth.
    depth: None where there is none.
    full: L.
    margin: relative, as 0.1, or points of EER, as `2pt`.
    at_depth, at_full: eval EER, 0 to 1.
    excess: EER(depth) - EER(full) with its two-sided interval.
    bound: the upper end that decided for `depth`: of the relative excess, or of EER(depth) -
        EER(full), as shares.
    reason: why there is no depth: `chance` (not shown to be better than it), `no-depth`, or empty.
    first: the depth tested first.
    first_excess, first_bound: its EER(first) - EER(full), and the upper end of its one-sided 95 %
        interval: what is not excluded.
    unit, fewest: of what there are fewest in a class, and how many.
    needed: how many would show a depth as good as all layers in four corpora of five; None where it
        cannot be told.
    saved: share of multiply-accumulates that the truncated backbone saves, where measured.
    best: of all heads and depths, as far as dev can tell.
    metric: that stands for EER, see `probing.targets.metrics`.

    >>> from probing.runs import Run
    >>> Run("results/demo.run").record.depth_finding.full
    4
    """

    backbone: str
    head: str
    depth: int | None
    full: int
    margin: float | str
    at_full: Interval
    at_depth: Interval | None
    excess: Interval | None
    reason: str
    saved: float | None = None
    bound: float | None = None
    first: int | None = None
    first_excess: float | None = None
    first_bound: float | None = None
    unit: str = "utterance"
    fewest: int = 0
    needed: int | None = None
    best: BestHead | None = None
    metric: str = "eer"

    def sentence(self) -> str:
        """The finding in words."""
        text = self._of_depth()
        return (
            text + self.best.sentence((self.head, self.depth or self.full)) if self.best else text
        )

    def _of_depth(self) -> str:
        margin = Margin.of(self.margin)
        metric = METRICS[self.metric]
        within = margin.in_words(metric.called)
        at_full = metric.interval(*_ends(self.at_full))
        full = f"{at_full} with all {self.full}"
        if self.reason == "chance":
            return (
                f"With all {self.full} layers the head chosen on dev, {self.head}, is not shown "
                f"to be better than chance: {metric.called} {at_full}."
            )
        if self.depth is None or self.at_depth is None or self.excess is None or self.bound is None:
            return (
                f"No smaller depth of {self.backbone} is shown to be as good as all {self.full} "
                f"layers within {within} ({self.head}: {metric.called} "
                f"{full}).{self._not_excluded(margin)}"
            )
        saved = (
            f", saving {100 * self.saved:.0f} % of the multiply-accumulates"
            if self.saved is not None
            else ""
        )
        return (
            f"The first {self.depth} of {self.full} layers of {self.backbone} are not worse than "
            f"all of them within {within} ({self.head}): {metric.called} "
            f"{metric.interval(*_ends(self.at_depth))} against {full}, "
            f"{self._difference(metric)}, at most "
            f"{margin.excess(self.bound)} (one-sided 95 %){saved}."
        )

    def _not_excluded(self, margin: Margin) -> str:
        if self.first is None or self.first_excess is None or self.first_bound is None:
            return ""
        metric = METRICS[self.metric]
        first, most, allowed = (
            metric.scale * value
            for value in (self.first_excess, self.first_bound, margin.allowed(self.at_full.value))
        )
        form = "+.1f" if metric.share else "+.3g"
        lost = " lost" if metric.higher_is_better else ""
        text = (
            " This does not say that more layers are needed: "
            f"{self.first} have {first:{form}} {metric.step}".rstrip()
            + f"{lost}, and up to {most:{form}} are not excluded (one-sided 95 %), where "
            f"{metric.number(allowed)} are allowed"
        )
        if self.needed is None:
            return text + "."
        return (
            f"{text}; if both were equally good, about {self.needed:,} {self.unit}s instead of "
            f"{self.fewest:,} (and as many times the rest) would show it in four corpora of five."
        )

    def _difference(self, metric: Metric) -> str:
        assert self.excess is not None
        value = metric.scale * self.excess.value
        if metric.higher_is_better:
            return f"loss {metric.number(value)} {metric.step}".rstrip()
        return f"difference {value:{'+.1f' if metric.share else '+.3g'}} {metric.step}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def find_depth(
    backbone: str,
    head: str,
    rates: Mapping[int, float],
    resampled: Mapping[int, NDArray[np.float64]],
    margin: float | str,
    resamples: Resamples,
    saved: Mapping[int, float] | None = None,
    task: Task = SPOOFING,
) -> DepthFinding:
    """Test depths from the deepest down; see `DepthFinding`.

    Args:
        backbone: its name.
        head: its name.
        rates: depth -> eval EER, or the metric of another task (mean over seeds).
        resampled: depth -> (R,) the same on paired resamples.
        margin: that a depth may be worse by: relative, as 0.1, or points of EER, as `2pt`.
        resamples: whose they are.
        saved: depth -> share of multiply-accumulates saved.
        task: what is read.
    """
    sign = task.metric.loss(1)
    full = max(rates)
    allowed = Margin.of(margin)
    found = None
    bound = None
    reason = ""
    if (
        task.chance is not None
        and np.quantile(sign * resampled[full], 1 - LEVEL) >= sign * task.chance
    ):
        reason = "chance"
    else:
        for depth in sorted(rates, reverse=True)[1:]:
            over = sign * (resampled[depth] - resampled[full]) - allowed.allowed(resampled[full])
            worse = sign * (rates[depth] - rates[full]) > allowed.allowed(rates[full])
            if worse or np.quantile(over, 1 - LEVEL) >= 0:
                break
            excess_of = allowed.of_excess(resampled[depth], resampled[full], sign)
            # without interpolation, as the excess over an EER of 0 is infinite
            found = depth
            bound = float(np.quantile(excess_of, 1 - LEVEL, method="inverted_cdf"))
        reason = "" if found else "no-depth"
    at = {
        depth: task.interval(rates[depth], resampled[depth], resamples)
        for depth in (found, full)
        if depth
    }
    excess = None
    if found:
        differences = sign * (resampled[found] - resampled[full])
        excess = task.difference(sign * (rates[found] - rates[full]), differences, resamples)
    first = max((depth for depth in rates if depth != full), default=None)
    return DepthFinding(
        backbone,
        head,
        depth=found,
        full=full,
        margin=margin,
        at_full=at[full],
        at_depth=at[found] if found else None,
        excess=excess,
        reason=reason,
        saved=saved.get(found) if saved and found else None,
        bound=bound,
        first=first,
        first_excess=None if first is None else sign * (rates[first] - rates[full]),
        first_bound=None
        if first is None
        else excess_bound(sign * resampled[first], sign * resampled[full]),
        unit=resamples.scarcest,
        fewest=resamples.fewest,
        needed=None
        if first is None
        else _needed(
            resampled[first],
            resampled[full],
            full=rates[full],
            margin=allowed,
            resamples=resamples,
            sign=sign,
        ),
        metric=task.metric.name,
    )


def excess_bound(resampled: NDArray[np.float64], resampled_full: NDArray[np.float64]) -> float:
    """Upper end of the one-sided 95 % interval of EER(depth) - EER(full).

    A larger excess is excluded. Of a metric of which more is better, give both with their sign
    turned.

    >>> excess_bound(np.full(100, 0.12), np.full(100, 0.1)).__round__(3)
    0.02
    """
    return float(np.quantile(resampled - resampled_full, 1 - LEVEL))


def clusters_needed(error: float, allowed: float, n: int) -> int | None:
    """How many clusters a class show that two equally good depths are, in four corpora of five.

    Args:
        error: standard error of the excess over what is allowed, from `n` clusters; it falls as one
            over their root.
        allowed: the margin, as a share.
        n: clusters a class.

    >>> clusters_needed(error=0.02, allowed=0.05, n=40)
    40
    """
    if not error or not allowed:
        return None
    return int(np.ceil(n * ((norm.ppf(1 - LEVEL) + norm.ppf(POWER)) * error / allowed) ** 2))


def _needed(
    resampled: NDArray[np.float64],
    resampled_full: NDArray[np.float64],
    full: float,
    margin: Margin,
    resamples: Resamples,
    sign: float,
) -> int | None:
    over = sign * (resampled - resampled_full) - margin.allowed(resampled_full)
    return clusters_needed(standard_error(over, resamples), margin.allowed(full), resamples.fewest)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
