"""A layer curve in plain text, for the terminal: no colour, at most 80 columns."""

from __future__ import annotations

import textwrap

import numpy as np

from analysis.runs.loading import load
from probing.runs import Run

HEIGHT = 11
# point, chosen one, interval, line across, axis, corner
POINTS = "●◉│┄┤┼"
ASCII_POINTS = "oO|-|+"
MARGIN = 6  # columns of the axis: 3 digits, a space, the line, a space


def shows_lines(encoding: str) -> bool:
    """Whether a terminal of this encoding shows the points and lines of a curve."""
    try:
        POINTS.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def text_curve(run: Run, split: str = "eval", width: int = 80, ascii_only: bool = False) -> str:
    """EER (%) by layer as rows of text: a point a layer, its 95 % interval as a bar, trivial features as a line.

    Args:
        run: a run.
        split: `eval` or `dev`.
        width: most columns; where the layers do not fit, every second, third, ... is shown, and the chosen one.
        ascii_only: for terminals that show no other characters.
    """
    run = load(run)
    point, best, bar, dots, side, corner = tuple(ASCII_POINTS if ascii_only else POINTS)
    layers = run.layers[run.layers["split"] == split]
    chosen = run.record.finding.layer
    every = -(-len(layers) // (width - MARGIN))
    layers = layers[(layers["layer"] % every == 0) | (layers["layer"] == chosen)]
    step = max(1, min(6, (width - MARGIN) // len(layers)))
    trivial = run.controls.query("experiment == 'trivial-features' and split == @split")["eer"].item()
    ends = np.array([0.0, layers["high"].max(), layers["eer"].max(), trivial])
    top = 10 * np.ceil(ends.max() / 10) or 10.0

    def row_of(rate: float) -> int:
        return round((top - rate) / top * (HEIGHT - 1))

    columns = step * len(layers)
    canvas = [[" "] * columns for _ in range(HEIGHT)]
    canvas[row_of(trivial)] = [dots] * columns
    for i, row in enumerate(layers.itertuples()):
        at = i * step + step // 2
        for line in range(row_of(row.high), row_of(row.low) + 1):
            canvas[line][at] = bar
        canvas[row_of(row.eer)][at] = best if row.layer == chosen else point
    ticks = {row_of(value): f"{value:3.0f}" for value in np.linspace(0, top, 6)}
    rows = [f"{ticks.get(i, '   ')} {side} {''.join(line)}".rstrip() for i, line in enumerate(canvas)]
    axis = [" "] * (columns + 4)
    free = 0
    for i, layer in enumerate(layers["layer"]):
        at = i * step + step // 2
        text = str(layer)
        if at >= free or (layer == chosen and at >= free - 1):
            axis[at : at + len(text)] = text
            free = at + len(text) + 1
    rows.append(f"    {corner} {''.join(axis).rstrip()}")
    about = f"EER (%) on {split} by layer; {best} chosen on dev, {bar} 95 %, {dots}{dots} trivial features"
    return "\n".join([textwrap.fill(about, width), *rows])
