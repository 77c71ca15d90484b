"""Minimum description length: how few bits the labels take once the layer is known (Voita and Titov, EMNLP 2020).

The online code: labels are sent in portions that double, each coded by the probabilities of a probe trained on those
before. A layer from which the labels are easily learnt, by few examples as well, has a short code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from analysis.caches.views import View, view
from cache import Cache, ProbeError
from cache.reader import Where
from probing.labels import BONAFIDE, are_of_spoofing
from probing.probes import Scaling, fit_logistic
from probing.progress import progress_line

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FIRST = 16  # utterances of the first portion, which is sent without a probe
TOLERANCE = 1e-5
Bits = NDArray[np.float64]


def description_length(
    cache: Cache,
    layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    strengths: Sequence[float] = STRENGTHS,
    first: int = FIRST,
    deviation: bool = True,
    memory_gb: float = 2.0,
) -> pd.DataFrame:
    """Online code length of the labels (bona fide or spoof) given each layer.

    Portions end at n, n/2, n/4, ... utterances, the first holding `first` or more and both classes; it costs one bit an
    utterance. The probes are those of the sweep (class-balanced logistic regression on standardised statistics), their
    log odds moved to the class frequencies seen so far. No strength is chosen by looking ahead: the code is the even
    mixture of those of all strengths, at most log2(strengths) bits longer than the best.

    Args:
        cache: an open cache.
        layers: default all.
        where: utterances, see `Cache.select`; default those of split train.
        seeds: of the order of utterances and of the shuffled labels.
        strengths: values of C, the inverse penalty.
        first: utterances of the first portion, at least.
        deviation: mean and standard deviation, as the probes; False for the mean alone.
        memory_gb: most memory for features; layers are taken in groups that fit.

    Returns:
        One row a layer: bits, mean over seeds; compression = n / bits, the uniform code (one bit an utterance) over
        this one, with low and high over seeds; shuffled, the compression of labels shuffled within each portion, so
        that as many of either class were seen before each as of the true ones, and the two compare on small sets too;
        frequencies, that by class
        frequencies alone, without the layer, which is above 1 where the classes are of different size. `attrs` has
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
            f"seeds={tuple(seeds)}, strengths={tuple(strengths)}, first={first}: expected some, above 0, 2+"
        )
    v = view(cache, layers, {"split": "train"} if where is None else where, deviation=deviation)
    bonafide = (v.table["label"] == BONAFIDE).to_numpy()
    n = len(bonafide)
    if not are_of_spoofing(v.table["label"]):
        raise ProbeError(
            f"{cache.folder}: these {n} utterances have other labels than bonafide and spoof, or none. Expected these "
            "two in every row"
        )
    if bonafide.all() or not bonafide.any():
        raise ProbeError(f"{cache.folder}: these {n} utterances are of one class. Choose others with where=...")
    generators = [np.random.default_rng([seed, 2]) for seed in seeds]
    permuted = [generator.permutation(n) for generator in generators]
    ends = _portions(n, first, [bonafide[order] for order in permuted], cache)
    orders = [
        (order, bonafide[order], _shuffled(bonafide[order], ends, generator))
        for order, generator in zip(permuted, generators, strict=True)
    ]
    frequencies = [_frequency_bits(labels, ends) for _, labels, _ in orders]
    found = {}
    with progress_line("Description length", len(v.layers), "layers") as line:
        for group, x in _groups(v, memory_gb):
            bits = np.stack([_online_bits(x, *order, ends, strengths) for order in orders])
            for i, layer in enumerate(group):
                compression = n / bits[:, i, 0]
                found[layer] = {
                    "bits": float(bits[:, i, 0].mean()),
                    "compression": float(n / bits[:, i, 0].mean()),
                    "low": float(compression.min()),
                    "high": float(compression.max()),
                    "shuffled": float(n / bits[:, i, 1].mean()),
                    "frequencies": float(n / np.mean(frequencies)),
                }
            line.advance(len(group), f"layer {group[-1]}")
    table = pd.DataFrame.from_dict(found, orient="index").rename_axis("layer")
    table.attrs = {"rows": v.name, "n": n, "portions": ends}
    return table


def _shuffled(labels: NDArray[np.bool_], ends: list[int], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Labels in an order of their own within each portion."""
    parts = [generator.permutation(labels[begin:end]) for begin, end in pairwise([0, *ends])]
    return np.concatenate(parts)


def _portions(n: int, first: int, labellings: list[NDArray[np.bool_]], cache: Cache) -> list[int]:
    """Where portions end; each of the labellings has both classes in the first."""
    ends = [n]
    while ends[0] // 2 >= first and all(0 < labels[: ends[0] // 2].sum() < ends[0] // 2 for labels in labellings):
        ends.insert(0, ends[0] // 2)
    if len(ends) < 2:
        raise ProbeError(
            f"{cache.folder}: {n} utterances make no two portions with both classes in the first. Expected {2 * first} "
            "utterances or more; choose others with where=..., or a smaller first"
        )
    return ends


def _frequency_bits(labels: NDArray[np.bool_], ends: list[int]) -> float:
    """Bits of the code that knows the class frequencies seen so far, and nothing else."""
    bits = float(ends[0])
    for begin, end in pairwise(ends):
        odds = np.full(end - begin, _prior(labels[:begin]))
        bits += float(_bits(odds, labels[begin:end]).sum())
    return bits


def _online_bits(
    x: NDArray[np.float32],
    order: NDArray[np.int64],
    labels: NDArray[np.bool_],
    shuffled: NDArray[np.bool_],
    ends: list[int],
    strengths: Sequence[float],
) -> Bits:
    """Code lengths (L, 2) of the true and the shuffled labels, in their order, given layers (L, N, P)."""
    both = np.stack([labels, shuffled])
    bits = np.full((len(x), 2, len(strengths)), float(ends[0]))
    for begin, end in pairwise(ends):
        seen = torch.from_numpy(x[:, order[:begin]])
        scaling = Scaling.of(seen)
        solution = fit_logistic(
            scaling.apply(seen), torch.from_numpy(both[:, :begin]), list(strengths), tolerance=TOLERANCE
        )
        coming = scaling.apply(torch.from_numpy(x[:, order[begin:end]]))
        odds = torch.einsum("lksp,lnp->lksn", solution.weight, coming) + solution.bias[..., None]
        prior = np.array([_prior(of_labelling[:begin]) for of_labelling in both])
        bits += _bits(odds.numpy() + prior[:, None, None], both[:, None, begin:end]).sum(axis=-1)
    return np.asarray(-np.logaddexp2.reduce(-bits, axis=-1) + np.log2(len(strengths)))


def _prior(seen: NDArray[np.bool_]) -> float:
    """Log odds of the classes by their frequencies, half an utterance added to each."""
    return float(np.log((seen.sum() + 0.5) / ((~seen).sum() + 0.5)))


def _bits(odds: Bits, labels: NDArray[np.bool_]) -> Bits:
    """-log2 of the probability of each label, given log odds."""
    return np.asarray(np.logaddexp(0, np.where(labels, -odds, odds)) / np.log(2))


def _groups(v: View, memory_gb: float) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Layers in groups that fit the memory, (layers, N, P)."""
    at_once = max(1, int(memory_gb * 1e9 / (8 * 4 * len(v.table) * v.width)))
    for begin in range(0, len(v.layers), at_once):
        layers = v.layers[begin : begin + at_once]
        yield layers, np.stack(v.rows(layers, np.arange(len(v.table)))).astype(np.float32, copy=False)
