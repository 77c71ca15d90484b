"""Simultaneous intervals: those of all layers of a run hold at once, whichever is picked.

With 13 intervals that each hold at 95 % by themselves, one or another misses often. These are
wider, by what the largest deviation among the layers needs on the same resamples (see
`probing.metrics.simultaneous_level`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import ProbeError
from probing.metrics import Resamples, simultaneous_level
from probing.runs import Run


def layer_bands(run: Run, part: str = "eval") -> pd.DataFrame:
    """The metric of each layer's linear probe, with 95 % intervals that hold for all at once.

    Args:
        run: a finished run; resamples and seed are those of its sweep.
        part: `eval`, `dev`, or `eval.CORPUS`.

    Returns:
        One row a layer: the metric, as `eer`, low, high (0 to 1).

    Raises:
        ProbeError: no such part, or a run of a version that did not keep its utterances.

    >>> bands = layer_bands(Run("results/demo.run"))
    >>> bands.index.tolist()
    [0, 1, 2, 3, 4]
    """
    found = {layer: run.trials(f"linear-layer-{layer:02d}", part) for layer in _layers(run)}
    drawn = run.draw(found[next(iter(found))])
    rates, resampled = _rates(run, found, drawn)
    level = simultaneous_level(resampled)
    intervals = [
        run.task.interval(rate, values, drawn, level=level)
        for rate, values in zip(rates, resampled, strict=True)
    ]
    rows = [(interval.value, interval.low, interval.high) for interval in intervals]
    return pd.DataFrame(
        rows, index=pd.Index(found, name="layer"), columns=[run.metric.name, "low", "high"]
    )


def layer_gains(run: Run, other: Run, part: str = "eval") -> pd.DataFrame:
    """By how much each layer is better than the same layer of another run, as a random twin.

    Args:
        run: a finished run; resamples and seed are those of its sweep.
        other: a run on the same utterances; its last layers are left out if it has more.
        part: `eval`, `dev`, or `eval.CORPUS`.

    Returns:
        One row a layer: gain, low, high (of EER points as shares, above 0 where `run` is better),
        paired, with 95 % intervals that hold for all layers at once.

    Raises:
        ProbeError: the runs were made on other utterances.

    >>> gains = layer_gains(Run("results/demo.run"), Run("results/random.run"))
    >>> gains.index.tolist()
    [0, 1, 2, 3, 4]
    """
    mine = {}
    theirs = {}
    for layer in sorted(set(_layers(run)) & set(_layers(other))):
        name = f"linear-layer-{layer:02d}"
        mine[layer], there = (
            run.trials(name, part),
            other.trials(name, part).set_index("utterance_id"),
        )
        if set(mine[layer]["utterance_id"]) != set(there.index):
            raise ProbeError(
                f"{run.folder} and {other.folder}: other utterances. Sweep both on one corpus"
            )
        theirs[layer] = there.loc[mine[layer]["utterance_id"]].reset_index()
    drawn = run.draw(mine[next(iter(mine))])
    (rates, resampled), (beside, resampled_beside) = (
        _rates(run, mine, drawn),
        _rates(run, theirs, drawn),
    )
    sign = -1 if run.metric.higher_is_better else 1
    differences = sign * (resampled_beside - resampled)
    level = simultaneous_level(differences)
    intervals = [
        run.task.difference(gain, values, drawn, level)
        for gain, values in zip(sign * (beside - rates), differences, strict=True)
    ]
    rows = [(interval.value, interval.low, interval.high) for interval in intervals]
    return pd.DataFrame(rows, index=pd.Index(mine, name="layer"), columns=["gain", "low", "high"])


def _layers(run: Run) -> list[int]:
    return sorted(int(layer) for layer in run.rows("layer")["layer"])


def _rates(
    run: Run, found: dict[int, pd.DataFrame], drawn: Resamples
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The metric (L,) and on resamples (L, R)."""
    scored = [run.scored(trials) for trials in found.values()]
    name = run.metric.name
    return np.array([trials.figures()[name] for trials in scored]), np.array(
        [trials.resampled(drawn)[name] for trials in scored]
    )
