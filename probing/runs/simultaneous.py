"""Simultaneous intervals: those of all layers of a run hold at once, so that any layer may be picked by looking.

Of 13 intervals at 95 % that each hold by themselves, one or another misses often; these are wider, by what the largest
deviation among the layers needs on the same resamples (see `probing.metrics.simultaneous_level`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import ProbeError
from probing.metrics import (
    Resamples,
    difference_interval,
    draw,
    eer,
    eer_resamples,
    rate_interval,
    simultaneous_level,
)
from probing.runs import Run


def layer_bands(run: Run, part: str = "eval") -> pd.DataFrame:
    """EER of the linear probe of each layer, with 95 % intervals that hold for all layers at once.

    Args:
        run: a finished run; resamples and seed are those of its sweep.
        part: `eval`, `dev`, or `eval.CORPUS`.

    Returns:
        One row a layer: eer, low, high (0 to 1).

    Raises:
        ProbeError: no such part, or a run of a version that did not keep its utterances.
    """
    found = {layer: run.trials(f"linear-layer-{layer:02d}", part) for layer in _layers(run)}
    drawn = _draw(run, found[next(iter(found))])
    rates, resampled = _rates(found, drawn)
    level = simultaneous_level(resampled)
    intervals = [rate_interval(rate, values, drawn, level) for rate, values in zip(rates, resampled, strict=True)]
    rows = [(one.value, one.low, one.high) for one in intervals]
    return pd.DataFrame(rows, index=pd.Index(found, name="layer"), columns=["eer", "low", "high"])


def layer_gains(run: Run, other: Run, part: str = "eval") -> pd.DataFrame:
    """How far the EER of each layer lies below that of the same layer of another run, as one of random weights.

    Args:
        run: a finished run; resamples and seed are those of its sweep.
        other: a run on the same utterances; its last layers are left out if it has more.
        part: `eval`, `dev`, or `eval.CORPUS`.

    Returns:
        One row a layer: gain, low, high (points of EER as shares, above 0 where `run` is better), paired, with 95 %
        intervals that hold for all layers at once.

    Raises:
        ProbeError: the runs were made on other utterances.
    """
    mine = {}
    theirs = {}
    for layer in sorted(set(_layers(run)) & set(_layers(other))):
        name = f"linear-layer-{layer:02d}"
        mine[layer], there = run.trials(name, part), other.trials(name, part).set_index("utterance_id")
        if set(mine[layer]["utterance_id"]) != set(there.index):
            raise ProbeError(f"{run.folder} and {other.folder}: other utterances. Sweep both on one corpus")
        theirs[layer] = there.loc[mine[layer]["utterance_id"]].reset_index()
    drawn = _draw(run, mine[next(iter(mine))])
    (rates, resampled), (beside, resampled_beside) = _rates(mine, drawn), _rates(theirs, drawn)
    differences = resampled_beside - resampled
    level = simultaneous_level(differences)
    intervals = [
        difference_interval(gain, values, drawn, level)
        for gain, values in zip(beside - rates, differences, strict=True)
    ]
    rows = [(one.value, one.low, one.high) for one in intervals]
    return pd.DataFrame(rows, index=pd.Index(mine, name="layer"), columns=["gain", "low", "high"])


def _layers(run: Run) -> list[int]:
    return sorted(int(layer) for layer in run.rows("layer")["layer"])


def _draw(run: Run, trials: pd.DataFrame) -> Resamples:
    options = run.record.options
    bonafide = trials["label"].eq("bonafide")
    return draw(bonafide, run.clusters(trials), n=options.resamples, seed=options.seed)


def _rates(found: dict[int, pd.DataFrame], drawn: Resamples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """EER (L,) and on resamples (L, R)."""
    scores = [(trials["label"].eq("bonafide").to_numpy(), trials["score"].to_numpy()) for trials in found.values()]
    return np.array([eer(*one) for one in scores]), np.array([eer_resamples(*one, drawn) for one in scores])
