"""Minimum description length of labels given a layer (Voita and Titov, EMNLP 2020).

The online code: labels are sent in portions that double, each coded by the probabilities of a probe
trained on those before. A layer from which the labels are easily learnt, by few examples as well,
has a short code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from analysis.caches.views import View, view
from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from cache.reader import Where
from probing.labels import BONAFIDE, are_of_spoofing
from probing.probes import Scaling, fit_logistic
from probing.probes.logistic import fit_multinomial
from probing.progress import progress_line
from probing.targets.metrics import CLASSES
from probing.targets.options import LABEL, TargetOptions
from probing.targets.values import numbered, read_column, task_of

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FIRST = 16  # utterances of the first portion, which is sent without a probe
TOLERANCE = 1e-5
Bits = NDArray[np.float64]
Labels = NDArray[Any]  # (n,) true for bona fide, or the numbers of classes


def description_length(
    cache: Cache,
    layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    target: str = "label",
    labels: str | Path = "",
    seeds: Sequence[int] = (0, 1, 2),
    strengths: Sequence[float] = STRENGTHS,
    first: int = FIRST,
    deviation: bool = True,
    memory_gb: float = 2.0,
) -> pd.DataFrame:
    """Bits of the online code of the labels of a target given each layer.

    Portions end at n, n/2, n/4, ... utterances, the first holding `first` or more and every class;
    it costs one bit an utterance, log2(M) bits of M classes. The probes are those of the sweep
    (class-balanced logistic regression on standardised statistics), their log odds moved to the
    class frequencies seen so far. No strength is chosen from what is ahead: the code is the even
    mixture of those of all strengths, at most log2(strengths) bits longer than the best.

    Args:
        cache: an open cache.
        layers: default all.
        where: utterances, see `Cache.select`; default those of split train.
        target: column whose classes are coded; those of fewer than 5 of these utterances are left
            out.
        labels: table beside the corpus that has it: csv, tsv or parquet with utterance_id.
        seeds: of the order of utterances and of the shuffled labels.
        strengths: values of C, the inverse penalty.
        first: utterances of the first portion, at least.
        deviation: mean and standard deviation, as the probes; False for the mean alone.
        memory_gb: most memory for features; layers are taken in groups that fit.

    Returns:
        One row a layer: bits, mean over seeds; compression, the uniform code (n bits, or n log2(M))
        over this one, with low and high over seeds; shuffled, the compression of labels shuffled
        within each portion, so that as many of either class were seen before each as of the true
        ones, and the two compare on small sets too; frequencies, that by class frequencies alone,
        without the layer, which is above 1 where the classes are of different size. `attrs` has
        portions and n.

    Raises:
        ProbeError: one class only, or too few utterances for two portions.

    >>> from cache import Cache
    >>> table = description_length(Cache("results/demo.cache"), [0, 2], seeds=(0,))
    >>> list(table.index), "compression" in table
    ([0, 2], True)
    """
    if not seeds or not strengths or min(strengths) <= 0 or first < 2:
        raise ProbeError(
            f"seeds={tuple(seeds)}, strengths={tuple(strengths)}, "
            f"first={first}: expected some, above 0, 2+"
        )
    v = view(cache, layers, {"split": "train"} if where is None else where, deviation=deviation)
    values: Labels
    if target == LABEL and not labels:
        rows, values, n_classes = np.arange(len(v.table)), _of_spoofing(v.table["label"], cache), 2
    else:
        rows, values, n_classes = _classes(v, TargetOptions(target=target, labels=str(labels)))
    n = len(rows)
    generators = [np.random.default_rng([seed, 2]) for seed in seeds]
    permuted = [generator.permutation(n) for generator in generators]
    ends = _portions(
        n, first, labellings=[values[order] for order in permuted], n_classes=n_classes, cache=cache
    )
    orders = [
        (order, values[order], _shuffled(values[order], ends, generator))
        for order, generator in zip(permuted, generators, strict=True)
    ]
    uniform = n * float(np.log2(n_classes))
    frequencies = [_frequency_bits(own, ends, n_classes) for _, own, _ in orders]
    found = {}
    with progress_line("Description length", len(v.layers), "layers") as line:
        for group, x in _groups(v, rows, memory_gb):
            bits = np.stack(
                [_online_bits(x, *order, ends, strengths, n_classes) for order in orders]
            )
            for i, layer in enumerate(group):
                compression = uniform / bits[:, i, 0]
                found[layer] = {
                    "bits": float(bits[:, i, 0].mean()),
                    "compression": float(uniform / bits[:, i, 0].mean()),
                    "low": float(compression.min()),
                    "high": float(compression.max()),
                    "shuffled": float(uniform / bits[:, i, 1].mean()),
                    "frequencies": float(uniform / np.mean(frequencies)),
                }
            line.advance(len(group), f"layer {group[-1]}")
    table = pd.DataFrame.from_dict(found, orient="index").rename_axis("layer")
    table.attrs = {"rows": v.name, "n": n, "portions": ends}
    return table


def _of_spoofing(labels: pd.Series[str], cache: Cache) -> NDArray[np.bool_]:
    """True for bona fide utterances."""
    bonafide = (labels == BONAFIDE).to_numpy()
    n = len(bonafide)
    if not are_of_spoofing(labels):
        raise ProbeError(
            f"{cache.folder}: these {n} utterances have other labels than bonafide and spoof, or "
            "none. Expected these two in every row; of other classes name the column: "
            f"{argument('target', 'COLUMN')}"
        )
    if bonafide.all() or not bonafide.any():
        raise ProbeError(
            f"{cache.folder}: these {n} utterances are of one class. "
            f"Choose others with {argument('where')}"
        )
    return np.asarray(bonafide)


def _classes(v: View, options: TargetOptions) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """The utterances (n,) that have a class, its number (n,), and how many classes there are."""
    values = read_column(options).of(v.table, v.cache)
    try:
        task = task_of(options, values, values)
    except OptionError:
        counts = values.value_counts()
        if counts.empty or (counts >= options.min_count).sum() > 1:
            raise
        # its own advice is that of a sweep
        most = ", ".join(f"{value} {n}" for value, n in counts.head(5).items())
        raise OptionError(
            "target",
            options.target,
            f"of these {len(v.table)} utterances most are {most}. Expected two or more classes "
            f"of {options.min_count} at least. Choose others with "
            f"{argument('where')}, or another column",
        ) from None
    if task.name != CLASSES:
        raise OptionError(
            "target",
            options.target,
            "is a number, and a code is of classes. Expected names of classes",
        )
    found, used = numbered(task, values)
    return np.flatnonzero(used), found, len(task.classes)


def _shuffled(labels: Labels, ends: list[int], generator: np.random.Generator) -> Labels:
    """Labels in an order of their own within each portion."""
    parts = [generator.permutation(labels[begin:end]) for begin, end in pairwise([0, *ends])]
    return np.concatenate(parts)


def _portions(
    n: int, first: int, labellings: list[Labels], n_classes: int, cache: Cache
) -> list[int]:
    """Where portions end; each of the labellings has every class in the first."""
    ends = [n]
    while ends[0] // 2 >= first and all(
        len(np.unique(own[: ends[0] // 2])) == n_classes for own in labellings
    ):
        ends.insert(0, ends[0] // 2)
    if len(ends) < 2:
        every = "both classes" if n_classes == 2 else f"all {n_classes} classes"
        raise ProbeError(
            f"{cache.folder}: {n} utterances make no two portions with {every} in the first. "
            f"Expected {2 * first} utterances or more; choose others with {argument('where')}, "
            f"or another {argument('target')}"
        )
    return ends


def _frequency_bits(labels: Labels, ends: list[int], n_classes: int) -> float:
    """Bits of the code by the class frequencies seen so far, and nothing else."""
    bits = ends[0] * float(np.log2(n_classes))
    for begin, end in pairwise(ends):
        prior = _prior(labels[:begin], n_classes)
        bits += float(
            _bits(np.broadcast_to(prior, (end - begin, *prior.shape)), labels[begin:end]).sum()
        )
    return bits


def _online_bits(
    x: NDArray[np.float32],
    order: NDArray[np.int64],
    labels: Labels,
    shuffled: Labels,
    ends: list[int],
    strengths: Sequence[float],
    n_classes: int,
) -> Bits:
    """Code lengths (L, 2) of true and shuffled labels, in their order, given layers (L, N, P)."""
    both = np.stack([labels, shuffled])
    fit = fit_logistic if both.dtype == bool else partial(fit_multinomial, n_classes=n_classes)
    bits = np.full((len(x), 2, len(strengths)), ends[0] * float(np.log2(n_classes)))
    for begin, end in pairwise(ends):
        seen = torch.from_numpy(x[:, order[:begin]])
        scaling = Scaling.of(seen)
        solution = fit(
            scaling.apply(seen),
            torch.from_numpy(both[:, :begin]),
            list(strengths),
            tolerance=TOLERANCE,
        )
        coming = scaling.apply(torch.from_numpy(x[:, order[begin:end]]))
        if both.dtype == bool:
            odds = (
                torch.einsum("lksp,lnp->lksn", solution.weight, coming) + solution.bias[..., None]
            )
        else:
            odds = (
                torch.einsum("lksmp,lnp->lksnm", solution.weight, coming)
                + solution.bias[..., None, :]
            )
        prior = np.array([_prior(of_labelling[:begin], n_classes) for of_labelling in both])
        bits += _bits(odds.numpy() + prior[:, None, None], both[:, None, begin:end]).sum(axis=-1)
    return np.asarray(-np.logaddexp2.reduce(-bits, axis=-1) + np.log2(len(strengths)))


def _prior(seen: Labels, n_classes: int) -> Bits:
    """Log odds of two classes by their frequencies, or of M their logarithms, half an utterance
    added to each.
    """
    if seen.dtype == bool:
        return np.log((seen.sum() + 0.5) / ((~seen).sum() + 0.5))
    return np.log(np.bincount(seen, minlength=n_classes) + 0.5)


def _bits(odds: Bits, labels: Labels) -> Bits:
    """-log2 of the probability of each label, given log odds; of M classes these are (..., M)."""
    if labels.dtype != bool:
        found = np.logaddexp.reduce(odds, axis=-1)
        own = np.take_along_axis(odds, np.broadcast_to(labels, found.shape)[..., None], axis=-1)[
            ..., 0
        ]
        return np.asarray((found - own) / np.log(2))
    return np.asarray(np.logaddexp(0, np.where(labels, -odds, odds)) / np.log(2))


def _groups(
    v: View, rows: NDArray[np.intp], memory_gb: float
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Layers in groups that fit the memory, (layers, N, P)."""
    at_once = max(1, int(memory_gb * 1e9 / (8 * 4 * len(v.table) * v.width)))
    for begin in range(0, len(v.layers), at_once):
        layers = v.layers[begin : begin + at_once]
        yield layers, np.stack(v.rows(layers, rows)).astype(np.float32, copy=False)
