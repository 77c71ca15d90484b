"""Tables on a terminal, never with a figure cut off."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.measure import Measurement
from rich.table import Table

from probing.console import PlainConsole

if TYPE_CHECKING:  # at run time it costs torch
    import pandas as pd

    from probing.sweep.planning import Plan
    from probing.targets.metrics import Metric

WIDEST = 1000
MOST_LABELS = 24  # of a split, printed one by one

out = PlainConsole()  # results go to standard output, all else to the console


def leave_output(whether: bool = True) -> None:
    """Say what is left to say on standard error, since standard output is a file or JSON."""
    out.stderr = whether


def print_json(value: Any) -> None:
    """Print a value as JSON: tables as lists of objects, what is no number (NaN, infinite) as null.

    It has standard output to itself: what is printed after it goes to standard error.
    """
    out.print(
        json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False),
        markup=False,
        soft_wrap=True,
    )
    leave_output()


def _plain(value: Any) -> Any:
    """The value in the types of JSON."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "item"):  # of numpy
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return (
        value
        if isinstance(value, (str, int, bool, type(None)))
        else None
        if value != value
        else str(value)
    )


def print_whole(table: Table) -> None:
    """Print a table as wide as it is; a terminal that is narrower wraps its lines."""
    needed = Measurement.get(out, out.options.update(max_width=WIDEST), table).maximum
    wide = PlainConsole(file=out.file, width=max(out.width, needed))
    wide.print(table)


def print_layers(table: pd.DataFrame, chosen: str, metric: Metric) -> None:
    """Print the figures of linear probes by layer, from `analysis.reports.report.layer_table`."""
    print_whole(layers_shown(table, chosen, metric))
    out.print("* chosen on dev")


def layers_shown(table: pd.DataFrame, chosen: str, metric: Metric) -> Table:
    """What `print_layers` prints of a table."""
    import pandas as pd

    number = metric.number
    shown = Table(
        title=f"{metric.axis} of linear probes", title_justify="left", box=None, header_style="bold"
    )
    more = [name for name in table if str(name).startswith(("mlp", "control"))]
    for name in ("layer", "dev", "eval", "95 % interval", "C", "shuffled", *more):
        shown.add_column(str(name), justify="right")
    for layer, row in table.iterrows():
        control = "" if pd.isna(row["shuffled"]) else number(row["shuffled"])
        others = ["" if pd.isna(row[other]) else number(row[other]) for other in more]
        interval = f"{number(row['low'])} .. {number(row['high'])}"
        name = f"* {layer}" if layer == chosen else str(layer)
        strength = "by fold" if pd.isna(row["strength"]) else f"{row['strength']:g}"
        shown.add_row(
            name, number(row["dev"]), number(row["eval"]), interval, strength, control, *others
        )
    return shown


def print_corpora(table: pd.DataFrame, metric: Metric) -> None:
    """Print the figures by layer and corpus, from `analysis.reports.report.corpora_table`."""
    shown = Table(
        title=f"\n{metric.axis} on every corpus",
        title_justify="left",
        box=None,
        header_style="bold",
    )
    for name in (table.index.name, *table.columns):
        shown.add_column(str(name), justify="right")
    for layer, row in table.iterrows():
        shown.add_row(str(layer), *(x if isinstance(x, str) else metric.number(x) for x in row))
    print_whole(shown)


def print_plan(plan: Plan) -> None:
    """Print what a corpus can show about depth, from `probing.sweep.planning.plan`."""
    import pandas as pd

    shown = Table(
        title="What this corpus can show about depth",
        title_justify="left",
        box=None,
        header_style="bold",
    )
    for name in (
        "EER %",
        "95 % interval",
        "margin",
        "shown from",
        "power %",
        f"{plan.unit}s needed",
    ):
        shown.add_column(name, justify="right")
    for row in plan.table.itertuples():
        points = f"+- {row.half_width:.1f}", f"{row.margin:.2g}", f"{row.shown_from:.1f}"
        shown.add_row(
            f"{row.eer:g}",
            *points,
            f"{row.power:.0f}",
            "" if pd.isna(row.needed) else f"{row.needed:,}",
        )
    print_whole(shown)
    out.print(
        "interval, margin (the excess that is allowed) and shown from: points of EER. power: how "
        "often a depth that is exactly as good is named; needed: for power 80, instead of "
        f"{plan.fewest}, and as many times the rest. Assumed: two thirds of the variance of "
        "scores are of the cluster, 95 % are common to both depths."
    )
    out.print(f"\n{plan.sentence}\n", markup=False)


def print_counts(counts: pd.DataFrame) -> None:
    """Print utterances by split and label, a line each; a split of many labels has one line.

    Args:
        counts: `split`, `label`, `utterances`, and if known `published` (-1: not known) and
            `missing`.
    """
    import pandas as pd

    for split, rows in counts.groupby("split", sort=False):
        if len(rows) > MOST_LABELS:
            sums = rows[[name for name in ("utterances", "missing") if name in rows]].sum()
            rows = pd.DataFrame([{"split": split, "label": f"({len(rows)} labels)", **sums}])
        for row in rows.to_dict("records"):
            published = f", published {row['published']:,}" if row.get("published", -1) >= 0 else ""
            missing = f", audio missing {row['missing']:,}" if row.get("missing") else ""
            what = " ".join(filter(None, (row["split"], row["label"])))
            out.print(f"{what}: {row['utterances']:,}{published}{missing}", markup=False)


def print_frame(table: pd.DataFrame) -> None:
    """Print a data frame with its index, numbers to four digits, NaN as nothing."""
    shown = Table(box=None, header_style="bold")
    flat = table.reset_index()
    for name in flat.columns:
        shown.add_column(str(name), justify="left" if flat[name].dtype == object else "right")
    for row in flat.itertuples(index=False):
        shown.add_row(
            *("" if x != x else f"{x:z.4g}" if isinstance(x, float) else str(x) for x in row)
        )
    print_whole(shown)
