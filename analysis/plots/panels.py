"""Several axes in one figure: panels side by side, a strip below them, and what stands above and
below all of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from analysis.plots.axes import NARROW, ShownAxes, dress, plain, width_of, write_title
from analysis.plots.legends import columns_for, entries
from analysis.plots.look import SCREEN_PT, look
from analysis.plots.saving import figure_of
from analysis.plots.style import CAPTIONS, named, sentences, small_print, stamp_lines, wrapped
from analysis.runs.loaded_run import LoadedRun

PANEL = 2.1  # inches in height of one of several rows of panels, on a screen


def is_alone(ax: Axes) -> bool:
    """Whether axes are of `new_axes` and nothing else is in their figure, so that more can stand
    beside them.

    >>> from analysis.plots.axes import new_axes
    >>> is_alone(new_axes())
    True
    """
    return isinstance(ax, ShownAxes) and figure_of(ax).axes == [ax]


def axes_below(ax: Axes, share: float) -> Axes | None:
    """Axes below those of `new_axes`, with the same layers across, for which the figure grows by a
    share.

    None if the axes are somebody's own, or are not alone in their figure.

    >>> from analysis.plots.axes import new_axes
    >>> below = axes_below(new_axes(), share=0.3)
    >>> below is not None and below.get_ylim() == (0.0, 1.0)
    True
    """
    if not is_alone(ax):
        return None
    figure = figure_of(ax)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height * (1 + share))
    grid = figure.add_gridspec(2, 1, height_ratios=(1, share))
    ax.set_subplotspec(grid[0])
    below = _plain_axes(figure.add_subplot(grid[1], sharex=ax))
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    return below


def panels(
    ax: Axes, n: int, *, same_height: bool = True, strip: bool = False, square: bool = False
) -> tuple[list[Axes], Axes | None]:
    """Panels in rows instead of axes of `new_axes`, which are the first, and perhaps a strip below
    all of them.

    Args:
        ax: where to draw; somebody's own axes stay alone, so that all is drawn on them.
        n: how many panels.
        same_height: one vertical axis for all, whose numbers stand at the left only.
        strip: also axes below, as wide as the figure.
        square: panels as high as wide, more of them side by side.

    Returns:
        A list of n axes, and the strip or None.

    >>> from analysis.plots.axes import new_axes
    >>> len(panels(new_axes(), 3)[0])
    3
    """
    if not is_alone(ax) or (n == 1 and not strip):
        return [ax] * n, None
    figure = figure_of(ax)
    width, height = figure.get_size_inches()
    n_columns = columns_of(n, width, square)
    n_rows = -(-n // n_columns)
    least = (PANEL if n_rows > 1 else 1.2 * PANEL) * look().font_size / SCREEN_PT
    row = height if n_columns == 1 and n_rows == 1 else max(least, 0.62 * width / n_columns)
    row = width / n_columns if square else row
    of_strip = 0.24 * min(height, 2 * row)
    figure.set_size_inches(
        width, n_rows * row + (of_strip if strip else 0) + 0.15 * height * (n_columns > 1)
    )
    ratios = [row] * n_rows + [of_strip] * strip
    grid = figure.add_gridspec(len(ratios), n_columns, height_ratios=ratios)
    ax.set_subplotspec(grid[0, 0])
    shared = {"sharex": ax, "sharey": ax if same_height else None}
    found = [ax]
    for i in range(1, n):
        found.append(_plain_axes(figure.add_subplot(grid[divmod(i, n_columns)], **shared)))
        found[i].tick_params(labelleft=not same_height or i % n_columns == 0)
    for panel in found[: n - n_columns]:
        panel.tick_params(labelbottom=False)
    return found, _plain_axes(figure.add_subplot(grid[n_rows, :])) if strip else None


def columns_of(n: int, width: float, square: bool = False) -> int:
    """How many of n panels stand side by side in so many inches.

    >>> columns_of(5, width=8.0)
    3
    """
    most = max(2 + square, int(width / ((1.8 if square else 2.3) * look().font_size / SCREEN_PT)))
    most = min(most, 2 + square if width < NARROW else 3 + square)
    if n <= most:
        return n
    return min(range(2, most + 1), key=lambda columns: (-n % columns > 1, -columns))


def _plain_axes(ax: Axes) -> Axes:
    """Axes beside others with their grid and no ticks."""
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.spines[:].set_color("0.8")
    ax.tick_params(length=0, which="both")
    return ax


def panel_title(panel: Axes, text: str, more: str = "", colour: Any = "black") -> None:
    """Write what one of `panels` shows above it; `more` on the same line if there is room, else on
    the next.

    >>> from analysis.plots.axes import new_axes
    >>> panel = new_axes()
    >>> panel_title(panel, "mean+linear", "W 0.90")
    >>> panel.get_title(loc="left")
    'mean+linear, W 0.90'
    """
    points = look().legend_pt
    letters = int(width_of(panel) * 72 / (0.56 * points))
    title = f"{text}, {more}" if more else text
    if len(title) > letters:
        lines = text.replace("+", "\n+", 1) if len(text) > letters else text
        last_line = lines.rpartition("\n")[2]
        join = ", " if len(last_line + more) + 2 <= letters else "\n"
        title = f"{lines}{join}{more}" if more else lines
    write_title(panel, plain(title), fontsize=points, color=colour, pad=3)


def label_outer(drawn_on: Sequence[Axes], across: str, up: str, square: bool = False) -> None:
    """Name the axes of `panels`: the horizontal one below each column, the vertical one at the
    left.

    >>> from analysis.plots.axes import new_axes
    >>> drawn_on, _ = panels(new_axes(), 2)
    >>> label_outer(drawn_on, "layer", "share")
    >>> [panel.get_xlabel() for panel in drawn_on]
    ['layer', 'layer']
    """
    found = list(dict.fromkeys(drawn_on))
    n_columns = columns_of(len(found), float(figure_of(found[0]).get_size_inches()[0]), square)
    for i, panel in enumerate(found):
        panel.set(
            xlabel=across if i >= len(found) - n_columns else "",
            ylabel=up if i % n_columns == 0 else "",
        )


def label_panels(
    ax: Axes,
    handles: Sequence[Any],
    runs: Sequence[LoadedRun],
    split: str = "eval",
    title: str = "",
    bands: str = "",
    lowest: Axes | None = None,
) -> None:
    """As `label`, of a figure of several panels: title and legend stand above all of them.

    >>> from analysis import load
    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> _ = panels(ax, 2)
    >>> label_panels(ax, [], [load("results/demo.run")], title="mine")
    """
    dress(*figure_of(ax).axes)
    text = named(runs, title)
    panel_legend(ax, handles, text)
    print_below(ax, text, stamp_lines(runs, split, 0, bands), lowest)


def panel_legend(ax: Axes, handles: Sequence[Any], title: str) -> None:
    """A title, unless `analysis.style` asks for another, with a legend below it, above all panels
    of a figure.

    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> _ = panels(ax, 2)
    >>> panel_legend(ax, [], "EER by layer")
    """
    figure, now = figure_of(ax), look()
    wanted = plain(title if now.title is None else now.title or "")
    inches = float(figure.get_size_inches()[0])
    texts, widths = entries(
        [str(handle.get_label()) for handle in handles], now.legend_pt, 0.95 * inches
    )
    figure.legend(
        list(handles),
        texts,
        loc="outside upper left",
        ncols=columns_for(widths, 0.95 * inches),
        title=textwrap.fill(
            wanted, max(20, int(121 / now.title_pt * inches)), break_on_hyphens=False
        )
        or None,
        title_fontsize=now.title_pt,
        fontsize=now.legend_pt,
        alignment="left",
        frameon=False,
        borderpad=0.1,
        borderaxespad=0.4,
    )


def print_below(ax: Axes, title: str, lines: Sequence[str], lowest: Axes | None = None) -> None:
    """The small print below all panels of a figure; see `small_print`.

    >>> from analysis.plots.axes import new_axes
    >>> from analysis.plots.style import caption
    >>> ax = new_axes()
    >>> _ = panels(ax, 2)
    >>> print_below(ax, "EER by layer", ["eval: 12 trials"])
    >>> caption(ax)
    'EER by layer. eval: 12 trials.'
    """
    figure, now = figure_of(ax), look()
    inches = float(figure.get_size_inches()[0])
    if now.is_paper:
        small_print(lowest or ax, title, lines, inches)
        return
    how: dict[str, Any] = {"fontsize": now.note_pt, "color": "0.4", "ha": "left", "x": 0.01}
    CAPTIONS[figure.supxlabel(plain(wrapped(lines, 0.92 * inches)), **how)] = sentences(
        [title, *lines]
    )
