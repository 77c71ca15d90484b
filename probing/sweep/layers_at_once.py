"""What holds for all layers at once: intervals of every layer, and of its excess over one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from probing.metrics import simultaneous_level
from probing.sweep.experiments import AT_ONCE, LAYER_EXCESS
from probing.sweep.results import Results


def add_layers_at_once(
    results: Results, chosen: int, resampled: Mapping[int, NDArray[np.float64]]
) -> None:
    """Add what holds for all layers at once on eval: intervals of the metric and of the excess.

    The excess over the layer chosen on dev is paired, positive if the layer is worse.

    Args:
        results: with the figures of every layer; to which these are added.
        chosen: that layer.
        resampled: layer -> (R,) the metric of its linear probe on resamples of eval.
    """
    task = results.task
    drawn = results.resamples["eval"]
    values_of = results.values_by_layer()
    sign = task.metric.loss(1)
    layers = list(resampled)
    values = np.stack([resampled[layer] for layer in layers])
    level = simultaneous_level(values)
    others = [layer for layer in layers if layer != chosen]
    excess = {layer: sign * (resampled[layer] - resampled[chosen]) for layer in others}
    excess_level = (
        simultaneous_level(np.stack([excess[layer] for layer in others])) if others else level
    )
    for layer, of_layer in zip(layers, values, strict=True):
        of = {"head": "linear", "layer": layer, **results.columns_of("eval")}
        interval = task.interval(values_of[layer], of_layer, drawn, level=level)
        results.append(
            {"experiment": AT_ONCE, **of, "metric": task.metric.name, **asdict(interval)}
        )
        if layer != chosen:
            value = sign * (values_of[layer] - values_of[chosen])
            difference = task.difference(value, excess[layer], drawn, excess_level)
            metric = f"{task.metric.name}_excess"
            results.append(
                {"experiment": LAYER_EXCESS, **of, "metric": metric, **asdict(difference)}
            )
