"""Axes as every figure has them: their size, their scales, colours, and names that fit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plots.look import look
from analysis.plots.saving import figure_of, rendered
from probing.console import visible
from probing.targets.metrics import Metric

LONGEST = 25  # characters of a name beside an axis; in a column of a paper 16
NARROW = 5.0  # inches
MARKERS = "osD^vP"
# Told apart in grey: solid, dashed, dotted, dash-dot, long dashes, dash-dot-dot; on and off in line
# widths.
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.3)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (10, 2.5)),
    (0, (5, 1.3, 1, 1.3, 1, 1.3)),
)
GREY = "0.55"
NOTEBOOK_DPI = 96


def colours(n: int) -> list[Any]:
    """The first n colours of seaborn's colour-blind palette, which begins again after ten.

    >>> len(colours(12)), colours(12)[0] == colours(12)[10]
    (12, True)
    """
    return list(islice(cycle(seaborn.color_palette("colorblind")), n))


class ShownAxes(Axes):
    """Axes that Jupyter shows as the last line of a cell, unknown to pyplot."""

    def _repr_png_(self) -> bytes:
        return rendered(figure_of(self), "png", NOTEBOOK_DPI)


def new_axes(height: float = 4.8, width: float = 8.0, *, by_text: bool = False) -> Axes:
    """Axes of a new figure, which no global state of pyplot keeps alive.

    Args:
        height: inches on a screen; in a paper it follows the width.
        width: likewise, where `analysis.style` asks for no other.
        by_text: of rows of text, whose height does not follow the width.

    >>> figure_of(new_axes(height=3.0)).get_size_inches().tolist()
    [8.0, 3.0]
    """
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        size = look().size(height, width, by_text)
        return Figure(figsize=size, layout="constrained").add_subplot(axes_class=ShownAxes)


def plain(text: str) -> str:
    """A name as a figure shows it: no formula between dollars, control characters visible.

    matplotlib leaves what begins with `_` out of legends; a space before it keeps it in.

    >>> plain("_a")
    ' _a'
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def short(text: str) -> str:
    """A name as `plain` gives it, shortened in its middle where it is long.

    >>> short("a very long name of a class of utterances")
    'a very long na…utterances'
    """
    most = 16 if (look().width or LONGEST) < NARROW else LONGEST
    tail = most // 2 - 2
    return plain(text if len(text) <= most else f"{text[: most - tail - 1]}…{text[-tail:]}")


def width_of(ax: Axes) -> float:
    """Width of axes in inches, before any layout.

    >>> round(width_of(new_axes(width=8.0)), 1) <= 8.0
    True
    """
    return float(figure_of(ax).get_size_inches()[0] * ax.get_position().width)


def whole_numbers(ax: Axes) -> None:
    """Let the ticks of the horizontal axis be layers, not fractions of them.

    >>> ax = new_axes()
    >>> _ = ax.plot([1, 2, 3])
    >>> whole_numbers(ax)
    >>> all(tick == round(tick) for tick in ax.get_xticks())
    True
    """
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def whole_rates(
    ax: Axes, least: float = 60.0, metric: Metric | None = None, others: Sequence[Axes] = ()
) -> None:
    """Let the vertical axis begin at 0 and hold everything that was drawn, intervals as well; up to
    `least` anyhow.

    Accuracies end at 100 %; of figures that are no shares, the axis holds what was drawn and
    chance. `others` are axes with the same vertical axis.

    >>> ax = new_axes()
    >>> _ = ax.plot([10.0, 70.0])
    >>> whole_rates(ax)
    >>> [float(end) for end in ax.get_ylim()]
    [0.0, 73.0]
    """
    low = min(float(each.dataLim.y0) for each in (ax, *others))
    high = max(float(each.dataLim.y1) for each in (ax, *others))
    if metric is None or metric.name == "eer":
        ax.set_ylim(0, max(least, high + 3))
    elif metric.share:
        ax.set_ylim(0, 103)
    else:
        low, high = (
            (min(low, metric.chance), max(high, metric.chance))
            if metric.chance is not None
            else (low, high)
        )
        room = 0.06 * (high - low)
        ax.set_ylim(low - room if low < 0 else min(low, 0), high + room)


def write_title(ax: Axes, text: str, **how: Any) -> None:
    """Write a title at the left, on the upper edge of axes.

    In a figure of ours no tick is in its way; left to itself matplotlib measures them all at every
    drawing to see that, a sixth of the time of a drawing.

    >>> ax = new_axes()
    >>> write_title(ax, "EER by layer", fontsize=9)
    >>> ax.get_title(loc="left")
    'EER by layer'
    """
    ours = isinstance(figure_of(ax).axes[0], ShownAxes)
    ax.set_title(text, loc="left", y=1.0 if ours else None, **how)


def dress(ax: Axes, *others: Axes | None) -> None:
    """Give axes the sizes of `analysis.style`, and all others of their figure too.

    >>> ax = new_axes()
    >>> dress(ax)
    """
    own = isinstance(ax, ShownAxes)
    all_axes = figure_of(ax).axes if own else [ax, *filter(None, others)]
    look().dress(*all_axes)
    for each in all_axes if look().width is not None else ():
        width = width_of(each)
        height = float(figure_of(each).get_size_inches()[1] * each.get_position().height)
        # above and below axes there is room for more, beside them there is none
        for axis, inches in ((each.xaxis, width), (each.yaxis, 1.22 * height)):
            letters = max(12, int(inches * 72 / (0.53 * look().font_size)))
            if max(map(len, axis.label.get_text().split("\n"))) > letters:
                lines = axis.label.get_text().split("\n")
                axis.set_label_text("\n".join(textwrap.fill(line, letters) for line in lines))
