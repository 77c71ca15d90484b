"""The margin: by how much a smaller depth may be worse and still count as not worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from cache.errors import OptionError

POINTS = "pt"


@dataclass(frozen=True)
class Margin:
    """A share of the EER of full depth, or points of EER.

    value: as a share either way: 0.1 is ten per cent of the EER, or, with `points`, ten points.
    """

    value: float
    points: bool = False

    @classmethod
    def of(cls, told: float | str) -> Margin:
        """Read `0.1` (relative) or `2pt` (points of EER).

        >>> Margin.of("2pt")
        Margin(value=0.02, points=True)
        >>> Margin.of(0.1)
        Margin(value=0.1, points=False)
        """
        text = str(told).strip()
        points = text.endswith(POINTS)
        try:
            value = float(text.removesuffix(POINTS))
        except ValueError:
            value = math.nan
        if not 0 <= value < (100 if points else 10):
            raise OptionError(
                "margin", told, f"expected a finite number, as 0.1 for ten per cent of the EER, or 2{POINTS}, points"
            )
        return cls(value / 100 if points else value, points)

    @property
    def plain(self) -> float | str:
        """As `of` reads it and run records hold it."""
        return f"{100 * self.value:g}{POINTS}" if self.points else self.value

    @overload
    def allowed(self, full: float) -> float: ...
    @overload
    def allowed(self, full: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def allowed(self, full: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        """How much more than `full`, the EER of full depth, is allowed; shares."""
        return self.value + 0 * full if self.points else self.value * full

    def of_excess(self, depth: NDArray[np.float64], full: NDArray[np.float64]) -> NDArray[np.float64]:
        """The excess of EERs (R,) over those of full depth, in the terms of the margin: compare it with `value`."""
        if self.points:
            return depth - full
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(full > 0, depth / full - 1, np.inf)

    def excess(self, value: float) -> str:
        """An excess in these terms, in words."""
        return f"{100 * value:+.1f} {'points' if self.points else '% relative'}"

    def __str__(self) -> str:
        return f"{100 * self.value:g} points of EER" if self.points else f"{100 * self.value:g} % relative EER"
