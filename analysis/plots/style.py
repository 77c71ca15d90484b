"""What every figure says: its title and the small print below it, or the caption of both."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from analysis.plots.axes import dress, plain, width_of, write_title
from analysis.plots.axes import new_axes as new_axes
from analysis.plots.look import look
from analysis.plots.saving import FIGURES as FIGURES
from analysis.plots.saving import figure_of
from analysis.plots.saving import save_figure as save_figure
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from cache.errors import OptionError, argument

MOST_DRAWN = 100  # conditions in one picture
# of each small print, its title and lines
CAPTIONS: WeakKeyDictionary[Artist, str] = WeakKeyDictionary()


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
    below these. `notes` are further lines.

    >>> from analysis import load
    >>> ax = new_axes()
    >>> label(ax, [load("results/demo.run")], title="mine")
    >>> ax.get_title(loc="left").startswith("mine: ")
    True
    """
    dress(ax, lowest)
    inches = width_of(ax)
    text = titled(ax, named(runs, title))
    small_print(
        lowest or ax,
        text,
        lines=stamp_lines(runs, split, resamples=resamples, bands=bands, notes=notes),
        inches=inches,
        below=below,
    )


def titled(ax: Axes, text: str) -> str:
    """Write a title above axes unless `analysis.style` asks for another; gives the text, without
    line breaks.

    >>> titled(new_axes(), "EER by layer")
    'EER by layer'
    """
    wanted = text if look().title is None else look().title or ""
    points = look().title_pt
    letters = max(20, int(121 / points * width_of(ax)))
    lines = textwrap.fill(wanted, letters, break_on_hyphens=False)
    write_title(ax, plain(lines), fontsize=points)
    return text


def small_print(
    ax: Axes, title: str, lines: Sequence[str], inches: float, below: float = 38
) -> None:
    """Write lines below axes, in a paper invisibly; `caption` has them with the title.

    >>> ax = new_axes()
    >>> small_print(ax, "EER by layer", lines=["eval: 12 trials"], inches=8.0)
    >>> caption(ax)
    'EER by layer. eval: 12 trials.'
    """
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
    """Lines of the small print, broken where they are wider than so many inches.

    >>> wrapped(["eval: 12 trials"], inches=8.0)
    'eval: 12 trials'
    """
    letters = max(40, int(147 / look().note_pt * inches))
    return "\n".join(textwrap.fill(line, letters, break_on_hyphens=False) for line in lines)


def named(runs: Sequence[LoadedRun], title: str = "") -> str:
    """What a figure is of: backbone, corpus, and what else its title says.

    >>> from analysis import load
    >>> named([load("results/demo.run")], "EER").startswith("EER: embedded")
    True
    """
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
    """Trials, intervals and caches: the lines of the small print.

    >>> from analysis import load
    >>> stamp_lines([load("results/demo.run")], "eval")[0].partition(";")[0]
    'eval: 6 bona fide + 6 spoof'
    """
    counts = runs[0].task.in_words(runs[0].record.counts[runs[0].part(split)])
    intervals = bands or runs[0].record.intervals_of(runs[0].part(split))
    if resamples:
        intervals = re.sub(r"\d+ resamples", f"{resamples} resamples", intervals)
    lines = ["; ".join([f"{split}: {counts}", intervals, *filter(None, notes)])]
    if len(runs) == 1:
        return [*lines, f"cache {runs[0].record.cache}"]
    return [*lines, *(f"cache {run.record.cache}: {run.backbone}" for run in runs)]


def caption(ax: Axes) -> str:
    """The title of a figure and its small print in one line, for the caption in a paper.

    >>> from analysis import layer_curve
    >>> "resamples" in caption(layer_curve("results/demo.run"))
    True
    """
    return " ".join(CAPTIONS[text] for text in figure_of(ax).findobj(CAPTIONS.__contains__))


def sentences(parts: Sequence[str]) -> str:
    """Parts as sentences, each with its point.

    >>> sentences(["EER by layer", "eval: 12 trials."])
    'EER by layer. eval: 12 trials.'
    """
    return " ".join(f"{' '.join(part.split()).rstrip('.')}." for part in parts if part)


def check_split(split: str) -> None:
    """Refuse a part that no figure is of.

    >>> check_split("train")
    Traceback (most recent call last):
    cache.errors.OptionError: split=train: expected dev or eval
    """
    if split not in ("dev", "eval"):
        raise OptionError("split", split, "expected dev or eval")


def check_few(n: int, by: str = "", *, classes: bool = False) -> None:
    """Raise ProbeError where a picture would have too many conditions, or classes, to tell apart.

    >>> check_few(100, "speaker")
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
