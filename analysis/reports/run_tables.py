"""Tables of a run as a report and the terminal show them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.runs.loading import load
from probing.runs import Run
from probing.runs.condition_names import condition_values


def layer_table(run: str | Path | Run) -> pd.DataFrame:
    """The metric (EER, %) by layer: dev, eval with its interval, chosen strength, shuffled labels.

    Eval is that of the corpus the findings are about. The last row is the probe on trivial
    features. Of a sweep with --probe mlp also the eval EER of the MLP probe, and of its control; of
    units with types that of the control task, and selectivity with its interval.

    >>> list(layer_table("results/demo.run").index)
    ['0', '1', '2', '3', '4', 'trivial']
    """
    run = load(run)
    both = pd.concat(
        [run.layers, run._rows("trivial-features").reindex(columns=run.layers.columns)]
    )
    both["layer"] = [("trivial" if pd.isna(layer) else str(layer)) for layer in both["layer"]]
    dev, evaluated = (both[both["split"] == split].set_index("layer") for split in ("dev", "eval"))
    name = run.metric.name
    table = evaluated[[name, "low", "high", "strength", "shuffled"]].rename(columns={name: "eval"})
    table.insert(0, "dev", dev[name])
    for experiment in ("mlp", "mlp-shuffled-labels", "control-task"):
        rows = run._rows(experiment)
        rows = rows[rows["split"] == "eval"]
        if len(rows):
            of_layer = rows.groupby(rows["layer"].astype(str))[name].mean()
            table[experiment.replace("-labels", "").replace("-", " ")] = of_layer
    selective = run.rows("selectivity", "eval", run.corpus)
    if len(selective):  # not in runs of earlier versions
        selective = selective.set_index(selective["layer"].astype(str))[["value", "low", "high"]]
        selective = run.metric.scale * selective
        table["selectivity"] = selective["value"]
        table["selectivity 95 %"] = [
            f"{run.metric.number(row.low)} .. {run.metric.number(row.high)}"
            if row.Index in selective.index
            else ""
            for row in selective.reindex(table.index).itertuples()
        ]
    return table


def corpora_table(run: Run) -> pd.DataFrame:
    """The metric on eval by layer (rows) and corpus (columns), with 95 % intervals.

    Shares are in %.

    >>> corpora_table(load("results/demo.run")).index.tolist()
    [0, 1, 2, 3, 4]
    """
    columns = {}
    for corpus in run.corpora:
        of_layer = load(run, corpus).layers.query("split == 'eval'").set_index("layer")
        number = run.metric.number
        columns[corpus] = of_layer[run.metric.name]
        columns[f"{corpus} 95 %"] = (
            of_layer["low"].map(number) + " .. " + of_layer["high"].map(number)
        )
    return pd.DataFrame(columns).rename_axis("layer")


def condition_table(run: Run, experiment: str, split: str, corpus: str) -> pd.DataFrame:
    """EER (%) by condition (rows) and layer (columns), of `by-condition` or
    `unseen-attack` rows.
    """
    rows = run.results
    rows = rows[(rows["experiment"] == experiment) & (rows["metric"] == "eer")]
    rows = rows[(rows["split"] == split) & (rows["corpus"] == corpus)]
    table = 100 * rows.pivot(index="condition", columns="layer", values="value")
    table.columns = pd.Index([str(layer) for layer in table.columns], name=None)
    factors = ["attack"] if experiment == "unseen-attack" else list(run.record.options.by)
    values = [condition_values(name, factors) for name in table.index]
    alone = {tuple(of) for of in values}
    if len(alone) == 1 and len(values[0]) == 1:  # say it once, above
        factor = next(iter(values[0]))
        table.index = pd.Index([of[factor] for of in values], name=factor)
    return table
