"""What every figure has in common: axes, colours that the colour-blind can tell apart, the stamp, and the file."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from itertools import accumulate, cycle, islice
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.backend_bases import get_registered_canvas_class
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from cache.atomic import replaced
from cache.errors import argument
from probing.console import visible
from probing.runs import Run
from probing.targets.metrics import Metric

FIGURES = ("png", "svg")
MOST_DRAWN = 100  # conditions in one picture
LONGEST = 25  # characters of a name beside an axis
FORMATS = ("png", "svg", "pdf")
MARKERS = "osD^vP"
DASHES = ("-", "--", ":", "-.")
GREY = "0.55"
DPI = 150
LEGEND_PT = 8
TITLE_PT = 11
NOTEBOOK_DPI = 96


def colours(n: int) -> list[Any]:
    """The first n colours of seaborn's colour-blind palette, which begins again after ten."""
    return list(islice(cycle(seaborn.color_palette("colorblind")), n))


class ShownAxes(Axes):
    """Axes of a figure that pyplot does not know: as the last line of a cell, Jupyter shows the figure."""

    def _repr_png_(self) -> bytes:
        return rendered(figure_of(self), "png", NOTEBOOK_DPI)


def new_axes(height: float = 4.8, width: float = 8.0) -> Axes:
    """Axes of a new figure of so many inches, which no global state of pyplot keeps alive."""
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        return Figure(figsize=(width, height), layout="constrained").add_subplot(axes_class=ShownAxes)


def plain(text: str) -> str:
    """A name as a figure shows it as it is: no formula between dollar signs, control characters visible.

    matplotlib leaves what begins with `_` out of legends; a space before it keeps it in.
    """
    shown = visible(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def short(text: str) -> str:
    """A name as `plain` gives it, of a length that leaves room for what is drawn: in its middle something may lack.

    >>> short("a very long name of a class of utterances")
    'a very long na…utterances'
    """
    tail = LONGEST // 2 - 2
    return plain(text if len(text) <= LONGEST else f"{text[: LONGEST - tail - 1]}…{text[-tail:]}")


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are in."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def width_of(ax: Axes) -> float:
    """Width of axes in inches, before any layout."""
    return float(figure_of(ax).get_size_inches()[0] * ax.get_position().width)


def legend(ax: Axes, **how: Any) -> None:
    """A legend between title and axes, where it hides nothing, in as many columns as there is room for."""
    handles, texts = ax.get_legend_handles_labels()
    if not handles:
        return
    n_columns = _columns([LEGEND_PT * 0.52 / 72 * len(text) + 0.6 for text in texts], 1.1 * width_of(ax))
    look: dict[str, Any] = {"fontsize": LEGEND_PT, "ncols": n_columns, "frameon": False, "labelspacing": 0.25}
    place: dict[str, Any] = {"bbox_to_anchor": (0, 1.0), "borderaxespad": 0.3, "borderpad": 0.1}
    shown = ax.legend(handles, texts, loc="lower left", **place, **look, **how)
    n_lines = -(-len(texts) // n_columns) + bool(shown.get_title().get_text())
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=TITLE_PT, pad=6 + 1.4 * LEGEND_PT * n_lines)


def _columns(widths: Sequence[float], room: float) -> int:
    """The most columns, filled one after the other, that entries of these widths leave room for."""
    for n in range(len(widths), 1, -1):
        n_lines, longer = divmod(len(widths), n)
        ends = list(accumulate([n_lines + (i < longer) for i in range(n)]))
        columns = [widths[first:last] for first, last in zip([0, *ends], ends, strict=False)]
        if sum(max(column) for column in columns) <= room:
            return n
    return 1


def axes_below(ax: Axes, share: float) -> Axes | None:
    """Axes below those of `new_axes`, with the same layers across, for which the figure grows by a share.

    None if the axes are somebody's own, or are not alone in their figure.
    """
    figure = figure_of(ax)
    if not isinstance(ax, ShownAxes) or figure.axes != [ax]:
        return None
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height * (1 + share))
    grid = figure.add_gridspec(2, 1, height_ratios=(1, share))
    ax.set_subplotspec(grid[0])
    below = figure.add_subplot(grid[1], sharex=ax)
    below.grid(color="0.92")
    below.set_axisbelow(True)
    below.spines[:].set_color("0.8")
    below.tick_params(length=0)
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    return below


def layer_map(table: pd.DataFrame, ax: Axes, told: str, annotations: pd.DataFrame | bool, **how: Any) -> None:
    """A heat map of shares (%) by layer across and something else down, each with its text.

    Args:
        table: a row a line, a column a layer; its index names the rows.
        ax: where to draw.
        told: what the colours are.
        annotations: texts of the same shape, or True for the numbers.
        how: further arguments of `seaborn.heatmap`.
    """
    usual: dict[str, Any] = {"fmt": "", "annot_kws": {"fontsize": 6.5}, "vmax": 60}
    seaborn.heatmap(
        table, annot=annotations, cmap="cividis", vmin=0, linewidths=0.5, cbar_kws={"label": told}, ax=ax,
        **{**usual, **how},
    )  # fmt: skip
    ax.tick_params(axis="y", rotation=0)


