"""Figures of a page: inline SVG with its values, which answer to the pointer, to touch and to the
keyboard.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable

from matplotlib.axes import Axes

from analysis.plots.axes import new_axes
from analysis.plots.saving import figure_of
from analysis.reports.values import Series, Value, values_of
from analysis.reports.vector import vector_of, written

# inches: a desk and paper, and a telephone
WIDE = (8.4, 4.8)
NARROW = (4.4, 5.4)


def figure(what: str, drawn: Callable[[Axes], Axes]) -> str:
    """A figure drawn twice, so that its text can be read on a desk, on paper and on a telephone.

    Args:
        what: it shows, as text.
        drawn: draws it on axes.

    >>> from analysis import layer_curve
    >>> figure("EER by layer", lambda ax: layer_curve("results/demo.run", ax=ax))[:7]
    '<figure'
    """
    wide, narrow = (drawn(new_axes(height, width)) for width, height in (WIDE, NARROW))
    return _figure(_inline(wide, what, "wide") + _inline(narrow, what, "narrow"))


def picture(what: str, ax: Axes) -> str:
    """A figure that cannot be drawn narrower: it scrolls in its own box.

    >>> from analysis import layer_curve
    >>> picture("EER by layer", layer_curve("results/demo.run"))[:7]
    '<figure'
    """
    points = 72 * figure_of(ax).get_size_inches()[0]
    return _figure(
        _inline(
            ax, what, "", f"min-width: min({points:.0f}px, 44rem); max-width: {1.4 * points:.0f}px"
        ),
        "scroll",
    )


def _figure(drawn: str, how: str = "") -> str:
    name = f' class="{how}"' if how else ""
    return f'<figure{name}>{drawn}<div class="tip" role="status"></div></figure>'


def _inline(ax: Axes, what: str, how: str, style: str = "") -> str:
    """A drawing and its values."""
    root = vector_of(ax)
    found = values_of(figure_of(ax))
    spoken = f"{what}. Values by arrow keys" if found else what
    about = {
        "class": how,
        "style": style,
        "role": "img",
        "aria-label": spoken,
        "tabindex": "0" if found else "",
    }
    root.attrib.update({name: value for name, value in about.items() if value})
    return written(root) + (
        f'<script type="application/json">{_in_script(found)}</script>' if found else ""
    )


def _in_script(found: list[Series]) -> str:
    """Series as JSON of which nothing ends a script: [[name, what, [[x, y, at, text, [also]],
    ...]], ...].
    """
    rows = [[each.name, each.what, [_row(value) for value in each.values]] for each in found]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _row(value: Value) -> list[object]:
    row: list[object] = [value.x, value.y, value.at, value.text]
    return [*row, list(value.also)] if value.also else row


def note(text: str) -> str:
    """A remark in small print, of text.

    >>> note("2 < 3")
    '<p class="note">2 &lt; 3</p>'
    """
    return f'<p class="note">{html.escape(text)}</p>'
