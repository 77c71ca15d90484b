"""The numbers that figures show, as tidy tables: one function a kind of figure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.plots.contributions import LEARNED, ablation_table
from analysis.plots.erasure import erasure_table
from analysis.plots.localisation import localisation_table
from analysis.runs.comparison import compare
from analysis.runs.gates import gate_changes
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load, load_many
from probing.exits import find_exits
from probing.metrics import confusion
from probing.runs.condition_names import condition_values
from probing.runs.simultaneous import layer_bands
from probing.targets.metrics import Metric

Some = Sequence[LoadedRun]
ENDS = ["low", "high"]
WORDS = {"n_bonafide": "bona fide", "n_spoof": "spoof", "blocks": "blocks (%)", "macs": "MAC (%)"}
WORDS |= {
    "recall": "recall (%)",
    "best": "best in (%)",
    "gmacs": "GMAC",
    "gmacs_needed": "GMAC needed",
    "gmacs_whole": "GMAC in all",
}


def in_words(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """A table of a figure with its columns called as people read them.

    The column `cache` is left out: the caption names the caches.

    >>> from probing.targets.metrics import METRICS
    >>> in_words(
    ...     pd.DataFrame(columns=["best_layer", "eer", "dev_eer"]), METRICS["eer"]
    ... ).columns.to_list()
    ['best layer', 'EER (%)', 'EER on dev (%)']
    """
    words = WORDS | {metric.name: metric.axis, f"dev_{metric.name}": metric.axis_of(" on dev")}
    shown = table.drop(columns="cache", errors="ignore")
    if "metric" in shown:
        shown["metric"] = shown["metric"].str.replace("_", " ")
    return shown.rename(columns=lambda name: words.get(name, str(name).replace("_", " ")))


def of_layers(
    runs: Some, split: str = "eval", simultaneous: bool = False, relative: bool | None = None
) -> pd.DataFrame:
    """run, layer, metric with its interval, shuffled, strength; `simultaneous`: intervals for all
    layers at once.

    >>> from analysis import load
    >>> list(of_layers([load("results/demo.run")]))[:3]
    ['layer', 'eer', 'low']
    """
    found = []
    several = load_many(runs)
    for name, run in zip(several.names, several, strict=True):
        rows = run.layers[run.layers["split"] == split]
        if simultaneous:
            bands = (
                run.metric.scale * layer_bands(run, run.part(split)).loc[rows["layer"].astype(int)]
            )
            rows = rows.assign(low=bands["low"].to_numpy(), high=bands["high"].to_numpy())
        found.append(rows.assign(run=name))
    columns = [
        "run",
        "layer",
        *(["relative_depth"] if relative else []),
        several[0].metric.name,
        *ENDS,
        "shuffled",
    ]
    return _of_runs(pd.concat(found, ignore_index=True)[[*columns, "strength"]], several)


def of_corpora(run: LoadedRun) -> pd.DataFrame:
    """corpus, layer, metric with its interval.

    >>> from analysis import load
    >>> list(of_corpora(load("results/demo.run")))[:2]
    ['corpus', 'layer']
    """
    of_each = {corpus: load(run, corpus).layers.query("split == 'eval'") for corpus in run.corpora}
    table = pd.concat(
        [rows.assign(corpus=corpus) for corpus, rows in of_each.items()], ignore_index=True
    )
    return table[["corpus", "layer", run.metric.name, *ENDS]]


def of_depths(runs: Some, split: str = "eval", relative: bool | None = None) -> pd.DataFrame:
    """run, head, depth, metric with its interval, and the share of the multiply-accumulates where
    it was measured.

    >>> from analysis import load
    >>> list(of_depths([load("results/demo.run")]))[:3]
    ['head', 'depth', 'eer']
    """
    several = load_many(runs)
    found = []
    for name, run in zip(several.names, several, strict=True):
        costs = run.costs.set_index("depth")["saved"]
        rows = run.depths[run.depths["split"] == split]
        found.append(
            rows.assign(run=name, computed=(100 - rows["depth"].astype(int).map(costs)).round(2))
        )
    columns = [
        "run",
        "head",
        "depth",
        *(["relative_depth"] if relative else []),
        several[0].metric.name,
        *ENDS,
    ]
    return _of_runs(pd.concat(found, ignore_index=True)[[*columns, "computed"]], several)


def of_gates(run: LoadedRun) -> pd.DataFrame:
    """head, layer, and the change of the share of its gate since the start in points: mean and
    range over seeds.

    >>> from analysis import load
    >>> list(of_gates(load("results/demo.run")))[:2]
    ['head', 'layer']
    """
    rows = gate_changes(run)
    return _over_seeds(rows[rows["metric"] == "gate"], ["head", "layer"], "change")


def of_weights(run: LoadedRun) -> pd.DataFrame:
    """head, metric, layer, and the share less that of all alike in points: mean and range over
    seeds.

    >>> from analysis import load
    >>> list(of_weights(load("results/demo.run")))[:3]
    ['head', 'metric', 'layer']
    """
    rows = gate_changes(run)
    rows = rows[rows["metric"].isin(LEARNED)].assign(deviation=rows["share"] - 100 / run.n_blocks)
    return _over_seeds(rows, ["head", "metric", "layer"], "deviation")


def of_ablation(run: LoadedRun) -> pd.DataFrame:
    """head, without or permuted, layer, and the change of the metric: mean and range over seeds.

    >>> from analysis import load
    >>> list(of_ablation(load("results/demo.run")))[:3]
    ['head', 'metric', 'layer']
    """
    return _over_seeds(ablation_table(run), ["head", "metric", "layer"], "change")


def of_conditions(run: LoadedRun, by: str = "attack", split: str = "eval") -> pd.DataFrame:
    """condition, layer, eer with its interval, and how many trials.

    >>> from analysis import load
    >>> list(of_conditions(load("results/demo.run")))[:2]
    ['condition', 'layer']
    """
    return run.by(by, split)


def of_det(run: LoadedRun, by: str = "attack", split: str = "eval") -> pd.DataFrame:
    """As `of_conditions`, at the layer chosen on dev.

    >>> from analysis import load
    >>> list(of_det(load("results/demo.run")))[:2]
    ['condition', 'layer']
    """
    rows = run.by(by, split)
    return rows[rows["layer"] == run.record.finding.layer].reset_index(drop=True)


def of_classes(run: LoadedRun, split: str = "eval") -> pd.DataFrame:
    """class, trials, layer, recall (%).

    >>> from analysis import load
    >>> list(of_classes(load("results/vowels.run")))
    ['class', 'trials', 'layer', 'recall']
    """
    rows = run.rows("by-class", split, run.corpus)
    names = [
        condition_values(condition, [run.task.target])[run.task.target]
        for condition in rows["condition"]
    ]
    counts = run.record.counts[run.part(split)]
    table = pd.DataFrame({"class": names, "trials": [counts[name] for name in names]})
    return table.assign(layer=rows["layer"].to_numpy(), recall=100 * rows["value"].to_numpy(float))


def of_confusion(run: LoadedRun, split: str = "eval") -> pd.DataFrame:
    """class, and of its trials how many are taken for each class, at the layer chosen on dev.

    >>> from analysis import load
    >>> list(of_confusion(load("results/vowels.run")))[:2]
    ['vowel', 'a']
    """
    trials = run.trials(f"linear-layer-{run.record.finding.layer:02d}", run.part(split))
    number = {name: i for i, name in enumerate(run.task.classes)}
    target, chosen = (trials[name].map(number).to_numpy("intp") for name in ("target", "predicted"))
    table = pd.DataFrame(confusion(target, chosen, len(number)), columns=list(number))
    table.insert(0, run.task.target, list(number), allow_duplicates=True)
    return table


def of_localisation(run: LoadedRun, split: str = "eval") -> pd.DataFrame:
    """layer, figure, value with its interval (%).

    >>> from analysis import load
    >>> list(of_localisation(load("results/frames.run")))
    ['layer', 'figure', 'value', 'low', 'high']
    """
    parts = [
        localisation_table(run, split, end).melt(ignore_index=False)["value"]
        for end in ("value", *ENDS)
    ]
    names = localisation_table(run, split).melt(ignore_index=False, var_name="figure").reset_index()
    return names.assign(low=parts[1].to_numpy(), high=parts[2].to_numpy())


def of_erasure(run: LoadedRun, split: str = "eval") -> pd.DataFrame:
    """removed, what is left of the layer chosen on dev, and the same of random directions.

    The first has an interval.

    >>> from analysis import load
    >>> list(of_erasure(load("results/erased.run")))[:2]
    ['removed', 'erased']
    """
    table = erasure_table(run, split)
    table = table[table["layer"] == run.record.finding.layer].drop(columns="layer")
    return table[["removed", "erased", *ENDS, "random", "random_low", "random_high"]].reset_index(
        drop=True
    )


def of_exits(run: LoadedRun) -> pd.DataFrame:
    """Every utterance at one depth, on eval: depth, share of blocks and of multiply-accumulates,
    EER, in per cent.

    >>> from analysis import load
    >>> list(of_exits(load("results/demo.run")))[:2]
    ['depth', 'blocks']
    """
    table = find_exits(run).alone
    table = table[table["split"] == "eval"].drop(columns="split").reset_index(drop=True)
    shares = [name for name in ("blocks", "macs", "eer") if name in table]
    return table.assign(**{name: 100 * table[name] for name in shares})


def of_ranking(runs: Some) -> pd.DataFrame:
    """One row a run; see `analysis.runs.comparison.Comparison`.

    >>> from analysis import load
    >>> len(of_ranking([load("results/demo.run"), load("results/random.run")]))
    2
    """
    return compare(runs).table.reset_index()


def of_pareto(runs: Some) -> pd.DataFrame:
    """run, layer, 10^9 multiply-accumulates, metric with its interval.

    Multiply-accumulates are missing where they were not measured.

    >>> from analysis import load
    >>> list(of_pareto([load("results/demo.run"), load("results/random.run")]))[:3]
    ['run', 'layer', 'gmacs']
    """
    several = compare(runs).runs
    rows = several.layers.query("split == 'eval'")
    costs = several.costs[["run", "depth", "gmacs"]].rename(columns={"depth": "layer"})
    table = rows.astype({"layer": int}).merge(costs, how="left", on=["run", "layer"])
    return table[["run", "layer", "gmacs", several[0].metric.name, *ENDS]]


def _of_runs(table: pd.DataFrame, runs: Sequence[LoadedRun]) -> pd.DataFrame:
    return table.drop(columns="run") if len(runs) == 1 else table


def _over_seeds(rows: pd.DataFrame, keys: list[str], name: str) -> pd.DataFrame:
    found = rows.groupby(keys, sort=False)[name].agg(["mean", "min", "max"]).reset_index()
    return found.rename(columns={"mean": name})
