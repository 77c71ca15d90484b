"""The finding on depth: how many layers are enough, with the error rate of the answer under control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probing.metrics import Interval, percentile_interval
from probing.sweep.best_head import BestHead

LEVEL = 0.05


@dataclass(frozen=True)
class DepthFinding:
    """The smallest depth that is not worse than full depth.

    A depth is not worse if the upper end of the one-sided 95 % interval of EER(depth) - (1 + margin) EER(full), on the
    same resamples, is below 0. Depths are tested from full - 1 downwards and the testing ends at the first that is not
    shown: in this fixed order every test keeps the full level, and the chance of calling any worse depth "not worse" is
    at most 5 % (fixed-sequence procedure; Maurer, Hothorn & Lehmacher 1995). Where full depth itself is not better than
    chance at the same level, there is nothing to compare and no depth is named.

    head: the one of lowest dev EER at full depth. depth: None where there is none. full: L.
    at_depth, at_full: eval EER, 0 to 1. excess: EER(depth) - EER(full) with its two-sided interval.
    reason: why there is no depth: `chance` (not shown to be better than it), `no-depth`, or empty.
    saved: share of multiply-accumulates that the truncated backbone saves, where measured.
    best: of all heads and depths, as far as dev can tell.
    """

    backbone: str
    head: str
    depth: int | None
    full: int
    margin: float
    at_full: Interval
    at_depth: Interval | None
    excess: Interval | None
    reason: str
    saved: float | None = None
    best: BestHead | None = None

    def sentence(self) -> str:
        """The finding in words."""
        said = self._of_depth()
        return said + self.best.sentence((self.head, self.depth or self.full)) if self.best else said

    def _of_depth(self) -> str:
        full = f"{_percent(self.at_full)} with all {self.full}"
        if self.reason == "chance":
            return (
                f"With all {self.full} layers the head chosen on dev, {self.head}, is not shown to be better than "
                f"chance: EER {_percent(self.at_full)}."
            )
        if self.depth is None or self.at_depth is None or self.excess is None:
            return (
                f"No smaller depth of {self.backbone} is shown to be as good as all {self.full} layers within "
                f"{100 * self.margin:g} % relative EER ({self.head}: EER {full})."
            )
        saved = f", saving {100 * self.saved:.0f} % of the multiply-accumulates" if self.saved is not None else ""
        points = ", ".join(f"{100 * end:+.1f}" for end in (self.excess.low, self.excess.high))
        return (
            f"The first {self.depth} of {self.full} layers of {self.backbone} are not worse than all of them within "
            f"{100 * self.margin:g} % relative EER ({self.head}): EER {_percent(self.at_depth)} against {full}, "
            f"difference {100 * self.excess.value:+.1f} points [{points}]{saved}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def find_depth(
    backbone: str,
    head: str,
    rates: Mapping[int, float],
    resampled: Mapping[int, NDArray[np.float64]],
    margin: float,
    saved: Mapping[int, float] | None = None,
) -> DepthFinding:
    """Test depths from the deepest down; see `DepthFinding`.

    Args:
        backbone: its name.
        head: its name.
        rates: depth -> eval EER (mean over seeds).
        resampled: depth -> (R,) the same on paired resamples.
        margin: relative EER that a depth may be worse, as 0.1.
        saved: depth -> share of multiply-accumulates saved.
    """
    full = max(rates)
    at = {depth: percentile_interval(rates[depth], resampled[depth]) for depth in rates}
    found, reason = None, ""
    if np.quantile(resampled[full], 1 - LEVEL) >= 0.5:
        reason = "chance"
    else:
        for depth in sorted(rates, reverse=True)[1:]:
            worse_by = resampled[depth] - (1 + margin) * resampled[full]
            if rates[depth] > (1 + margin) * rates[full] or np.quantile(worse_by, 1 - LEVEL) >= 0:
                break
            found = depth
        reason = "" if found else "no-depth"
    excess = None
    if found:
        excess = percentile_interval(rates[found] - rates[full], resampled[found] - resampled[full])
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
    )


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
