"""The values of a drawn figure with where they stand on it.

Any figure can be read, also one of somebody's own: lines, error bars, bands, bars, points and heat
maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.reports.names import (
    key_of,
    measured,
    name_of,
    panel_name,
    place_names,
    reads_plainly,
    text_of,
)

POINTS_PER_INCH = 72.0
MOST_POINTS = 400  # of a line; of longer ones every second, third, ... vertex answers
Ends = dict[float, tuple[float, float]]  # of intervals, by the other coordinate


@dataclass(frozen=True)
class Value:
    """One value: its place in points from the upper left, its place on the axis, its text."""

    x: float
    y: float
    at: str
    text: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Values that belong together, as those of a line."""

    name: str
    what: str
    values: tuple[Value, ...]
    marks: bool = False  # on top of others: a ring around the chosen layer


def values_of(figure: Figure) -> list[Series]:
    """Every series of a figure that has been drawn; marks at one place of a plot are one value.

    >>> from analysis.plots.saving import figure_of
    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> _ = ax.plot([0, 1], [40.0, 30.0], marker="o", label="EER")
    >>> figure_of(ax).draw_without_rendering()
    >>> [
    ...     (series.name, [value.text for value in series.values])
    ...     for series in values_of(figure_of(ax))
    ... ]
    [('EER', ['40.00', '30.00'])]
    """
    found = []
    for ax in figure.axes:
        if ax.get_label() != "<colorbar>" and ax.axison:
            meshes = [mesh for mesh in ax.collections if isinstance(mesh, QuadMesh)]
            found += (
                [series for mesh in meshes for series in _cells(ax, mesh)]
                if meshes
                else _together(_drawn(ax))
            )
    return [series for series in found if series.values]


def _together(found: Iterator[Series]) -> list[Series]:
    """The series, in which marks at a value that is there already are a part of it."""
    kept: list[Series] = []
    for series in found:
        left = []
        for value in series.values:
            of = next(
                (old for old in kept if series.marks and series.name and _beneath(value, old)), None
            )
            if of is None:
                left.append(value)
            else:
                values = [
                    replace(old, also=(*old.also, series.name)) if _same(old, value) else old
                    for old in of.values
                ]
                kept[kept.index(of)] = replace(of, values=tuple(values))
        kept.append(replace(series, values=tuple(left)))
    return kept


def _beneath(value: Value, series: Series) -> bool:
    return any(_same(known, value) for known in series.values)


def _same(one: Value, other: Value) -> bool:
    return abs(one.x - other.x) < 0.5 and abs(one.y - other.y) < 0.5


def _drawn(ax: Axes) -> Iterator[Series]:
    """Lines, bars and points, in the order of drawing."""
    if not reads_plainly(ax.yaxis):
        return
    what = measured(ax.get_ylabel())
    error_bars = [bars for bars in ax.containers if isinstance(bars, ErrorbarContainer)]
    bar_of = {bar.lines[0]: bar for bar in error_bars if bar.lines[0]}
    caps = {cap for bar in error_bars for cap in bar.lines[1]}
    for line in ax.get_lines():
        if line not in caps and line.get_visible():
            yield from _line(ax, line, bar_of.get(line), what)
    for bars in ax.containers:
        if isinstance(bars, BarContainer):
            yield _bars(ax, bars, what)
    for dots in ax.collections:
        if isinstance(dots, PathCollection):
            yield from _dots(ax, dots, what)


