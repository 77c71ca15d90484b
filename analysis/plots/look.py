"""How figures look: on a screen, or in a column of a paper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from weakref import WeakSet

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cache.errors import OptionError

STYLES = ("screen", "paper")
# inches: a column of IEEE, and both with what is between them
WIDTHS = {"single": 3.5, "double": 7.16}
NARROWEST = 1.5
WIDEST = 40.0
SMALLEST_PT = 4.0
LARGEST_PT = 40.0
SCREEN_PT = 10.0
PAPER_PT = 8.0


@dataclass(frozen=True)
class Look:
    """Sizes of a figure.

    width: inches; None for the width that each kind of figure has.
    font_size: of axis labels, points; all other text follows it.
    title: instead of the one that a figure makes itself, which is None; empty for none.
    is_paper: no small print, thinner lines, sizes of text that lie closer together.

    >>> Look(width=3.5).size(4.8, 8.0)
    (3.5, 3.12)
    """

    width: float | None = None
    font_size: float = SCREEN_PT
    title: str | None = None
    is_paper: bool = False

    @property
    def title_pt(self) -> float:
        """Points of a title."""
        return self.font_size * (1.0 if self.is_paper else 1.1)

    @property
    def tick_pt(self) -> float:
        """Points of numbers along an axis."""
        return self.font_size * (0.875 if self.is_paper else 1.0)

    @property
    def legend_pt(self) -> float:
        """Points of a legend."""
        return self.font_size * (0.875 if self.is_paper else 0.8)

    @property
    def note_pt(self) -> float:
        """Points of small print and of numbers beside points."""
        return self.font_size * (0.75 if self.is_paper else 0.7)

    @property
    def cell_pt(self) -> float:
        """Points of numbers in the cells of a heat map."""
        return self.font_size * (0.75 if self.is_paper else 0.65)

    @property
    def dpi(self) -> int:
        """Dots per inch of what is no vector."""
        return 600 if self.is_paper else 150

    def size(self, height: float, width: float, by_text: bool = False) -> tuple[float, float]:
        """Width and height in inches of a figure that is so large on a screen.

        `by_text`: what is drawn is rows of text, so that the height follows the text alone.
        """
        text = self.font_size / SCREEN_PT
        if self.width is None:
            return width * text if by_text else width, height * text if by_text else height
        across = self.width / width
        return self.width, height * (text if by_text else max(across, 0.65 * text))

    def dress(self, *axes: Axes) -> None:
        """Give labels, numbers and lines of drawn axes the sizes of this look."""
        if self == Look(width=self.width, title=self.title):
            return
        for ax in axes:
            ax.xaxis.label.set_fontsize(self.font_size)
            ax.yaxis.label.set_fontsize(self.font_size)
            ax.tick_params(labelsize=self.tick_pt)
            ax.tick_params(which="minor", labelsize=self.note_pt)
            for line in [drawn for drawn in ax.lines if self.is_paper and drawn not in _thinned]:
                _thinned.add(line)
                line.set_linewidth(0.75 * line.get_linewidth())
                line.set_markersize(0.7 * line.get_markersize())
                line.set_markeredgewidth(0.75 * line.get_markeredgewidth())


SCREEN = Look()
_thinned: WeakSet[Line2D] = WeakSet()  # a figure may be dressed again when more is drawn
_current: ContextVar[Look] = ContextVar("look", default=SCREEN)


def look() -> Look:
    """The look of figures that are drawn now.

    >>> with style("paper", width="single"):
    ...     look().width
    3.5
    """
    return _current.get()


@contextmanager
def style(
    name: str = "screen",
    *,
    width: str | float | None = None,
    title: str | None = None,
    font_size: float | None = None,
) -> Iterator[Look]:
    """Draw the figures of a block for a screen, or for a column of a paper.

    Args:
        name: `screen`, or `paper`, whose figures have no title unless one is given, since a paper
            has captions; `analysis.caption` has the text for it.
        width: inches; `single` (3.5) or `double` (7.16), columns of a paper. Default: of a paper a
            single one, on a screen what each kind of figure takes.
        title: instead of the one that a figure makes itself; empty for none.
        font_size: of axis labels, points; other text follows it. Default 10 on a screen, 8 in a
            paper.

    Raises:
        OptionError: another name, or a width or size of text that cannot be read.

    >>> from analysis import layer_curve, save_figure
    >>> with style("paper", width="single", font_size=7):
    ...     ax = layer_curve("results/demo.run")
    >>> save_figure(ax, "curve.pdf").name
    'curve.pdf'
    """
    if name not in STYLES:
        raise OptionError("style", name, f"expected {' or '.join(STYLES)}")
    is_paper = name == "paper"
    size = font_size if font_size is not None else (PAPER_PT if is_paper else SCREEN_PT)
    if not SMALLEST_PT <= size <= LARGEST_PT:
        raise OptionError(
            "font_size", font_size, f"expected {SMALLEST_PT:g} to {LARGEST_PT:g} points"
        )
    inches = _inches("single" if width is None and is_paper else width)
    before = _current.set(Look(inches, size, "" if title is None and is_paper else title, is_paper))
    try:
        yield look()
    finally:
        _current.reset(before)


def _inches(width: str | float | None) -> float | None:
    if width is None or (isinstance(width, str) and width in WIDTHS):
        return None if width is None else WIDTHS[str(width)]
    try:
        inches = float(width)
    except ValueError:
        inches = math.nan
    if not NARROWEST <= inches <= WIDEST:
        raise OptionError(
            "width",
            width,
            f"expected {', '.join(WIDTHS)}, or inches from {NARROWEST:g} to {WIDEST:g}, as 3.3",
        )
    return inches
