"""What was measured beside what was published, in one table."""

from __future__ import annotations

import pandas as pd

from probing.reproduction.options import CORPORA
from probing.reproduction.published import PEAKS, PUBLISHED, published_name
from probing.reproduction.tuned import TunedFigures, row
from probing.runs import Run


def compare(found: Run, backbone: str, tuned_figures: TunedFigures | None = None) -> pd.DataFrame:
    """Measured beside published figures, a row a system.

    Systems that answer each other are below each other.

    Args:
        found: a run of `run`.
        backbone: as it was named.
        tuned_figures: of the tuned model, if there is one.

    Returns:
        `source` (a paper, or `measured`), `backbone`, `system`, `depth`, and for every corpus the
        EER in per cent and its interval (empty where published), NaN where it was not measured;
        `seconds` and `memory_bytes` of a tuning.

    >>> table = compare(Run("results/demo.run"), "embedded")
    >>> sorted(set(table["source"]) & {"measured"}), {*CORPORA} <= {*table.columns}
    (['measured'], True)
    """
    rows = []
    for published in PUBLISHED:
        rates = dict(zip(CORPORA, published.rates, strict=True))
        rows.append(
            {
                "source": published.source,
                "backbone": published.backbone,
                "system": published.system,
                "depth": published.depth,
                **rates,
            }
        )
    name = published_name(backbone) or found.backbone
    finding = found.record.finding
    measured = {"source": "measured", "backbone": name}
    for layer, note in ((finding.layer, "chosen on dev"), (finding.last, "last")):
        system = f"linear probe of one layer, {note}"
        rows.append(
            {**measured, "system": system, "depth": layer, **_rates(found, "layer", "layer", layer)}
        )
    heads = sorted(found.rows("depth")["head"].unique())
    for head in heads:
        for depth in sorted(set(found.rows("depth")["depth"])):
            figures = _rates(found, "depth", column="depth", value=int(depth), head=head)
            rows.append({**measured, "system": f"{head}, frozen", "depth": int(depth), **figures})
    if tuned_figures is not None:
        rows.append({**measured, **row(tuned_figures, CORPORA)})
    table = pd.DataFrame(rows)
    kinds = {True: 0, False: 1}
    order = table.assign(
        _other=table["backbone"].ne(name),
        _attentive=table["system"].str.startswith("attentive").map(kinds),
        _single=table["system"].str.startswith("linear"),
    )
    order = order.sort_values(
        ["_other", "_attentive", "_single", "backbone", "depth", "source"], kind="stable"
    )
    return order.drop(columns=["_other", "_attentive", "_single"]).reset_index(drop=True)


def peaks(found: Run, backbone: str) -> str:
    """Where the layer weights of the weighted sum are largest, measured and published.

    Empty for a run without a weighted sum.

    >>> peaks(Run("results/demo.run"), "embedded")[:41]
    'Largest weight of the weighted sum: layer'
    """
    rows = found.results[
        (found.results["experiment"] == "contribution") & (found.results["metric"] == "weight")
    ]
    if rows.empty:
        return ""
    layer = int(rows.groupby("layer")["value"].mean().idxmax())
    known = PEAKS.get(published_name(backbone) or "")
    beside = f" (published: layer {known})" if known else ""
    return f"Largest weight of the weighted sum: layer {layer}{beside}."


def _rates(
    found: Run, experiment: str, column: str, value: int, head: str | None = None
) -> dict[str, object]:
    figures: dict[str, object] = {}
    for corpus in CORPORA:
        if corpus not in found.corpora:
            figures |= {corpus: float("nan"), f"{corpus} 95 %": ""}
            continue
        rows = found.rows(experiment, corpus=corpus)
        rows = rows[
            (rows[column] == value) & rows["seed"].isna() & (rows["head"] == (head or "linear"))
        ].iloc[0]
        figures[corpus] = 100 * float(rows["value"])
        figures[f"{corpus} 95 %"] = f"{100 * rows['low']:.2f} .. {100 * rows['high']:.2f}"
    return figures
