"""The finding on depth: how many layers are enough, with the error rate of the answer under control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from probing.metrics import Interval, Resamples, difference_interval, rate_interval, standard_error
from probing.sweep.best_head import BestHead
from probing.sweep.margin import Margin

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class DepthFinding:
    """The smallest depth that is not worse than full depth.

    A depth is not worse if the upper end of the one-sided 95 % interval of its excess, on the same resamples, is below
    the margin: EER(depth) / EER(full) - 1 with a relative margin, EER(depth) - EER(full) with one in points. Depths are
    tested from full - 1 downwards and the testing ends at the first that is not shown: in this fixed order every test
    keeps the full level, and the chance of calling any worse depth "not worse" is at most 5 % (fixed-sequence
    procedure; Maurer, Hothorn & Lehmacher 1995). Where full depth itself is not better than chance at the same level,
    there is nothing to compare and no depth is named.

    head: the one of lowest dev EER at full depth. depth: None where there is none. full: L.
    margin: relative, as 0.1, or points of EER, as `2pt`.
    at_depth, at_full: eval EER, 0 to 1. excess: EER(depth) - EER(full) with its two-sided interval.
    bound: the upper end that decided for `depth`: of the relative excess, or of EER(depth) - EER(full), as shares.
    reason: why there is no depth: `chance` (not shown to be better than it), `no-depth`, or empty.
    first: the depth tested first; first_excess, first_bound: its EER(first) - EER(full), and the upper end of its
        one-sided 95 % interval: what is not excluded.
    unit, fewest: of what there are fewest in a class, and how many. needed: how many would show a depth as good as all
        layers in four corpora of five; None where it cannot be told.
    saved: share of multiply-accumulates that the truncated backbone saves, where measured.
    best: of all heads and depths, as far as dev can tell.
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

    def sentence(self) -> str:
        """The finding in words."""
        said = self._of_depth()
        return said + self.best.sentence((self.head, self.depth or self.full)) if self.best else said

    def _of_depth(self) -> str:
        margin = Margin.of(self.margin)
        full = f"{self.at_full} with all {self.full}"
        if self.reason == "chance":
            return (
                f"With all {self.full} layers the head chosen on dev, {self.head}, is not shown to be better than "
                f"chance: EER {self.at_full}."
            )
        if self.depth is None or self.at_depth is None or self.excess is None or self.bound is None:
            return (
                f"No smaller depth of {self.backbone} is shown to be as good as all {self.full} layers within "
                f"{margin} ({self.head}: EER {full}).{self._not_excluded(margin)}"
            )
        saved = f", saving {100 * self.saved:.0f} % of the multiply-accumulates" if self.saved is not None else ""
        return (
            f"The first {self.depth} of {self.full} layers of {self.backbone} are not worse than all of them within "
            f"{margin} ({self.head}): EER {self.at_depth} against {full}, "
            f"difference {100 * self.excess.value:+.1f} points, at most {margin.excess(self.bound)} "
            f"(one-sided 95 %){saved}."
        )

    def _not_excluded(self, margin: Margin) -> str:
        if self.first is None or self.first_excess is None or self.first_bound is None:
            return ""
        said = (
            f" This does not say that more layers are needed: {self.first} have {100 * self.first_excess:+.1f} points, "
            f"and up to {100 * self.first_bound:+.1f} are not excluded (one-sided 95 %), where "
            f"{100 * margin.allowed(self.at_full.value):.1f} are allowed"
        )
        if self.needed is None:
            return said + "."
        return (
            f"{said}; if both were equally good, about {self.needed:,} {self.unit}s instead of {self.fewest:,} (and as "
            "many times the rest) would show it in four corpora of five."
        )

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
) -> DepthFinding:
    """Test depths from the deepest down; see `DepthFinding`.

    Args:
        backbone: its name.
        head: its name.
        rates: depth -> eval EER (mean over seeds).
        resampled: depth -> (R,) the same on paired resamples.
        margin: that a depth may be worse by: relative, as 0.1, or points of EER, as `2pt`.
        resamples: whose they are.
        saved: depth -> share of multiply-accumulates saved.
    """
    full = max(rates)
    allowed = Margin.of(margin)
    found = None
    bound = None
    reason = ""
    if np.quantile(resampled[full], 1 - LEVEL) >= 0.5:
        reason = "chance"
    else:
        for depth in sorted(rates, reverse=True)[1:]:
            over = resampled[depth] - resampled[full] - allowed.allowed(resampled[full])
            if rates[depth] - rates[full] > allowed.allowed(rates[full]) or np.quantile(over, 1 - LEVEL) >= 0:
                break
            excess_of = allowed.of_excess(resampled[depth], resampled[full])
            # without interpolation, as the excess over an EER of 0 is infinite
            found = depth
            bound = float(np.quantile(excess_of, 1 - LEVEL, method="inverted_cdf"))
        reason = "" if found else "no-depth"
    at = {depth: rate_interval(rates[depth], resampled[depth], resamples) for depth in (found, full) if depth}
    excess = None
    if found:
        excess = difference_interval(rates[found] - rates[full], resampled[found] - resampled[full], resamples)
    first = max((depth for depth in rates if depth != full), default=None)
    return DepthFinding(
        backbone,
        head,
        found,
        full,
        margin,
        at[full],
        at[found] if found else None,
        excess,
        reason,
        saved.get(found) if saved and found else None,
        bound,
        first,
        None if first is None else rates[first] - rates[full],
        None if first is None else excess_bound(resampled[first], resampled[full]),
        resamples.scarcest,
        resamples.fewest,
        None if first is None else _needed(resampled[first], resampled[full], rates[full], allowed, resamples),
    )


def excess_bound(resampled: NDArray[np.float64], resampled_full: NDArray[np.float64]) -> float:
    """Upper end of the one-sided 95 % interval of EER(depth) - EER(full): which excess is not excluded."""
    return float(np.quantile(resampled - resampled_full, 1 - LEVEL))


def clusters_needed(error: float, allowed: float, n: int) -> int | None:
    """How many clusters a class show that two equally good depths are, in four corpora of five.

    Args:
        error: standard error of the excess over what is allowed, from `n` clusters; it falls as one over their root.
        allowed: the margin, as a share.
        n: clusters a class.
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
) -> int | None:
    over = resampled - resampled_full - margin.allowed(resampled_full)
    return clusters_needed(standard_error(over, resamples), margin.allowed(full), resamples.fewest)
