"""The report of a run or several: one page that needs nothing beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from analysis.plots.contributions import save_depth_curve
from analysis.plots.erasure import save_erasure_curve
from analysis.plots.layers import save_corpora_curve, save_layer_curve
from analysis.reports.comparison import opening_of_comparison, sections_of_comparison
from analysis.reports.page import Section, page_of
from analysis.reports.run_tables import condition_table, corpora_table, layer_table
from analysis.reports.sections import opening_of_run, sections_of_run
from analysis.runs.companions import companions_of
from analysis.runs.comparison import compare
from analysis.runs.loading import Runs, load_many
from cache.atomic import replaced
from probing.console import visible
from probing.runs import Run

__all__ = ["condition_table", "corpora_table", "layer_table", "save_all", "save_report"]


def save_all(run: Run, others: Sequence[Run] = ()) -> tuple[list[str], str]:
    """Draw every picture that a run has, and write its report; returns the paths of both.

    >>> from probing.runs import Run
    >>> paths, page = save_all(Run("results/demo.run"))
    >>> page
    'results/demo.run/report.html'
    """
    pictures = (
        save_layer_curve(run, others)
        + save_corpora_curve(run)
        + save_depth_curve(run)
        + save_erasure_curve(run)
    )
    return pictures, save_report(run)


def save_report(
    runs: str | Path | Run | Iterable[str | Path | Run],
    path: str | Path | None = None,
    measures: bool | None = None,
    beside: Iterable[str | Path] = (),
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Write the page: the finding, figures, tables, configuration, and how to reproduce it.

    Args:
        runs: a run, or several on the same trials, which are compared first.
        path: where to; default `report.html` in the folder of the first run.
        measures: also similarity of layers and transferability; default where the caches are there
            and small.
        beside: folders that `probe robustness`, `probe exits` or `probe attack` wrote of these
            runs; of each kind not given that in its usual place, `NAME.robustness` beside
            `NAME.run`, if it is of the run.
        say: where to put which folders were taken or left out.

    Returns:
        The path.

    Raises:
        ProbeError: runs that cannot be compared, no cache to measure, or a folder that is of
            another run.

    >>> save_report("results/demo.run", "report.html", measures=False)
    'report.html'
    """
    several = load_many(runs)
    with warnings.catch_warnings():
        # a browser has fonts that matplotlib has not
        warnings.filterwarnings("ignore", r"Glyph \d+")
        page = _page(several, measures, beside, say)
    target = Path(path) if path else several[0].folder / "report.html"
    with replaced(target, "name another file") as partial:
        partial.write_bytes(visible(page).encode())
    return str(target)


def _page(
    several: Runs, measures: bool | None, beside: Iterable[str | Path], say: Callable[[str], None]
) -> str:
    taken, left_out = companions_of(several, beside)
    for line in (
        *(f"With {companion.folder}" for mine in taken for companion in mine),
        *(line for lines in left_out for line in lines),
    ):
        say(line)
    if len(several) == 1:
        run = several[0]
        return page_of(
            f"{run.backbone} on {run.corpus}",
            opening_of_run(run),
            sections_of_run(run, measures, taken[0], left_out[0]),
        )
    found = compare(several)
    sections = sections_of_comparison(found, measures)
    for name, run, mine, lines in zip(several.names, several, taken, left_out, strict=True):
        sections.append(
            Section(name, opening_of_run(run), sections_of_run(run, measures, mine, lines))
        )
    title = f"{len(several)} backbones on {several[0].corpus}"
    return page_of(title, opening_of_comparison(found), sections)
