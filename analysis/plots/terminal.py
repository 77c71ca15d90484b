"""A layer curve in plain text, for the terminal: no colour, at most 80 columns."""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from analysis.runs.loading import load
from probing.runs import Run
from probing.targets.metrics import Metric

HEIGHT = 11
# point, chosen one, interval, line across, axis, corner
POINTS = "●◉│┄┤┼"
ASCII_POINTS = "oO|-|+"
DIGITS = 3  # of a tick
MARGIN = 3  # columns of the axis beside them: a space, the line, a space


def shows_lines(encoding: str) -> bool:
    """Whether a terminal of this encoding shows the points and lines of a curve.

    >>> shows_lines("utf-8"), shows_lines("ascii")
    (True, False)
    """
    try:
        POINTS.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def text_curve(run: Run, split: str = "eval", width: int = 80, ascii_only: bool = False) -> str:
    """The metric (EER, %) by layer as text: a point, its 95 % interval as a bar, trivial features
    as a line.

    Args:
        run: a run.
        split: `eval` or `dev`.
        width: most columns; where the layers do not fit, every second, third, ... is shown, and the
            chosen one.
        ascii_only: for terminals that show no other characters.

    >>> from probing.runs import Run
    >>> text_curve(Run("results/demo.run"), ascii_only=True).splitlines()[0]
    'EER (%) on eval by layer; O chosen on dev, | 95 %, -- trivial features'
    """
    run = load(run)
    point, best, bar, dots, side, corner = tuple(ASCII_POINTS if ascii_only else POINTS)
    name = run.metric.name
    digits, form = (DIGITS, ".0f") if run.metric.share else (DIGITS + 2, ".2g")
    layers = run.layers[run.layers["split"] == split]
    chosen = run.record.finding.layer
    every = -(-len(layers) // (width - digits - MARGIN))
    layers = layers[(layers["layer"] % every == 0) | (layers["layer"] == chosen)]
    step = max(1, min(6, (width - digits - MARGIN) // len(layers)))
    trivial = run.controls.query("experiment == 'trivial-features' and split == @split")[
        name
    ].item()
    bottom, top = _range(
        run.metric, np.array([*layers["high"], *layers["low"], *layers[name], trivial])
    )

    def row_of(value: float) -> int:
        return int(np.clip(round((top - value) / (top - bottom) * (HEIGHT - 1)), 0, HEIGHT - 1))

    columns = step * len(layers)
    canvas = [[" "] * columns for _ in range(HEIGHT)]
    canvas[row_of(trivial)] = [dots] * columns
    for i, row in enumerate(layers.itertuples()):
        at = i * step + step // 2
        if row.high == row.high:  # else it has no interval
            for line in range(row_of(row.high), row_of(row.low) + 1):
                canvas[line][at] = bar
        canvas[row_of(getattr(row, name))][at] = best if row.layer == chosen else point
    ticks = {
        row_of(value): f"{value:{form}}".rjust(digits) for value in np.linspace(bottom, top, 6)
    }
    rows = [
        f"{ticks.get(i, digits * ' ')} {side} {''.join(line)}".rstrip()
        for i, line in enumerate(canvas)
    ]
    axis = [" "] * (columns + 4)
    free = 0
    for i, layer in enumerate(layers["layer"]):
        at = i * step + step // 2
        text = str(layer)
        if at >= free or (layer == chosen and at >= free - 1):
            axis[at : at + len(text)] = text
            free = at + len(text) + 1
    rows.append(f"{digits * ' '} {corner} {''.join(axis).rstrip()}")
    about = (
        f"{run.metric.axis} on {split} by layer; {best} chosen on dev, "
        f"{bar} 95 %, {dots}{dots} trivial features"
    )
    return "\n".join([textwrap.fill(about, width), *rows])


def _range(metric: Metric, values: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the axis: of shares from 0 to the next ten per cent, of others what holds every
    value.
    """
    known = values[np.isfinite(values)]
    if metric.share:
        return 0.0, float(10 * np.ceil(max(known.max(), 0) / 10)) or 10.0
    low, high = min(0.0, float(known.min())), max(0.0, float(known.max()))
    return low, high if high > low else low + 1
