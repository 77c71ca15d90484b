"""What every figure has in common: axes, colours for the colour-blind, and the small print."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any
from weakref import WeakKeyDictionary

import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plots.look import look
from analysis.plots.saving import FIGURES as FIGURES
from analysis.plots.saving import check_format as check_format
from analysis.plots.saving import figure_of, rendered
from analysis.plots.saving import save_figure as save_figure
from analysis.plots.saving import save_into as save_into
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from cache.errors import argument
from probing.console import visible
from probing.targets.metrics import Metric

MOST_DRAWN = 100  # conditions in one picture
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
# of each small print, its title and lines
CAPTIONS: WeakKeyDictionary[Artist, str] = WeakKeyDictionary()


def colours(n: int) -> list[Any]:
    """The first n colours of seaborn's colour-blind palette, which begins again after ten."""
    return list(islice(cycle(seaborn.color_palette("colorblind")), n))


class ShownAxes(Axes):
    """Axes of a figure that pyplot does not know: as the last line of a cell, Jupyter shows the
    figure.
    """

    def _repr_png_(self) -> bytes:
        return rendered(figure_of(self), "png", NOTEBOOK_DPI)


def new_axes(height: float = 4.8, width: float = 8.0, *, by_text: bool = False) -> Axes:
    """Axes of a new figure, which no global state of pyplot keeps alive.

    Args:
        height: inches on a screen; in a paper it follows the width.
        width: likewise, where `analysis.style` asks for no other.
        by_text: of rows of text, whose height does not follow the width.
    """
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        size = look().size(height, width, by_text)
        return Figure(figsize=size, layout="constrained").add_subplot(axes_class=ShownAxes)


def plain(text: str) -> str:
    """A name as a figure shows it as it is: no formula between dollar signs, control characters
    visible.

    matplotlib leaves what begins with `_` out of legends; a space before it keeps it in.
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def short(text: str) -> str:
    """A name as `plain` gives it, of a length that leaves room for what is drawn: in its middle
    something may lack.

    >>> short("a very long name of a class of utterances")
    'a very long na…utterances'
    """
    most = 16 if (look().width or LONGEST) < NARROW else LONGEST
    tail = most // 2 - 2
    return plain(text if len(text) <= most else f"{text[: most - tail - 1]}…{text[-tail:]}")


def width_of(ax: Axes) -> float:
    """Width of axes in inches, before any layout."""
    return float(figure_of(ax).get_size_inches()[0] * ax.get_position().width)


def whole_numbers(ax: Axes) -> None:
    """Let the ticks of the horizontal axis be layers, not fractions of them."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def whole_rates(
    ax: Axes, least: float = 60.0, metric: Metric | None = None, others: Sequence[Axes] = ()
) -> None:
    """Let the vertical axis begin at 0 and hold everything that was drawn, intervals as well; up to
    `least` anyhow.

    Accuracies end at 100 %; of figures that are no shares, the axis holds what was drawn and
    chance. `others` are axes with the same vertical axis.
    """
    low = min(float(one.dataLim.y0) for one in (ax, *others))
    high = max(float(one.dataLim.y1) for one in (ax, *others))
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


