"""A page that needs nothing beside it and asks the network for nothing: its form, its figures, its tables."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from string import Template

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.style import figure_of, new_axes, rendered

# inches: a desk and paper, and a telephone
WIDE = (8.4, 4.8)
NARROW = (4.4, 5.4)
# an interval stays on one line
NO_BREAK = "\u00a0"
DIGITS = tuple("-0123456789")
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; color: #222 }
h1 { font-size: 1.6rem; line-height: 1.25 } h2 { font-size: 1.25rem; margin-top: 2.5rem } h3 { font-size: 1.05rem }
h1, h2, h3, p, summary { overflow-wrap: anywhere }
.finding { font-size: 1.12rem; border-left: 4px solid #0173b2; padding: .2rem 0 .2rem 1rem }
.note, figcaption { color: #555; font-size: .875rem }
figure { margin: 1.2rem 0 } img { max-width: 100%; height: auto; display: block }
.narrow { display: none }
@media screen and (max-width: 600px) { .wide { display: none } .narrow { display: block } }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .2em .7em; text-align: right }
th { vertical-align: bottom }
th:first-child, td:first-child { text-align: left; padding-left: .2em; min-width: 6em }
thead th { border-bottom: 1px solid #888 } tbody tr:nth-child(even) { background: #f6f7f9 }
pre { background: #f6f7f9; padding: .8rem; overflow: auto; max-height: 26rem; font-size: .8rem; line-height: 1.45 }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt } .scroll, pre { overflow: visible; max-height: none }
  pre { white-space: pre-wrap; overflow-wrap: anywhere } figure, tr, .finding { break-inside: avoid }
  h2, h3 { break-after: avoid } table { font-size: 7.5pt } th, td { padding: .1em .4em; white-space: normal }
}
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def figure(what: str, drawn: Callable[[Axes], Axes]) -> str:
    """A figure drawn twice, so that its text can be read on a desk, on paper and on a telephone."""
    wide, narrow = (_svg(drawn(new_axes(height, width))) for width, height in (WIDE, NARROW))
    told = html.escape(what)
    return (
        f'<figure><img class="wide" alt="{told}" src="{wide}"><img class="narrow" alt="{told}" src="{narrow}"></figure>'
    )


def picture(what: str, ax: Axes) -> str:
    """A figure that cannot be drawn narrower: it scrolls in its own box."""
    inches = figure_of(ax).get_size_inches()[0]
    width = f"min-width: min({inches * 72:.0f}px, 44rem)"
    return f'<figure class="scroll"><img style="{width}" alt="{html.escape(what)}" src="{_svg(ax)}"></figure>'


def _svg(ax: Axes) -> str:
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        drawn = rendered(figure_of(ax), "svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"


def table_of(table: pd.DataFrame, form: str = ".1f") -> str:
    """A table in a box of its own, in which it scrolls where it is wider than the screen."""
    exact = {"strength": "{:g}".format} if "strength" in table else None

    def unbroken(cell: object) -> object:
        return cell.replace(" ", NO_BREAK) if isinstance(cell, str) and cell[:1] in DIGITS else cell

    table = table.rename(columns=lambda name: str(name).replace(" %", f"{NO_BREAK}%"))
    text = table.map(unbroken).to_html(
        float_format=f"{{:{form}}}".format, formatters=exact, na_rep="", border=0, index=False
    )
    return f'<div class="scroll">{text}</div>'
