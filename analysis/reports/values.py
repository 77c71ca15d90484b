"""The values of a drawn figure with where they stand on it, read back from what matplotlib has
drawn.

Any figure can be read, also one of somebody's own: lines, error bars, bands, bars, points and heat
maps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

POINTS_PER_INCH = 72.0
MOST_POINTS = 400  # of a line; of longer ones every second, third, ... vertex answers
Ends = dict[float, tuple[float, float]]  # of intervals, by the other coordinate


@dataclass(frozen=True)
class Value:
    """One value: its place in points from the upper left corner, where on the axis it is, the text
    of the value.
    """

    x: float
    y: float
    at: str
    text: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Values that belong together, as those of a line: its name, what is measured, and the values
    in order.
    """

    name: str
    what: str
    values: tuple[Value, ...]
    marks: bool = False  # on top of others: a ring around the chosen layer


def values_of(figure: Figure) -> list[Series]:
    """Every series of a figure that has been drawn; marks at one place of a plot are told as one
    value.
    """
    found = []
    for ax in figure.axes:
        if ax.get_label() != "<colorbar>" and ax.axison:
            meshes = [one for one in ax.collections if isinstance(one, QuadMesh)]
            found += (
                [series for mesh in meshes for series in _cells(ax, mesh)]
                if meshes
                else _together(_drawn(ax))
            )
    return [series for series in found if series.values]


def _together(found: Iterator[Series]) -> list[Series]:
    """The series, with marks at a value that is there already told as a part of it."""
    kept: list[Series] = []
    for series in found:
        left = []
        for value in series.values:
            of = next(
                (one for one in kept if series.marks and series.name and _beneath(value, one)), None
            )
            if of is None:
                left.append(value)
            else:
                values = [
                    replace(one, also=(*one.also, series.name)) if _same(one, value) else one
                    for one in of.values
                ]
                kept[kept.index(of)] = replace(of, values=tuple(values))
        kept.append(replace(series, values=tuple(left)))
    return kept


def _beneath(value: Value, series: Series) -> bool:
    return any(_same(one, value) for one in series.values)


def _same(one: Value, other: Value) -> bool:
    return abs(one.x - other.x) < 0.5 and abs(one.y - other.y) < 0.5