def label(
    ax: Axes,
    runs: Sequence[LoadedRun],
    split: str = "eval",
    title: str = "",
    resamples: int = 0,
    bands: str = "",
    below: float = 38,
    lowest: Axes | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write backbone and corpus above axes, and below them trials, intervals and the fingerprints'
    short hashes.

    In a paper nothing is written below; `caption` has it. Call it once all is drawn, before
    `legend`.

    `resamples` are those of the bootstrap, where they are not those of the sweep. `bands` says what
    bands are that are no intervals of the bootstrap. `below` is how far under the axes the small
    print begins, in points; `lowest` are the axes that it stands under, where there are others
    below these. `notes` are said beside all that.
    """
    dress(ax, lowest)
    inches = width_of(ax)
    told = titled(ax, named(runs, title))
    small_print(
        lowest or ax,
        told,
        lines=stamp_lines(runs, split, resamples=resamples, bands=bands, notes=notes),
        inches=inches,
        below=below,
    )


def titled(ax: Axes, text: str) -> str:
    """Write a title above axes unless `analysis.style` asks for another; gives the text, without
    line breaks.
    """
    wanted = text if look().title is None else look().title or ""
    points = look().title_pt
    ax.set_title(
        plain(
            textwrap.fill(wanted, max(20, int(121 / points * width_of(ax))), break_on_hyphens=False)
        ),
        loc="left",
        fontsize=points,
    )
    return text


def small_print(
    ax: Axes, title: str, lines: Sequence[str], inches: float, below: float = 38
) -> None:
    """Write lines below axes, in a paper invisibly; `caption` has them with the title."""
    shown = ax.annotate(
        plain("" if look().is_paper else wrapped(lines, inches)),
        (0, 0),
        (0, -below),
        "axes fraction",
        textcoords="offset points",
        fontsize=look().note_pt,
        color="0.4",
        va="top",
    )
    CAPTIONS[shown] = sentences([title, *lines])


def wrapped(lines: Sequence[str], inches: float) -> str:
    """Lines of the small print, broken where they are wider than so many inches."""
    letters = max(40, int(147 / look().note_pt * inches))
    return "\n".join(textwrap.fill(line, letters, break_on_hyphens=False) for line in lines)


def named(runs: Sequence[LoadedRun], title: str = "") -> str:
    """What a figure is of: backbone, corpus, and what else its title says."""
    who = runs[0].backbone if len(runs) == 1 else f"{len(runs)} backbones"
    trained = runs[0].trained_on
    evaluated = runs[0].corpus
    found = (
        f"{who}, "
        f"{trained if trained == evaluated else f'trained on {trained}, evaluated on {evaluated}'}"
    )
    return f"{title}: {found}" if title else found


def stamp_lines(
    runs: Sequence[LoadedRun],
    split: str,
    resamples: int = 0,
    bands: str = "",
    notes: Sequence[str] = (),
) -> list[str]:
    """Trials, intervals and caches: the lines of the small print."""
    counts = runs[0].task.in_words(runs[0].record.counts[runs[0].part(split)])
    intervals = bands or runs[0].record.intervals_of(runs[0].part(split))
    if resamples:
        intervals = re.sub(r"\d+ resamples", f"{resamples} resamples", intervals)
    lines = ["; ".join([f"{split}: {counts}", intervals, *filter(None, notes)])]
    if len(runs) == 1:
        return [*lines, f"cache {runs[0].record.cache}"]
    return [*lines, *(f"cache {run.record.cache}: {run.backbone}" for run in runs)]


def dress(ax: Axes, *others: Axes | None) -> None:
    """Give axes the sizes of `analysis.style`, and if they are of this package all others of their
    figure too.
    """
    all_axes = (
        figure_of(ax).axes if isinstance(ax, ShownAxes) else [ax, *(one for one in others if one)]
    )
    look().dress(*all_axes)
    for one in all_axes if look().width is not None else ():
        width = width_of(one)
        height = float(figure_of(one).get_size_inches()[1] * one.get_position().height)
        for axis, inches in ((one.xaxis, width), (one.yaxis, height)):
            letters = max(12, int(1.15 * inches * 72 / (0.5 * look().font_size)))
            if max(map(len, axis.label.get_text().split("\n"))) > letters:
                lines = axis.label.get_text().split("\n")
                axis.set_label_text("\n".join(textwrap.fill(line, letters) for line in lines))


def caption(ax: Axes) -> str:
    """The title of a figure and its small print in one line, for the caption in a paper.

    >>> from analysis import layer_curve
    >>> "resamples" in caption(layer_curve("results/demo.run"))
    True
    """
    return " ".join(CAPTIONS[one] for one in figure_of(ax).findobj(CAPTIONS.__contains__))


def sentences(parts: Sequence[str]) -> str:
    """Parts as sentences, each with its point."""
    return " ".join(f"{' '.join(part.split()).rstrip('.')}." for part in parts if part)


def check_few(n: int, by: str = "", *, classes: bool = False) -> None:
    """Raise ProbeError where a picture would have more conditions, or classes, than can be told
    apart, or drawn.
    """
    if n > MOST_DRAWN:
        what = (
            f"{by!r} has {n:,} values" if by else f"{n:,} {'classes' if classes else 'conditions'}"
        )
        advice = f"Name a column of fewer with {argument('by')}"
        if classes:
            advice = (
                "Leave rare ones out of the sweep with "
                f"{argument('min_count')}; every class is in results.csv"
            )
        raise ProbeError(f"{what}, at most {MOST_DRAWN} are drawn in a picture. {advice}")