def whole_numbers(ax: Axes) -> None:
    """Let the ticks of the horizontal axis be layers, not fractions of them."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def whole_rates(ax: Axes, least: float = 60.0, metric: Metric | None = None) -> None:
    """Let the vertical axis begin at 0 and hold everything that was drawn, intervals as well; up to `least` anyhow.

    Accuracies end at 100 %; of figures that are no shares, the axis holds what was drawn and chance.
    """
    low, high = float(ax.dataLim.y0), float(ax.dataLim.y1)
    if metric is None or metric.name == "eer":
        ax.set_ylim(0, max(least, high + 3))
    elif metric.share:
        ax.set_ylim(0, 103)
    else:
        low, high = (min(low, metric.chance), max(high, metric.chance)) if metric.chance is not None else (low, high)
        room = 0.06 * (high - low)
        ax.set_ylim(low - room if low < 0 else min(low, 0), high + room)


def label(
    ax: Axes,
    runs: Sequence[LoadedRun],
    split: str = "eval",
    title: str = "",
    resamples: int = 0,
    bands: str = "",
    below: int = 38,
    lowest: Axes | None = None,
) -> None:
    """Write backbone and corpus above axes, and below them trials, intervals and the fingerprints' short hashes.

    `resamples` are those of the bootstrap, where they are not those of the sweep. `bands` says what bands are that are
    no intervals of the bootstrap. `below` is how far under the axes the small print begins, in points; `lowest` are the
    axes that it stands under, where there are others below these.
    """
    who = runs[0].backbone if len(runs) == 1 else f"{len(runs)} backbones"
    trained = runs[0].trained_on
    evaluated = runs[0].corpus
    named = f"{who}, {trained if trained == evaluated else f'trained on {trained}, evaluated on {evaluated}'}"
    inches = width_of(ax)
    named = f"{title}: {named}" if title else named
    ax.set_title(plain(textwrap.fill(named, max(20, int(11 * inches)))), loc="left", fontsize=TITLE_PT)
    counts = runs[0].task.in_words(runs[0].record.counts[runs[0].part(split)])
    intervals = bands or runs[0].record.intervals_of(runs[0].part(split))
    if resamples:
        intervals = re.sub(r"\d+ resamples", f"{resamples} resamples", intervals)
    lines = [f"{split}: {counts}; {intervals}"]
    if len(runs) == 1:
        lines.append(f"cache {runs[0].record.cache}")
    else:
        lines += [f"cache {run.record.cache}: {run.backbone}" for run in runs]
    stamp = "\n".join(textwrap.fill(line, max(40, int(21 * inches))) for line in lines)
    (lowest or ax).annotate(
        plain(stamp),
        (0, 0),
        (0, -below),
        "axes fraction",
        textcoords="offset points",
        fontsize=7,
        color="0.4",
        va="top",
    )


def check_few(n: int, by: str = "", *, classes: bool = False) -> None:
    """Raise ProbeError where a picture would have more conditions, or classes, than can be told apart, or drawn."""
    if n > MOST_DRAWN:
        what = f"{by!r} has {n:,} values" if by else f"{n:,} {'classes' if classes else 'conditions'}"
        advice = f"Name a column of fewer with {argument('by')}"
        if classes:
            advice = f"Leave rare ones out of the sweep with {argument('min_count')}; every class is in results.csv"
        raise ProbeError(f"{what}, at most {MOST_DRAWN} are drawn in a picture. {advice}")


def save_figure(ax: Axes, path: str | Path, dpi: int = DPI) -> Path:
    """Write the figure of some axes as png, svg or pdf, whole or not at all; the same figure gives the same file.

    Raises:
        ProbeError: another suffix, or a folder that cannot be written to.

    >>> from analysis import layer_curve
    >>> save_figure(layer_curve("results/demo.run"), "curve.pdf").name
    'curve.pdf'
    """
    path = Path(path)
    kind = check_format(path)
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    # in memory: a full disk in the midst of a pdf makes matplotlib fail in another way
    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        drawn = rendered(figure_of(ax), kind, dpi, metadata.get(kind))
    with replaced(path) as partial:
        partial.write_bytes(drawn)
    return path


def rendered(figure: Figure, kind: str, dpi: float | None = None, metadata: dict[str, Any] | None = None) -> bytes:
    """A figure as png, svg or pdf: the bytes that `savefig` writes, in four fifths of its time.

    `savefig` draws twice, the first time without a canvas to lay the figure out; but drawing does that itself.
    """
    file, canvas, before = io.BytesIO(), figure.canvas, figure.dpi
    try:
        figure.dpi = dpi or before
        getattr(get_registered_canvas_class(kind)(figure), f"print_{kind}")(file, metadata=metadata)
    finally:
        figure.set_canvas(canvas)
        figure.dpi = before
    return file.getvalue()


def check_format(path: Path) -> str:
    """The format that a file's name asks for; ProbeError where it is none of FORMATS."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ProbeError(f"{path}: expected a name that ends in .{', .'.join(FORMATS)}")
    return kind


def save_into(run: Run, name: str, ax: Axes) -> list[str]:
    """Write a figure into a run's `figures` folder as png and svg; gives the paths."""
    return [str(save_figure(ax, run.folder / "figures" / f"{name}.{kind}")) for kind in FIGURES]