def _drawn(ax: Axes) -> Iterator[Series]:
    """Lines, bars and points, in the order of drawing."""
    if not _reads_plainly(ax.yaxis):
        return
    what = _said(ax.get_ylabel())
    bars = {
        one.lines[0]: one
        for one in ax.containers
        if isinstance(one, ErrorbarContainer) and one.lines[0]
    }
    caps = {
        cap for one in ax.containers if isinstance(one, ErrorbarContainer) for cap in one.lines[1]
    }
    for line in ax.get_lines():
        if line in caps or not line.get_visible():
            continue
        own = bars.get(line)
        name = _name(own or line) or _title(ax)
        points = np.column_stack(
            [np.asarray(line.get_xdata(orig=False), float), np.asarray(line.get_ydata(), float)]
        )
        # the same at every layer
        if line.get_transform() is ax.get_yaxis_transform(which="grid") and _name(line):
            y = float(points[0, 1])
            right = ax.get_xlim()[1]
            yield Series(name, what, tuple(_placed(ax, np.array([[right, y]]), [""], [number(y)])))
        elif line.get_transform() == ax.transData and len(points) > (0 if _has_marker(line) else 1):
            points = points[:: -(-len(points) // MOST_POINTS)]
            ends = _bar_ends(own) if own else _band_ends(ax, line)
            marks = line.get_linestyle() in ("None", "none", " ", "")
            yield Series(name, what, tuple(_told(ax, points, ends)), marks)
    for bar in (one for one in ax.containers if isinstance(one, BarContainer)):
        tops = [
            (patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height())
            for patch in bar.patches
        ]
        yield Series(
            _name(bar) or _title(ax),
            what,
            tuple(_told(ax, np.array(tops, float).reshape(-1, 2), {})),
        )
    for dots in (one for one in ax.collections if isinstance(one, PathCollection)):
        yield from _dots(ax, dots, what)


def _dots(ax: Axes, dots: PathCollection, what: str) -> Iterator[Series]:
    """Points of a scatter plot; of one whose rows are named by texts, one series a row."""
    points = np.asarray(dots.get_offsets(), float)
    if len(ax.get_yticks()):
        yield Series(_name(dots), what, tuple(_told(ax, points[:MOST_POINTS], {})))
        return
    rows = {_key(text.xy[1]): _text(text.get_text()) for text in ax.texts if hasattr(text, "xy")}
    lines = [one for one in ax.collections if isinstance(one, LineCollection)]
    ends = {
        _key(part[0][1]): (part[0][0], part[-1][0])
        for one in lines
        for part in one.get_segments()
        if len(part)
    }
    for point in points:
        told = number(point[0]) + _interval(ends.get(_key(point[1])))
        name = rows.get(_key(point[1]), "").split(":")[0]
        yield Series(name, _said(ax.get_xlabel()), tuple(_placed(ax, point[None], [""], [told])))


def _cells(ax: Axes, mesh: QuadMesh) -> Iterator[Series]:
    """The rows of a heat map; what is written in a cell below its number goes with it."""
    corners = np.asarray(cast(Any, mesh).get_coordinates(), float)
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    numbers = np.ma.masked_invalid(np.ma.asarray(mesh.get_array(), float)).reshape(
        centres.shape[:2]
    )
    bar = mesh.colorbar
    what = _said(bar.ax.get_ylabel()) if bar else ""
    written = {
        tuple(map(_key, text.xy if hasattr(text, "xy") else text.get_position())): text
        for text in ax.texts
    }
    across = _names(ax.xaxis, centres[0, :, 0])
    for row, name in enumerate(_names(ax.yaxis, centres[:, 0, 1])):
        shown = [
            column
            for column in range(centres.shape[1])
            if not np.ma.is_masked(numbers[row, column])
        ]
        told = []
        for column in shown:
            text = written.get((_key(centres[row, column, 0]), _key(centres[row, column, 1])))
            below = _text(text.get_text().partition("\n")[2]) if text else ""
            told.append(number(float(numbers[row, column])) + (f" ({below})" if below else ""))
        places = centres[row, shown].reshape(-1, 2)
        yield Series(
            name, what, tuple(_placed(ax, places, [across[column] for column in shown], told))
        )


def _told(ax: Axes, points: NDArray[np.float64], ends: Ends) -> Iterator[Value]:
    """Points of a plot, as (x, y), with the intervals at their x."""
    points = points[np.isfinite(points).all(axis=1)] if len(points) else points
    told = [number(y) + _interval(ends.get(_key(x))) for x, y in points]
    return _placed(ax, points, _names(ax.xaxis, points[:, 0]), told)


def _placed(
    ax: Axes, points: NDArray[np.float64], at: list[str], told: list[str]
) -> Iterator[Value]:
    """Values where they stand; what lies outside of the axes is not shown and not told."""
    figure = cast(Figure, ax.get_figure(root=True))
    high = figure.bbox.height
    there = ax.bbox.padded(2)
    scale = POINTS_PER_INCH / figure.dpi
    for (x, y), where, text in zip(ax.transData.transform(points), at, told, strict=True):
        if there.contains(x, y):
            yield Value(
                round(float(scale * x), 1), round(float(scale * (high - y)), 1), where, text
            )


def _bar_ends(bar: ErrorbarContainer) -> Ends:
    lines = bar.lines[2]
    parts = [part for part in lines[0].get_segments() if len(part)] if lines else []
    return {_key(part[0][0]): (part[0][1], part[-1][1]) for part in parts}


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
            low, high = found.get(_key(x), (y, y))
            found[_key(x)] = (min(low, y), max(high, y))
    return found


def _names(axis: Axis, places: NDArray[np.float64]) -> list[str]:
    """What places on an axis are called: by the texts at its ticks, or else by their number."""
    said = _axis_name(axis)
    texts = _tick_texts(axis)
    if not texts:
        return [f"{said} {_plain_number(place)}".strip() for place in places]
    # of many layers not each has a text
    if all(re.fullmatch(r"\d+", text) for text in texts.values()):
        ticks = np.array(sorted((tick, int(text)) for tick, text in texts.items()), float)
        layers = np.interp(np.asarray(places, float), ticks[:, 0], ticks[:, 1])
        return [f"{said} {_plain_number(layer)}".strip() for layer in layers]
    return [texts.get(_key(place), "") for place in places]


def _tick_texts(axis: Axis) -> dict[float, str]:
    """The texts at ticks that were set by hand; none where they are numbers of a scale."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    return {
        _key(at): _text(label.get_text())
        for at, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    }


def _reads_plainly(axis: Axis) -> bool:
    """Whether places on an axis are the numbers that stand there; those of a DET curve are
    deviates.
    """
    numbers = [(at, re.fullmatch(r"-?[\d.]+", text)) for at, text in _tick_texts(axis).items()]
    return all(found is None or abs(float(found.group()) - at) < 1e-3 for at, found in numbers)


def _axis_name(axis: Axis) -> str:
    """The label of an axis up to its remarks; where axes share it, that of the one that has a
    label.
    """
    several = (
        axis.axes.get_shared_x_axes().get_siblings(axis.axes) if isinstance(axis, XAxis) else []
    )
    labels = [axis.get_label_text(), *(other.get_xlabel() for other in several)]
    said = re.split(r" \(|, |; |\n", next(filter(None, labels), ""))[0]
    return re.sub(r" \w$", "", said)  # `depth k`


def _name(artist: Any) -> str:
    """What an artist is called in the legend."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else _text(label)


def _title(ax: Axes) -> str:
    """What small axes below others are about; the title of a whole figure names no line of it."""
    return (
        _text(ax.get_title(loc="left"))
        if len(cast(Figure, ax.figure).axes) > 1 and not ax.get_legend()
        else ""
    )


def _has_marker(line: Line2D) -> bool:
    return line.get_marker() not in ("", " ", "None", "none", None)


def _said(label: str) -> str:
    """An axis' label without what it says of bands."""
    return re.split(r", |; ", _text(label))[0]


def _text(shown: str) -> str:
    """A text of a figure as it was before `plain`."""
    return " ".join(shown.replace(r"\$", "$").split())


def _key(value: Any) -> float:
    return round(float(value), 6)


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


def _plain_number(value: float) -> str:
    return f"{value:.4g}" if abs(value - round(value)) > 1e-6 else f"{round(value)}"
