"""What places, lines and axes of a drawn figure are called."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray


def place_names(axis: Axis, places: NDArray[np.float64]) -> list[str]:
    """What places on an axis are called: by the texts at its ticks, or else by their number.

    >>> from analysis.plots.axes import new_axes
    >>> ax = new_axes()
    >>> _ = ax.set_xlabel("layer")
    >>> place_names(ax.xaxis, np.array([0.0, 3.0]))
    ['layer 0', 'layer 3']
    """
    name = _axis_name(axis)
    texts = _tick_texts(axis)
    if not texts:
        return [f"{name} {_plain_number(place)}".strip() for place in places]
    # of many layers not each has a text
    if all(re.fullmatch(r"\d+", text) for text in texts.values()):
        ticks = np.array(sorted((tick, int(text)) for tick, text in texts.items()), float)
        layers = np.interp(np.asarray(places, float), ticks[:, 0], ticks[:, 1])
        return [f"{name} {_plain_number(layer)}".strip() for layer in layers]
    return [texts.get(key_of(place), "") for place in places]


def _tick_texts(axis: Axis) -> dict[float, str]:
    """The texts at ticks that were set by hand; none where they are numbers of a scale."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    return {
        key_of(at): text_of(label.get_text())
        for at, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    }


def reads_plainly(axis: Axis) -> bool:
    """Whether places on an axis are the numbers that stand there, unlike DET curves.

    >>> from analysis.plots.axes import new_axes
    >>> reads_plainly(new_axes().yaxis)
    True
    """
    numbers = [(at, re.fullmatch(r"-?[\d.]+", text)) for at, text in _tick_texts(axis).items()]
    return all(found is None or abs(float(found.group()) - at) < 1e-3 for at, found in numbers)


def _axis_name(axis: Axis) -> str:
    """The label of an axis up to its remarks, or of one that shares it."""
    several = (
        axis.axes.get_shared_x_axes().get_siblings(axis.axes) if isinstance(axis, XAxis) else []
    )
    labels = [axis.get_label_text(), *(other.get_xlabel() for other in several)]
    name = re.split(r" \(|, |; |\n", next(filter(None, labels), ""))[0]
    return re.sub(r" \w$", "", name)  # `depth k`


def name_of(artist: Any) -> str:
    """What an artist is called in the legend.

    >>> from matplotlib.lines import Line2D
    >>> name_of(Line2D([], [], label="EER")), name_of(Line2D([], []))
    ('EER', '')
    """
    label = str(artist.get_label())
    return "" if label.startswith("_") else text_of(label)


def panel_name(ax: Axes) -> str:
    """What small axes below others are about; the title of a whole figure names no line of it.

    >>> from analysis.plots.axes import new_axes
    >>> panel_name(new_axes())
    ''
    """
    return (
        text_of(ax.get_title(loc="left"))
        if len(cast(Figure, ax.figure).axes) > 1 and not ax.get_legend()
        else ""
    )


def measured(label: str) -> str:
    """The label of an axis without what it says of bands.

    >>> measured("EER (%) on eval; bands: 95 %")
    'EER (%) on eval'
    """
    return re.split(r", |; ", text_of(label))[0]


def text_of(shown: str) -> str:
    """A text of a figure as it was before `plain`.

    >>> text_of(" EER   (%) ")
    'EER (%)'
    """
    return " ".join(shown.replace(r"\$", "$").split())


def key_of(value: Any) -> float:
    """A coordinate as a key, alike where two differ by rounding alone.

    >>> key_of(0.1 + 0.2) == key_of(0.3)
    True
    """
    return round(float(value), 6)


def _plain_number(value: float) -> str:
    return f"{value:.4g}" if abs(value - round(value)) > 1e-6 else f"{round(value)}"
