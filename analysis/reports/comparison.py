"""What a report of several runs begins with: their comparison."""

from __future__ import annotations

import html

from analysis.plots.layers import layer_curve
from analysis.reports.figures import figure, note
from analysis.reports.page import Section
from analysis.reports.tables import table_of
from analysis.reports.untrained import alike
from analysis.runs.comparison import LEGEND, Comparison


def opening_of_comparison(found: Comparison) -> list[str]:
    """The finding.

    >>> from analysis import compare
    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> opening_of_comparison(found)[0][:2]
    '<p'
    """
    return [f'<p class="finding">{html.escape(found.sentence)}</p>']


def sections_of_comparison(found: Comparison, measures: bool | None) -> list[Section]:
    """Every part that the runs have something for.

    >>> from analysis import compare
    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> sections_of_comparison(found, measures=False)[0].title
    'Ranking'
    """
    parts = (
        _ranking(found),
        _differences(found),
        _layers(found),
        _costs(found),
        alike(found, measures),
    )
    return [part for part in parts if part]


def _ranking(found: Comparison) -> Section:
    return Section(
        "Ranking",
        [
            figure(f"{found.metric.called} with interval and rank", found.ranking),
            table_of(found.ranked.reset_index()),
            note(f"{LEGEND}."),
        ],
    )


def _differences(found: Comparison) -> Section:
    text = f"Paired bootstrap, {found.resamples} resamples; p adjusted by Holm's procedure."
    return Section(
        f"Paired differences of {found.metric.called}", [table_of(found.differences), note(text)]
    )


def _layers(found: Comparison) -> Section:
    what = f"{found.metric.called} by layer"
    return Section(what, [figure(what, lambda ax: layer_curve(found.runs, ax=ax))])


def _costs(found: Comparison) -> Section | None:
    if not found.table["gmacs"].notna().any():
        return None
    what = f"{found.metric.called} against multiply-accumulates"
    return Section(what, [figure(what, found.pareto)])
