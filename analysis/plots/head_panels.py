"""Curves of heads by layer, a panel a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots.axes import plain, whole_numbers
from analysis.plots.depths import heads_of
from analysis.plots.legends import legend
from analysis.plots.palette import head_colour, head_marker
from analysis.plots.panels import label_outer, label_panels, panel_title, panels
from analysis.plots.style import label
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from probing.options import command_line

LEARNED = ("weight", "weight_x_norm")


@dataclass(frozen=True)
class HeadCurve:
    """A metric of a head by layer.

    table: a row a layer.
    is_first: whether it is the first of the metrics that its head has.
    """

    head: str
    metric: str
    table: pd.DataFrame
    is_first: bool

    @property
    def dashes(self) -> str:
        """The first metric of a head is solid, the other dotted."""
        return "-" if self.is_first else ":"


def head_curves(
    run: LoadedRun, rows: pd.DataFrame, metrics: tuple[str, ...], condition: str
) -> Iterator[HeadCurve]:
    """Every curve there is; ProbeError if there is none."""
    heads = heads_of(run)
    rows = rows[rows["metric"].isin(metrics)]
    if rows.empty:
        known = sorted(run.contributions["condition"].unique())
        if known and condition not in known:
            raise ProbeError(
                f"{run.folder}: nothing is known of {condition!r}. "
                f"Expected one of {', '.join(known)}"
            )
        what = (
            "gates"
            if metrics[0].startswith("gate")
            else "weights"
            if metrics[0] in LEARNED
            else "ablation"
        )
        having = {"gates": "sls+linear", "weights": "weighted-sum+linear"}.get(what, heads[0])
        advice = command_line("probe", "sweep", run.record.cache_folder, heads=having)
        raise ProbeError(
            f"{run.folder}: its heads ({', '.join(heads)}) have no "
            f"{what}. Sweep such as have: {advice}"
        )
    for name in heads:
        of_head = rows[rows["head"] == name]
        there = [metric for metric in metrics if (of_head["metric"] == metric).any()]
        for metric in there:
            table = of_head[of_head["metric"] == metric].sort_values("layer")
            yield HeadCurve(name, metric, table, metric == there[0])


def draw_by_head(
    run: LoadedRun,
    curves: Sequence[HeadCurve],
    ax: Axes,
    up: str,
    even: str,
    more: Sequence[str],
    condition: str = "all",
    agreed: Mapping[tuple[str, str], float] = MappingProxyType({}),
    same_height: bool = False,
) -> Axes:
    """Draw curves, a panel a head, with a line at 0.

    `even` is the name of that line in the legend; if it is empty, for a scale that ends at 0, no
    line is drawn. `more` goes into the small print; `agreed` is Kendall's W by head and metric,
    where it is known.
    """
    by_head = {
        name: [curve for curve in curves if curve.head == name]
        for name in (curve.head for curve in curves)
    }
    drawn_on, _ = panels(ax, len(by_head), same_height=same_height)
    several = drawn_on[-1] is not ax
    kinds = {curve.metric for curve in curves if curve.is_first}
    for panel, (name, mine) in zip(drawn_on, by_head.items(), strict=True):
        notes = [note for curve in mine if (note := _draw(panel, curve, agreed))]
        what = [mine[0].metric] if len(kinds) > 1 else []
        if several:
            panel_title(panel, name, ", ".join([*what, *notes[:1]]), head_colour(name))
    for panel in dict.fromkeys(drawn_on):
        if even:
            panel.axhline(0, color="0.6", lw=1, ls="--", label=even)
            panel.margins(y=0.1)
        else:
            panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
        panel.set(xlim=(0.5, run.n_blocks + 0.5))
        whole_numbers(panel)
    label_outer(drawn_on, "layer", up)
    n_seeds = len(run.record.options.head_seeds)
    seeds = f"range over {n_seeds} seeds" if n_seeds > 1 else ""
    scales = "each head has a scale of its own" if several and not same_height else ""
    notes = [f"bands: {seeds}" if seeds else "one seed, no bands", *more, scales]
    bands = "; ".join(filter(None, notes))
    title = "" if condition == "all" else condition
    band = [Patch(color="0.6", alpha=0.4, lw=0, label=seeds)] if seeds else []
    if several:
        label_panels(ax, [*_line_kinds(curves, even), *band], [run], title=title, bands=bands)
    else:
        label(ax, [run], title=title, bands=bands)
        legend(ax, band)
    return ax


def _draw(panel: Axes, curve: HeadCurve, agreed: Mapping[tuple[str, str], float]) -> str:
    """Draw a curve with its band; gives its agreement in words, empty if it is not known."""
    w = agreed.get((curve.head, curve.metric))
    note = "" if w is None else f"W {w:.2f}"
    text = f"{plain(curve.head)}: {curve.metric.replace('_x_', ' x ').replace('_', ' ')}"
    layers = curve.table["layer"].astype(int)
    low, middle, high = (curve.table[column].astype(float) for column in ("min", "mean", "max"))
    colour = head_colour(curve.head)
    panel.plot(
        layers,
        middle,
        color=colour,
        ls=curve.dashes,
        marker=head_marker(curve.head),
        ms=3,
        label=", ".join(filter(None, [text, note])),
    )
    panel.fill_between(layers, low, high, color=colour, alpha=0.15, lw=0)
    return note


def _line_kinds(curves: Sequence[HeadCurve], even: str) -> list[Line2D]:
    """What dashes stand for, for the legend of several panels."""
    lines = [
        Line2D([], [], color="0.3", ls=dashes, label=" or ".join(names))
        for dashes in ("-", ":")
        if (names := _metrics(curves, dashes))
    ]
    return lines + ([Line2D([], [], color="0.5", lw=1, ls="--", label=even)] if even else [])


def _metrics(curves: Sequence[HeadCurve], dashes: str) -> list[str]:
    """Metrics in words, of the curves that are so dashed."""
    return list(
        dict.fromkeys(curve.metric.replace("_", " ") for curve in curves if curve.dashes == dashes)
    )
