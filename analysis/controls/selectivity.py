"""Selectivity: how much of a probe's success is the layer's, not the probe's or the recording's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from analysis.runs.protocols import check_same_utterances
from cache import ProbeError
from cache.errors import argument
from probing.runs import Run
from probing.runs.simultaneous import layer_bands, layer_gains


def selectivity(
    run: str | Path | Run, random: str | Path | Run | None = None, split: str = "eval"
) -> pd.DataFrame:
    """The linear probes of a run beside their controls, by layer (EER, 0 to 1).

    Of another target than bona fide against spoof, the metric of the findings stands for EER, under
    its own name; if higher is better, differences are turned, so that above 0 speaks for the layer
    all the same.

    Args:
        run: a finished run, or its folder.
        random: the run of the same architecture with random weights on the same utterances.
        split: `eval` or `dev`.

    Returns:
        One row a layer: eer, low, high; shuffled, the mean EER of the same probe trained on
        shuffled labels (Hewitt and Liang, EMNLP 2019); selectivity = shuffled - eer, with
        selectivity_low and selectivity_high from the probe's interval; trivial, the EER of features
        that say nothing about speech, and over_trivial = trivial - eer; with `random` also random
        and over_random = random - eer, with over_random_low and over_random_high; of a sweep with
        --probe mlp also mlp, mlp_shuffled and mlp_selectivity, the same for that probe. Above 0
        speaks for the layer. The intervals of selectivity and over_random hold for all layers at
        once.

    Raises:
        ProbeError: no such split, no shuffled-label control, or a random run on other utterances.

    >>> from analysis import load
    >>> table = selectivity(load("results/demo.run"), random=load("results/random.run"))
    >>> list(table.columns[:5])
    ['eer', 'low', 'high', 'shuffled', 'selectivity']
    """
    run = load(run)
    own = _rates(run, "layer", split)
    shuffled = _rates(run, "shuffled-labels", split)
    if own.empty:
        raise ProbeError(f"{run.folder}: no probes on split {split!r}. Expected eval or dev")
    if shuffled.empty:
        raise ProbeError(
            f"{run.folder}: no shuffled-label control. Sweep again with "
            f"{argument('control_seeds', 3)}"
        )
    own = own.set_index("layer")
    name, loss = run.metric.name, run.metric.loss
    table = own[["value", "low", "high"]].rename(columns={"value": name})
    table["shuffled"] = shuffled.groupby("layer")["value"].mean()
    table["selectivity"] = loss(1) * (table["shuffled"] - table[name])
    part = run.part(split)
    bands = layer_bands(run, part)
    ends = [loss(1) * (table["shuffled"] - bands[end]) for end in ("low", "high")]
    table["selectivity_low"], table["selectivity_high"] = (
        ends if run.metric.higher_is_better else ends[::-1]
    )
    trivial = _rates(run, "trivial-features", split)
    table["trivial"] = float(trivial["value"].iloc[0]) if len(trivial) else float("nan")
    table["over_trivial"] = loss(1) * (table["trivial"] - table[name])
    mlp, mlp_shuffled = (_rates(run, name, split) for name in ("mlp", "mlp-shuffled-labels"))
    if len(mlp):
        table["mlp"] = mlp.set_index("layer")["value"]
        table["mlp_shuffled"] = mlp_shuffled.groupby("layer")["value"].mean()
        table["mlp_selectivity"] = loss(1) * (table["mlp_shuffled"] - table["mlp"])
    if random is not None:
        random = load(random)
        check_same_utterances(run.utterances, random)
        table["random"] = _rates(random, "layer", split).set_index("layer")["value"]
        table["over_random"] = loss(1) * (table["random"] - table[name])
        gains = layer_gains(run, random, part)
        table["over_random_low"], table["over_random_high"] = gains["low"], gains["high"]
    return table.sort_index()


def _rates(run: LoadedRun, experiment: str, split: str) -> pd.DataFrame:
    table = run.rows(experiment, split, run.corpus)
    rows = table[(table["metric"] == run.metric.name) & (table["condition"] == "all")]
    return rows if experiment == "trivial-features" else rows.astype({"layer": int})
