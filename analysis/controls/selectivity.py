"""Selectivity: how much of a probe's success is the layer's, and not the probe's own or the recording's."""

from __future__ import annotations

import pandas as pd

from analysis.runs.loading import load
from analysis.runs.protocols import check_same_utterances
from cache import ProbeError
from cache.errors import argument
from probing.runs import Run
from probing.runs.simultaneous import layer_bands, layer_gains


def selectivity(run: Run, random: Run | None = None, split: str = "eval") -> pd.DataFrame:
    """The linear probes of a run beside their controls, by layer (EER, 0 to 1).

    Args:
        run: a finished run.
        random: the run of the same architecture with random weights on the same utterances.
        split: `eval` or `dev`.

    Returns:
        One row a layer: eer, low, high; shuffled, the mean EER of the same probe trained on shuffled labels (Hewitt and
        Liang, EMNLP 2019); selectivity = shuffled - eer, with selectivity_low and selectivity_high from the probe's
        interval; trivial, the EER of features that say nothing about speech, and over_trivial = trivial - eer;
        with `random` also random and over_random = random - eer, with over_random_low and over_random_high; of a sweep
        with --probe mlp also mlp, mlp_shuffled and mlp_selectivity, the same for that probe. Above 0 speaks for the
        layer. The intervals of selectivity and over_random hold for all layers at once.

    Raises:
        ProbeError: no such split, no shuffled-label control, or a random run on other utterances.

    >>> from analysis import load
    >>> table = selectivity(load("results/demo.run"), random=load("results/random.run"))
    >>> list(table.columns[:5])
    ['eer', 'low', 'high', 'shuffled', 'selectivity']
    """
    own = _rates(run, "layer", split)
    shuffled = _rates(run, "shuffled-labels", split)
    if own.empty:
        raise ProbeError(f"{run.folder}: no probes on split {split!r}. Expected eval or dev")
    if shuffled.empty:
        raise ProbeError(f"{run.folder}: no shuffled-label control. Sweep again with {argument('control_seeds', 3)}")
    own = own.set_index("layer")
    table = own[["value", "low", "high"]].rename(columns={"value": "eer"})
    table["shuffled"] = shuffled.groupby("layer")["value"].mean()
    table["selectivity"] = table["shuffled"] - table["eer"]
    part = load(run).part(split)
    bands = layer_bands(run, part)
    table["selectivity_low"] = table["shuffled"] - bands["high"]
    table["selectivity_high"] = table["shuffled"] - bands["low"]
    trivial = _rates(run, "trivial-features", split)
    table["trivial"] = float(trivial["value"].iloc[0]) if len(trivial) else float("nan")
    table["over_trivial"] = table["trivial"] - table["eer"]
    mlp, mlp_shuffled = (_rates(run, name, split) for name in ("mlp", "mlp-shuffled-labels"))
    if len(mlp):
        table["mlp"] = mlp.set_index("layer")["value"]
        table["mlp_shuffled"] = mlp_shuffled.groupby("layer")["value"].mean()
        table["mlp_selectivity"] = table["mlp_shuffled"] - table["mlp"]
    if random is not None:
        check_same_utterances(load(run).utterances, random)
        table["random"] = _rates(random, "layer", split).set_index("layer")["value"]
        table["over_random"] = table["random"] - table["eer"]
        gains = layer_gains(run, random, part)
        table["over_random_low"], table["over_random_high"] = gains["low"], gains["high"]
    return table.sort_index()


def _rates(run: Run, experiment: str, split: str) -> pd.DataFrame:
    table = run.rows(experiment, split, load(run).corpus)
    rows = table[(table["metric"] == "eer") & (table["condition"] == "all")]
    return rows if experiment == "trivial-features" else rows.astype({"layer": int})
