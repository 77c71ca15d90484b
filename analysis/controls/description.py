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

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from analysis.caches.views import View
from analysis.controls.labels import FIRST, SEEDS, Labels, coded_labels
from cache import Cache, ProbeError
from cache.reader import Where
from probing.probes import Scaling, fit_logistic
from probing.probes.logistic import fit_multinomial
from probing.progress import progress_line

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
TOLERANCE = 1e-5
Bits = NDArray[np.float64]


def description_length(
    cache: Cache,
    layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    target: str = "label",
    labels: str | Path = "",
    seeds: Sequence[int] = SEEDS,
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
    coded = coded_labels(
        cache,
        layers,
        where,
        target=target,
        labels=labels,
        seeds=seeds,
        first=first,
        deviation=deviation,
    )
    v, ends, n, n_classes = coded.view, coded.ends, len(coded.rows), coded.n_classes
    uniform = n * float(np.log2(n_classes))
    frequencies = [_frequency_bits(own, ends, n_classes) for _, own, _ in coded.orders]
    found = {}
    with progress_line("Description length", len(v.layers), "layers") as line:
        for group, x in _groups(v, coded.rows, memory_gb):
            bits = np.stack(
                [_online_bits(x, *order, ends, strengths, n_classes) for order in coded.orders]
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
