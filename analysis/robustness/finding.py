"""The finding of robustness: which layers keep what they know over all conditions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.robustness.figures import CLEAN, Robustness
from analysis.runs.paired import LEVEL, holm
from probing.metrics import Interval, difference_interval, difference_p, rate_interval

CHANCE = 50.0
CHANGES = ("noise_to_signal", "cosine", "frames_noise_to_signal", "frames_cosine")


def layers_table(found: Robustness) -> pd.DataFrame:
    """Layers over the mean of all conditions, in per cent and points, on the same resamples.

    Returns:
        A row a layer: clean (EER), eer (mean over conditions), low, high, rise (mean over
        conditions, over clean), rise_low, rise_high, p and p_adjusted (Holm, over layers), shown
        (that it rises), miss_rise and false_alarm_rise (at the threshold of the clean dev set) with
        their ends, less (mean EER less that of the layer chosen on clean dev), less_low, less_high,
        less_p, less_p_adjusted, better (shown to be below it), noise_to_signal and cosine (means),
        and those of frames where they are there.

    >>> from analysis import load
    >>> from analysis.robustness.figures import eval_cache, measure
    >>> from probing.robustness.grid import parse_grid
    >>> run = load("results/demo.run")
    >>> conditions = parse_grid("gain:-20")
    >>> found = measure(run, eval_cache(run), {"gain:-20": run.cache}, conditions, heads=False)
    >>> list(layers_table(found))[:3]
    ['layer', 'clean', 'eer']
    """
    names = [condition.name for condition in found.conditions]
    rows = found.layers
    layers = sorted({layer for layer, _ in found.resampled})
    values = rows.pivot(index="at", columns="condition", values="eer") / 100
    means = {
        layer: np.mean([found.resampled[layer, name] for name in names], axis=0) for layer in layers
    }
    over = {layer: of_layer[0] for layer, of_layer in means.items()}
    chosen = found.run.record.finding.layer
    table = []
    for layer in layers:
        clean = float(values.loc[layer, CLEAN])
        mean = float(values.loc[layer, names].mean())
        rises = over[layer] - found.resampled[layer, CLEAN][0]
        less = over[layer] - over[chosen]
        mine = rows[(rows["at"] == layer) & (rows["condition"] != CLEAN)]
        row = {"layer": layer, "clean": 100 * clean, "eer": 100 * mean}
        row |= _ends("", rate_interval(mean, over[layer], found.drawn))
        row |= {"rise": 100 * (mean - clean)} | _ends(
            "rise_", difference_interval(mean - clean, rises, found.drawn)
        )
        row["p"] = difference_p(mean - clean, rises, found.drawn)
        for name, resampled in zip(
            ("miss_rise", "false_alarm_rise"), means[layer][1:], strict=True
        ):
            value = float(mine[name].mean())
            row[name] = value
            row |= _ends(f"{name}_", difference_interval(value / 100, resampled, found.drawn))
        below = mean - float(values.loc[chosen, names].mean())
        row |= {"less": 100 * below} | _ends("less_", difference_interval(below, less, found.drawn))
        row["less_p"] = difference_p(below, less, found.drawn) if layer != chosen else 1.0
        table.append(row | {name: float(mine[name].mean()) for name in CHANGES if name in mine})
    made = pd.DataFrame(table)
    made["p_adjusted"], made["less_p_adjusted"] = (
        holm(made["p"].to_numpy()),
        holm(made["less_p"].to_numpy()),
    )
    made["shown"] = (made["p_adjusted"] < LEVEL) & (made["rise"] > 0)
    made["better"] = (made["less_p_adjusted"] < LEVEL) & (made["less"] < 0)
    return made


def _ends(before: str, interval: Interval) -> dict[str, float]:
    return {f"{before}low": 100 * interval.low, f"{before}high": 100 * interval.high}


def sentence_of(found: Robustness) -> str:
    """The finding in words.

    >>> from analysis import load
    >>> from analysis.robustness.figures import eval_cache, measure
    >>> from probing.robustness.grid import parse_grid
    >>> run = load("results/demo.run")
    >>> conditions = parse_grid("gain:-20")
    >>> found = measure(run, eval_cache(run), {"gain:-20": run.cache}, conditions, heads=False)
    >>> sentence_of(found)[:8]
    'embedded'
    """
    layers = layers_table(found).set_index("layer")
    chosen = found.run.record.finding.layer
    row = layers.loc[chosen]
    n = len(found.conditions)
    where = f"over {n} conditions" if n > 1 else f"in {found.conditions[0].name}"
    sentences = [
        f"{found.run.backbone}: {where}, the EER of the linear probe of layer {chosen}, chosen "
        f"on clean dev, {_rises(row['rise'], row['rise_low'], row['rise_high'])}, from "
        f"{row['clean']:.1f} % to {row['eer']:.1f} %."
    ]
    better = layers[layers["better"]].sort_values("less")
    if better.empty:
        sentences.append("No layer is shown to have a lower EER there.")
    else:
        best = better.iloc[0]
        named = _listed(better.index.sort_values())
        by = _points(-best["less"], -best["less_high"], -best["less_low"])
        most = f", most at layer {better.index[0]}, by" if len(better) > 1 else ", by"
        sentences.append(f"It is lower at {named}{most} {by}.")
    above_chance = layers[layers["clean"] < CHANCE]
    kept = above_chance[~above_chance["shown"]]
    lost = above_chance[above_chance["shown"]].sort_values("rise")
    if lost.empty:
        sentences.append("No layer is shown to lose what it knows.")
    else:
        worst = lost.iloc[-1]
        most = _points(worst["rise"], worst["rise_low"], worst["rise_high"])
        of_others = (
            f"; a loss is not shown at {_listed(kept.index)}"
            if len(kept)
            else "; every layer is shown to lose"
        )
        sentences.append(f"Layer {lost.index[-1]} loses most, {most}{of_others}.")
    misses, accepts = (
        _change(*(row[f"{rate}_rise{end}"] for end in ("", "_low", "_high")))
        for rate in ("miss", "false_alarm")
    )
    sentences.append(
        f"At the threshold of the clean dev set the probe of layer {chosen} misses {misses} of "
        f"bona fide speech and accepts {accepts} of spoofs."
    )
    if n > 1:
        sentences.append(_hardest(found, chosen))
    return " ".join(sentences)


def _hardest(found: Robustness, layer: int) -> str:
    rows = found.layers[(found.layers["at"] == layer) & (found.layers["condition"] != CLEAN)]
    worst = rows.loc[rows["rise"].idxmax()]
    points = _points(worst["rise"], worst["rise_low"], worst["rise_high"])
    drift = "" if worst["direction"] == "none shown" else f", scores drifting: {worst['direction']}"
    return f"Hardest for layer {layer} is {worst['condition']} ({points}){drift}."


def _points(value: float, low: float, high: float) -> str:
    return f"{_tenth(value)} points [{_tenth(low)}, {_tenth(high)}]"


def _tenth(value: float) -> str:
    """A figure to one digit, without the sign of a zero."""
    return f"{round(value, 1) + 0.0:.1f}"


def _rises(value: float, low: float, high: float) -> str:
    """By how many points it rises or falls, with the interval in the same direction.

    >>> _rises(2.04, -0.01, 3.0)
    'rises by 2.0 points [0.0, 3.0]'
    >>> _rises(-1.9, -3.0, 0.5), _rises(-0.04, -1.0, 1.0)
    ('falls by 1.9 points [-0.5, 3.0]', 'stays as it is, 0.0 points [-1.0, 1.0]')
    """
    if round(value, 1) == 0:
        return f"stays as it is, {_points(value, low, high)}"
    return (
        f"rises by {_points(value, low, high)}"
        if value > 0
        else f"falls by {_points(-value, -high, -low)}"
    )


def _change(value: float, low: float, high: float) -> str:
    """How many points more or fewer, with the interval in the same direction.

    >>> _change(2.0, 1.0, 3.0), _change(-2.0, -3.0, -1.0)
    ('2.0 points [1.0, 3.0] more', '2.0 points [1.0, 3.0] less')
    >>> _change(-0.04, -1.0, 1.0)
    'as much (0.0 points [-1.0, 1.0] more)'
    """
    if round(value, 1) == 0:
        return f"as much ({_points(value, low, high)} more)"
    return (
        f"{_points(value, low, high)} more" if value > 0 else f"{_points(-value, -high, -low)} less"
    )


def _listed(layers: pd.Index) -> str:
    *rest, last = map(str, layers)
    return f"layers {', '.join(rest)} and {last}" if rest else f"layer {last}"