def _line(ax: Axes, line: Line2D, bar: ErrorbarContainer | None, what: str) -> Iterator[Series]:
    """A line with its error bars or its band; or none, where it is no line of values."""
    name = name_of(bar or line) or panel_name(ax)
    x = np.asarray(line.get_xdata(orig=False), float)
    y = np.asarray(line.get_ydata(), float)
    points = np.column_stack([x, y])
    # the same at every layer
    if line.get_transform() is ax.get_yaxis_transform(which="grid") and name_of(line):
        level = float(points[0, 1])
        end = np.array([[ax.get_xlim()[1], level]])
        yield Series(name, what, tuple(_placed(ax, end, [""], [number(level)])))
    elif line.get_transform() == ax.transData and len(points) > (0 if _has_marker(line) else 1):
        points = points[:: -(-len(points) // MOST_POINTS)]
        ends = _bar_ends(bar) if bar else _band_ends(ax, line)
        marks = line.get_linestyle() in ("None", "none", " ", "")
        yield Series(name, what, tuple(_with_ends(ax, points, ends)), marks)


def _bars(ax: Axes, bars: BarContainer, what: str) -> Series:
    """The tops of bars."""
    tops = [
        (patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height())
        for patch in bars.patches
    ]
    values = _with_ends(ax, np.array(tops, float).reshape(-1, 2), {})
    return Series(name_of(bars) or panel_name(ax), what, tuple(values))


def _dots(ax: Axes, dots: PathCollection, what: str) -> Iterator[Series]:
    """Points of a scatter plot; of one whose rows are named by texts, one series a row."""
    points = np.asarray(dots.get_offsets(), float)
    if len(ax.get_yticks()):
        yield Series(name_of(dots), what, tuple(_with_ends(ax, points[:MOST_POINTS], {})))
        return
    rows = {
        key_of(text.xy[1]): text_of(text.get_text()) for text in ax.texts if hasattr(text, "xy")
    }
    lines = [drawn for drawn in ax.collections if isinstance(drawn, LineCollection)]
    ends = {
        key_of(part[0][1]): (part[0][0], part[-1][0])
        for drawn in lines
        for part in drawn.get_segments()
        if len(part)
    }
    for point in points:
        text = number(point[0]) + _interval(ends.get(key_of(point[1])))
        name = rows.get(key_of(point[1]), "").split(":")[0]
        yield Series(name, measured(ax.get_xlabel()), tuple(_placed(ax, point[None], [""], [text])))


def _cells(ax: Axes, mesh: QuadMesh) -> Iterator[Series]:
    """The rows of a heat map; what is written in a cell below its number goes with it."""
    corners = np.asarray(cast(Any, mesh).get_coordinates(), float)
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    numbers = np.ma.masked_invalid(np.ma.asarray(mesh.get_array(), float)).reshape(
        centres.shape[:2]
    )
    bar = mesh.colorbar
    what = measured(bar.ax.get_ylabel()) if bar else ""
    written = {
        tuple(map(key_of, text.xy if hasattr(text, "xy") else text.get_position())): text
        for text in ax.texts
    }
    across = place_names(ax.xaxis, centres[0, :, 0])
    for row, name in enumerate(place_names(ax.yaxis, centres[:, 0, 1])):
        shown = [
            column
            for column in range(centres.shape[1])
            if not np.ma.is_masked(numbers[row, column])
        ]
        texts = []
        for column in shown:
            text = written.get((key_of(centres[row, column, 0]), key_of(centres[row, column, 1])))
            below = text_of(text.get_text().partition("\n")[2]) if text else ""
            texts.append(number(float(numbers[row, column])) + (f" ({below})" if below else ""))
        places = centres[row, shown].reshape(-1, 2)
        yield Series(
            name, what, tuple(_placed(ax, places, [across[column] for column in shown], texts))
        )


def _with_ends(ax: Axes, points: NDArray[np.float64], ends: Ends) -> Iterator[Value]:
    """Points of a plot, as (x, y), with the intervals at their x."""
    points = points[np.isfinite(points).all(axis=1)] if len(points) else points
    texts = [number(y) + _interval(ends.get(key_of(x))) for x, y in points]
    return _placed(ax, points, place_names(ax.xaxis, points[:, 0]), texts)


def _placed(
    ax: Axes, points: NDArray[np.float64], at: list[str], texts: list[str]
) -> Iterator[Value]:
    """Values where they stand, without those outside of the axes."""
    figure = cast(Figure, ax.get_figure(root=True))
    high = figure.bbox.height
    there = ax.bbox.padded(2)
    scale = POINTS_PER_INCH / figure.dpi
    for (x, y), where, text in zip(ax.transData.transform(points), at, texts, strict=True):
        if there.contains(x, y):
            yield Value(
                round(float(scale * x), 1), round(float(scale * (high - y)), 1), where, text
            )


def _bar_ends(bar: ErrorbarContainer) -> Ends:
    lines = bar.lines[2]
    parts = [part for part in lines[0].get_segments() if len(part)] if lines else []
    return {key_of(part[0][0]): (part[0][1], part[-1][1]) for part in parts}


def _band_ends(ax: Axes, line: Line2D) -> Ends:
    """Ends of the band that has the colour of a line."""
    found: Ends = {}
    for band in ax.collections:
        colours = band.get_facecolor() if isinstance(band, PolyCollection) else []
        if not len(colours) or not np.allclose(
            np.asarray(colours)[0][:3], to_rgb(line.get_color()), atol=0.01
        ):
            continue
        corners = np.concatenate(
            [np.asarray(path.vertices, float) for path in band.get_paths()] or [np.empty((0, 2))]
        )
        for x, y in corners:
            low, high = found.get(key_of(x), (y, y))
            found[key_of(x)] = (min(low, y), max(high, y))
    return found


def _has_marker(line: Line2D) -> bool:
    return line.get_marker() not in ("", " ", "None", "none", None)


def _interval(ends: tuple[float, float] | None) -> str:
    return f" [{number(ends[0])}, {number(ends[1])}]" if ends and np.isfinite(ends).all() else ""


def number(value: float) -> str:
    """A value to two decimals or three digits, whichever is more.

    >>> number(28.5714), number(0.98765), number(0.00012), number(12345.6)
    ('28.57', '0.988', '0.00012', '12,346')
    """
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1 or not size:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.01 else f"{value:.3g}"
