"""Transferability of every layer of a cache, without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import blas

from analysis.caches.views import FRAMES_PER_UTTERANCE, View, check_open, parts, view
from analysis.transferability.scores import (
    COMPONENTS,
    Matrix,
    Spectrum,
    coding_rate,
    gbc,
    h_score,
    logme,
    transrate,
)
from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from cache.reader import Where
from probing.progress import progress_line
from probing.targets.options import TargetOptions
from probing.targets.values import read_column
from probing.threads import blas_workers

SHUFFLED = "transrate_shuffled"  # TransRate grows with the width of a layer, whatever the labels
SCORES = ("logme", "h_score", "transrate", "gbc")
TRAINING: Where = {"split": "train"}
FEWEST = 2  # utterances of a class


def transfer_scores(
    cache: Cache | Sequence[Cache],
    layers: Sequence[int] | None = None,
    where: Where = TRAINING,
    *,
    target: str = "label",
    labels: str | Path = "",
    scores: Sequence[str] = SCORES,
    standardize: bool = True,
    tier: str = "pooled",
    deviation: bool = True,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
    memory_gb: float = 2.0,
) -> pd.DataFrame:
    """LogME, H-score, TransRate and GBC of every layer, from the training set alone.

    Args:
        cache: an open cache, or several of different backbones.
        layers: default all.
        where: utterances, see `Cache.select`; default those of split train.
        target: column that says the class, as `label` or `attack`; utterances of unknown or single
            classes are left out.
        labels: table beside the corpus that has it: csv, tsv or parquet with utterance_id.
        scores: which, of logme, h_score, transrate and gbc.
        standardize: features at mean 0 and variance 1, as the probes see them, and centred targets.
            The published scores take features as they are, so that LogME has no constant term and
            TransRate grows with the norm of a layer; False does so.
        tier: `pooled` or `frames`.
        deviation: pooled tier: mean and standard deviation, as the probes; False for the mean
            alone.
        frames_per_utterance: frames tier: so many of each utterance, at even distances.
        memory_gb: most memory for features; layers that fit are read once, larger ones three times.

    Returns:
        (layers x scores), higher is better, and beside TransRate `transrate_shuffled`, that of
        shuffled labels (its classes are weighted by their size, each centred by its own mean); for
        several caches indexed by backbone and layer, the folder behind backbones that are there
        twice. GBC is that of the first 64 principal
        components.

    Raises:
        ProbeError: no such score, column, layer, tier or utterances, or one class only.

    >>> from cache import Cache
    >>> list(transfer_scores(Cache("results/demo.cache"), [0, 2], scores=["logme", "gbc"]).columns)
    ['logme', 'gbc']
    """
    if not scores or not {*scores} <= {*SCORES}:
        raise OptionError("scores", ",".join(scores), f"expected some of {', '.join(SCORES)}")
    several = not isinstance(cache, Cache)
    columns = list(scores)
    if "transrate" in columns:
        columns.insert(columns.index("transrate") + 1, SHUFFLED)
    tables = []
    if isinstance(cache, (str, Path)):
        check_open(cache)
    caches = list(cache) if not isinstance(cache, Cache) else [cache]
    deviation = deviation and tier == "pooled"
    seen = [view(c, layers, where, tier, deviation, frames_per_utterance) for c in caches]
    # of all, before the layers of any are read
    classes_of_each = [_classes(v, target, labels) for v in seen]
    for v, classes in zip(seen, classes_of_each, strict=True):
        rows = _of_layers(v, classes, wanted=scores, standardize=standardize, memory_gb=memory_gb)
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        tables.append(table.rename_axis("layer"))
    names = [f"{c.about.get('backbone')}" for c in caches]
    names = [
        name if names.count(name) == 1 else f"{name} ({c.folder})"
        for name, c in zip(names, caches, strict=True)
    ]
    table = pd.concat(tables, keys=names, names=["backbone"]) if several else tables[0]
    table.attrs = {
        "caches": [c.id for c in caches],
        "folders": [str(c.folder) for c in caches],
        "target": target,
        "rows": ", ".join(names),
    }
    return table


def _of_layers(
    v: View,
    classes: list[NDArray[np.intp]],
    wanted: Sequence[str],
    standardize: bool,
    memory_gb: float,
) -> dict[int, dict[str, float]]:
    """The scores of every layer, and TransRate of shuffled labels if it is wanted."""
    n = int(v.counts()[np.concatenate(classes)].sum())
    shuffled = _shuffled(classes)
    at_once = max(1, min(len(v.layers), int(memory_gb * 0.5e9 / (8 * n * v.width))))

    def scores_of(layer: int) -> dict[str, float]:
        score = partial(_scores, v, layer, standardize=standardize, memory_gb=memory_gb / at_once)
        found = score(classes=classes, wanted=wanted)
        if "transrate" in wanted:
            control = score(classes=shuffled, wanted=("transrate",))
            found[SHUFFLED] = control["transrate"]
        return found

    rows = {}
    about = f"Transferability of {v.cache.about.get('backbone')}"
    with progress_line(about, len(v.layers), "layers") as line, blas_workers(at_once) as workers:
        for layer, found in zip(v.layers, workers.map(scores_of, v.layers), strict=True):
            rows[layer] = found
            line.advance(1, f"layer {layer}")
    return rows


def _shuffled(classes: list[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
    """Classes of the same sizes whose members were dealt out anew, always in the same way."""
    members = np.random.default_rng(0).permutation(np.concatenate(classes))
    return [
        np.sort(part) for part in np.split(members, np.cumsum([len(rows) for rows in classes])[:-1])
    ]


def _classes(v: View, target: str, labels: str | Path) -> list[NDArray[np.intp]]:
    """The positions of the utterances of each class."""
    if labels:
        values = (
            read_column(TargetOptions(target=target, labels=str(labels)))
            .of(v.table, v.cache)
            .fillna("")
        )
    elif target in v.table:
        values = v.table[target].astype(str)
    else:
        raise OptionError(
            "target",
            target,
            f"no such column. Expected one of {', '.join(v.table.columns)}; or a table that has "
            f"it: {argument('labels', 'FILE')}",
        )
    known = (values != "") & (values != "unknown") & (values.map(values.value_counts()) >= FEWEST)
    classes = [np.flatnonzero(values == name) for name in sorted(values[known].unique())]
    if len(classes) < 2:
        raise ProbeError(
            f"{v.cache.folder}: {len(classes)} classes of {target} with {FEWEST} of these "
            f"{len(v.table)} utterances or more, expected two at least. Choose others with "
            f"{argument('where')}, or another {argument('target')}"
        )
    return classes


def _scores(
    v: View,
    layer: int,
    classes: list[NDArray[np.intp]],
    wanted: Sequence[str],
    standardize: bool,
    memory_gb: float,
) -> dict[str, float]:
    counts = np.array([int(v.counts()[members].sum()) for members in classes])
    n = int(counts.sum())
    mean, blocks = _centred(
        v, layer, classes=classes, n=n, standardize=standardize, memory_gb=memory_gb
    )
    width = next(blocks())[1].shape[1]
    sums = np.zeros((len(classes), width))
    fourth = 0.0
    rates = list[float]()
    # lower halves
    second = np.zeros((width, width), order="F")
    own = np.zeros((width, width), order="F")
    by_class = groupby(blocks(), key=itemgetter(0)) if "transrate" in wanted else [(0, blocks())]
    for first, rows in by_class:
        for c, z in rows:
            sums[c] += z.sum(axis=0)
            fourth += float(np.square(np.einsum("ij,ij->i", z, z)).sum())
            own = blas.dsyrk(1.0, z.T, beta=1.0, c=own, lower=1, overwrite_c=1)
        second += own
        if "transrate" in wanted:
            centred = blas.dsyr(-1 / counts[first], sums[first], a=own, lower=1, overwrite_a=1)
            rates.append(coding_rate(centred, counts[first]))
        own[:] = 0
    s = Spectrum.of(n, counts, width=v.width, second=second, sums=sums, fourth=fourth)
    found = {}
    if "logme" in wanted:
        found["logme"] = logme(s)
        if not standardize:  # as published: nothing is centred
            raw = second + n * np.outer(mean, mean)
            found["logme"] = logme(
                Spectrum.of(
                    n,
                    counts,
                    width=v.width,
                    second=raw,
                    sums=sums + counts[:, None] * mean,
                    fourth=fourth,
                ),
                False,
            )
    if "h_score" in wanted:
        found["h_score"] = h_score(s)
    if "transrate" in wanted:
        found["transrate"] = transrate(s, rates)
    if "gbc" in wanted:
        components = s.components(COMPONENTS)
        means = sums / counts[:, None] @ components
        variances = np.zeros_like(means)
        for c, z in blocks():
            variances[c] += np.square(z @ components - means[c]).sum(axis=0)
        found["gbc"] = gbc(means, variances / counts[:, None])
    return found


def _centred(
    v: View,
    layer: int,
    classes: list[NDArray[np.intp]],
    n: int,
    standardize: bool,
    memory_gb: float,
) -> tuple[Matrix, Callable[[], Iterator[tuple[int, Matrix]]]]:
    """The mean of a layer, and what gives its centred rows again and again, by class.

    Rows that fit half of the memory are read once. Where they are then fewer than their columns,
    they are given in a basis of their own span: the same scores from smaller matrices.
    """
    read = partial(_blocks, v, layer, classes, memory_gb)
    held = list(read()) if 8 * n * v.width < memory_gb * 0.5e9 else []
    shift = next(iter(held or read()))[1].mean(axis=0)  # keeps differences exact
    sums = np.zeros(v.width)
    squares = np.zeros(v.width)
    for _, x in held or read():
        apart = x - shift
        sums += apart.sum(axis=0)
        squares += np.einsum("ij,ij->j", apart, apart)
    mean = shift + sums / n
    scale = np.ones(v.width)
    if standardize:
        variance = squares / n - np.square(sums / n)
        scale = np.sqrt(np.where(variance > 1e-20 * np.square(mean).clip(1e-20), variance, 1.0))

    def centred(x: Matrix) -> Matrix:
        x -= mean
        x /= scale
        return x

    if not held:
        return mean, lambda: ((c, centred(x)) for c, x in read())
    for _, x in held:
        centred(x)
    if n < v.width and standardize:
        rows = np.asarray(np.linalg.qr(np.concatenate([x for _, x in held]).T, mode="r")).T
        ends = np.cumsum([len(x) for _, x in held])[:-1]
        held = [(c, part) for (c, _), part in zip(held, np.split(rows, ends), strict=True)]
    return mean, lambda: iter(held)


def _blocks(
    v: View, layer: int, classes: list[NDArray[np.intp]], memory_gb: float
) -> Iterator[tuple[int, Matrix]]:
    """The rows of one class after another, as float64, with the number of the class."""
    for c, members in enumerate(classes):
        for part in parts(len(members), v.at_once(1, memory_gb / 4)):
            yield c, v.rows([layer], members[part])[0].astype(np.float64)
