"""Figures as files: png, svg and pdf."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backend_bases import get_registered_canvas_class
from matplotlib.figure import Figure

from cache import ProbeError
from cache.atomic import replaced
from probing.runs import Run

FIGURES = ("png", "svg")
FORMATS = ("png", "svg", "pdf")
DPI = 150


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are in.

    >>> from analysis import layer_curve
    >>> figure_of(layer_curve("results/demo.run")).axes[0].get_xlabel()
    ''
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def save_figure(ax: Axes, path: str | Path, dpi: int = DPI) -> Path:
    """Write the figure of some axes as png, svg or pdf, whole or not at all; the same figure gives
    the same file.

    Raises:
        ProbeError: another suffix, or a folder that cannot be written to.

    >>> from analysis import layer_curve
    >>> save_figure(layer_curve("results/demo.run"), "curve.pdf").name
    'curve.pdf'
    """
    path = Path(path)
    kind = check_format(path)
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    # in memory: a full disk in the midst of a pdf makes matplotlib fail in another way fonts are
    # embedded as they are (TrueType): publishers refuse those of Type 3, which are matplotlib's
    # default
    with matplotlib.rc_context({"svg.hashsalt": path.stem, "pdf.fonttype": 42, "ps.fonttype": 42}):
        drawn = rendered(figure_of(ax), kind, dpi, metadata.get(kind))
    with replaced(path) as partial:
        partial.write_bytes(drawn)
    return path


def rendered(
    figure: Figure, kind: str, dpi: float | None = None, metadata: dict[str, Any] | None = None
) -> bytes:
    """A figure as png, svg or pdf: the bytes that `savefig` writes, in four fifths of its time.

    `savefig` draws twice, the first time without a canvas to lay the figure out; but drawing does
    that itself.

    >>> from analysis import layer_curve
    >>> rendered(figure_of(layer_curve("results/demo.run")), "png")[1:4]
    b'PNG'
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
    """The format that a file's name asks for; ProbeError where it is none of FORMATS.

    >>> check_format(Path("curve.PDF"))
    'pdf'
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ProbeError(f"{path}: expected a name that ends in .{', .'.join(FORMATS)}")
    return kind


def save_into(run: Run, name: str, ax: Axes) -> list[str]:
    """Write a figure into a run's `figures` folder as png and svg; gives the paths.

    >>> from analysis import layer_curve
    >>> paths = save_into(Run("results/demo.run"), "mine", layer_curve("results/demo.run"))
    >>> [Path(path).name for path in paths]
    ['mine.png', 'mine.svg']
    """
    return [str(save_figure(ax, run.folder / "figures" / f"{name}.{kind}")) for kind in FIGURES]
