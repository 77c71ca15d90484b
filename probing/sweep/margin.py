"""The margin: by how much a smaller depth may be worse and still count as not worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from cache.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = "pt"


@dataclass(frozen=True)
class Margin:
    """A share of the EER (or the metric of another target) of full depth, or points of it.

    value: as a share either way: 0.1 is ten per cent of the EER, or, with `points`, ten points.
    """

    value: float
    points: bool = False

    @classmethod
    def of(cls, given: float | str) -> Margin:
        """Read `0.1` (relative) or `2pt` (points of EER).

        >>> Margin.of("2pt")
        Margin(value=0.02, points=True)
        >>> Margin.of(0.1)
        Margin(value=0.1, points=False)
        """
        text = str(given).strip()
        points = text.endswith(POINTS)
        try:
            value = float(text.removesuffix(POINTS))
        except ValueError:
            value = math.nan
        if not 0 <= value < (100 if points else 10):
            raise OptionError(
                "margin",
                given,
                "expected a finite number from 0 on, as 0.1 for ten per "
                f"cent of the EER, or 2{POINTS}, points",
            )
        return cls(value / 100 if points else value, points)

    @property
    def plain(self) -> float | str:
        """The margin as `of` reads it and run records hold it."""
        return f"{100 * self.value:g}{POINTS}" if self.points else self.value

    @overload
    def allowed(self, full: float) -> float: ...
    @overload
    def allowed(self, full: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def allowed(self, full: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        """How much worse than `full`, the figure of full depth, is allowed; in its own terms."""
        import numpy as np

        return self.value + 0 * full if self.points else self.value * np.abs(full)

    def of_excess(
        self, depth: NDArray[np.float64], full: NDArray[np.float64], sign: float = 1.0
    ) -> NDArray[np.float64]:
        """By how much figures (R,) are worse than those of full depth, in the terms of the margin.

        `sign` is 1 if lower figures are better, as of EER, and -1 if higher are.
        """
        import numpy as np

        if self.points:
            return sign * (depth - full)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(full > 0, sign * (depth / full - 1), np.inf)

    def excess(self, value: float) -> str:
        """An excess in these terms, in words."""
        return f"{100 * value:+z.1f} {'points' if self.points else '% relative'}"

    def in_words(self, called: str = "EER") -> str:
        """The margin for people.

        >>> Margin.of("2pt").in_words(), Margin.of(0.1).in_words("macro F1")
        ('2 points of EER', '10 % relative macro F1')
        """
        return f"{100 * self.value:g} {'points of' if self.points else '% relative'} {called}"
