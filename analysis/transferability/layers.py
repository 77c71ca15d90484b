"""Transferability of every layer of a cache, from its pooled statistics or frames, without training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.transferability.scores import COMPONENTS, Matrix, Spectrum, coding_rate, gbc, h_score, logme, transrate
from analysis.views import FRAMES_PER_UTTERANCE, View, parts, view
from cache import Cache, ProbeError
from cache.reader import Where
from probing.progress import progress_line

SCORES = ("logme", "h_score", "transrate", "gbc")
TRAINING: Where = {"split": "train"}
FEWEST = 2  # utterances of a class


def transferability(
    cache: Cache | Sequence[Cache],
    layers: Sequence[int] | None = None,
    where: Where = TRAINING,
    *,
    target: str = "label",
    standardize: bool = True,
    tier: str = "pooled",
    deviation: bool = True,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
    memory_gb: float = 2.0,
) -> pd.DataFrame:
    """LogME, H-score, TransRate and GBC of every layer: how well a probe will do, from the training set alone.

    Args:
        cache: an open cache, or several of different backbones.
        layers: default all.
        where: utterances, see `Cache.select`; default those of split train.
        target: column that says the class, as `label` or `attack`; utterances of unknown or single classes are left
            out.
        standardize: features at mean 0 and variance 1, as the probes see them, and centred targets. The published
            scores take features as they are, so that LogME has no constant term and TransRate grows with the norm of a
            layer; False does so.
        tier: `pooled` or `frames`.
        deviation: pooled tier: mean and standard deviation, as the probes; False for the mean alone.
        frames_per_utterance: frames tier: so many of each utterance, at even distances.
        memory_gb: most memory for features; layers that fit are read once, larger ones three times.

    Returns:
        (layers x scores), higher is better; for several caches indexed by backbone and layer. GBC is that of the first
        64 principal components.

    Raises:
        ProbeError: no such column, layer, tier or utterances, or one class only.
    """
    several = not isinstance(cache, Cache)
    tables, caches = [], list(cache) if not isinstance(cache, Cache) else [cache]
    for one in caches:
        v = view(one, layers, where, tier, deviation and tier == "pooled", frames_per_utterance)
        classes = _classes(v, target)
        with progress_line(f"Transferability of {one.about.get('backbone')}", len(v.layers), "layers") as line:
            rows = {}
            for layer in v.layers:
                rows[layer] = _scores(v, layer, classes, standardize, memory_gb)
                line.advance(1, f"layer {layer}")
        tables.append(pd.DataFrame.from_dict(rows, orient="index", columns=list(SCORES)).rename_axis("layer"))
    names = [f"{one.about.get('backbone')}" for one in caches]
    names = [name if names.count(name) == 1 else f"{name} ({c.id})" for name, c in zip(names, caches, strict=True)]
    table = pd.concat(tables, keys=names, names=["backbone"]) if several else tables[0]
    table.attrs = {"caches": [one.id for one in caches], "target": target, "rows": ", ".join(names)}
    return table


def _classes(v: View, target: str) -> list[NDArray[np.intp]]:
    """The positions of the utterances of each class."""
    if target not in v.table:
        raise ProbeError(f"target {target!r}: no such column. Columns: {', '.join(v.table.columns)}")
    values = v.table[target].astype(str)
    known = (values != "") & (values != "unknown") & (values.map(values.value_counts()) >= FEWEST)
    classes = [np.flatnonzero(values == name) for name in sorted(values[known].unique())]
    if len(classes) < 2:
        raise ProbeError(
            f"{v.cache.folder}: {len(classes)} classes of {target} with {FEWEST} of these {len(v.table)} utterances or "
            "more, expected two at least. Choose others with where=..., or another target"
        )
    return classes


def _scores(v: View, layer: int, classes: list[NDArray[np.intp]], standardize: bool, memory_gb: float) -> list[float]:
    counts = np.array([int(v.counts()[members].sum()) for members in classes])
    n, held = int(counts.sum()), list[tuple[int, Matrix]]()
    if 8 * n * v.width < memory_gb * 0.5e9:
        held = list(_blocks(v, layer, classes, memory_gb))

    def blocks() -> Iterator[tuple[int, Matrix]]:
        return iter(held) if held else _blocks(v, layer, classes, memory_gb)

    first = next(blocks())[1].mean(axis=0)
    mean = first + sum((x - first).sum(axis=0) for _, x in blocks()) / n
    scale = np.ones(v.width)
    if standardize:
        variance = sum(np.square(x - mean).sum(axis=0) for _, x in blocks()) / n
        scale = np.sqrt(np.where(variance > 1e-20 * np.square(mean).clip(1e-20), variance, 1.0))
    sums, fourth, second = np.zeros((len(classes), v.width)), 0.0, np.zeros((v.width, v.width))
    own, rates = np.zeros_like(second), list[float]()

    def close(c: int) -> None:
        rates.append(coding_rate(own - np.outer(sums[c], sums[c]) / counts[c], counts[c]))
        second[:] += own
        own[:] = 0

    for c, x in blocks():
        if c > len(rates):
            close(len(rates))
        z = (x - mean) / scale
        sums[c] += z.sum(axis=0)
        fourth += float(np.square(np.square(z).sum(axis=1)).sum())
        own += z.T @ z
    close(len(rates))
    s = Spectrum(n, counts, *np.linalg.eigh(second), sums, fourth)
    evidence = logme(s)
    if not standardize:  # as published: nothing is centred
        raw = second + n * np.outer(mean, mean)
        evidence = logme(Spectrum(n, counts, *np.linalg.eigh(raw), sums + counts[:, None] * mean, fourth), False)
    there = s.values[-COMPONENTS:] > 1e-10 * s.values[-1]
    components = s.axes[:, -COMPONENTS:][:, there]
    means = sums / counts[:, None] @ components
    variances = np.zeros_like(means)
    for c, x in blocks():
        variances[c] += np.square((x - mean) / scale @ components - means[c]).sum(axis=0)
    return [evidence, h_score(s), transrate(s, rates), gbc(means, variances / counts[:, None])]


def _blocks(v: View, layer: int, classes: list[NDArray[np.intp]], memory_gb: float) -> Iterator[tuple[int, Matrix]]:
    """The rows of one class after another, as float64, with the number of the class."""
    for c, members in enumerate(classes):
        for part in parts(len(members), v.at_once(1, memory_gb / 4)):
            yield c, v.rows([layer], members[part])[0].astype(np.float64)
