"""Linear probes of a sweep: fit on train, strength chosen on dev, scored on dev and eval, layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from cache import Cache
from probing.metrics import eer
from probing.probes import Scaling, fit_logistic
from probing.sweep.splits import Split

TOLERANCE = 1e-6
ROWS_AT_ONCE = 1024
MOST_FLOAT64 = 4_000_000  # training values of a layer; above, they are multiplied in float32
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Probe:
    """One fitted probe.

    strength: C chosen on dev.
    weight, bias: (P,) and a number, acting on features as they are.
    scores: part -> (N,) log odds of bona fide.
    """

    strength: float
    weight: NDArray[np.float64]
    bias: float
    scores: dict[str, NDArray[np.float64]]


def probe_layers(
    cache: Cache,
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
    memory_gb: float = 2.0,
) -> Iterator[tuple[int, list[Probe]]]:
    """Read and fit layer after layer, several beside each other, as many as there are cores and the memory holds.

    Args:
        cache: with a pooled tier.
        splits: part -> utterances; the true labels.
        labellings: see `fit_probes`.
        strengths: values of C.
        device: where to solve.
        memory_gb: most memory for features and what is computed from them; one layer is always taken.

    Yields:
        Layers in order, each with its K probes.
    """
    n = {part: len(split) for part, split in splits.items()}
    item_size = np.dtype(cache.tiers["pooled"]).itemsize
    at_once = int(memory_gb * 1e9 / working_bytes(n["train"], sum(n.values()), 2 * cache.dim, item_size))

    def fit(layer: int) -> tuple[int, list[Probe]]:
        features = {part: cache.pooled([layer], split.table).reshape(len(split), -1) for part, split in splits.items()}
        return layer, fit_probes(features, splits, labellings, strengths, device)

    yield from _beside(fit, cache.layers, 1 if torch.device(device).type != "cpu" else at_once)


def _beside(work: Callable[[T], R], items: Sequence[T], at_once: int) -> Iterator[R]:
    """Results in order, of `at_once` items beside each other but no more than cores, which are shared out evenly.

    A core to itself is worth more to a solver than a share in all: its products are too small to be split, and wait
    for each other where cores are busy with something else.
    """
    threads = torch.get_num_threads()
    at_once = max(1, min(at_once, threads, len(items)))
    if at_once == 1:
        yield from map(work, items)
        return
    try:
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)


def working_bytes(n_train: int, n: int, p: int, item_size: int) -> int:
    """About the most memory that a layer takes: `n` utterances x `p` values as stored, and what solving it needs."""
    solving = (4 if n_train * p > MOST_FLOAT64 else 8) * (n_train * p + 8 * p * min(n_train, p))
    return item_size * n * p + solving + 3 * 8 * ROWS_AT_ONCE * p


def fit_probes(
    features: dict[str, NDArray[Any]],
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
) -> list[Probe]:
    """Fit all labellings x strengths of a layer in one solve; keep the best strength of each labelling on dev.

    Args:
        features: part -> (N, P).
        splits: part -> utterances; the true labels.
        labellings: K of them, part -> (N,) boolean for `train` and `dev`; the true one, or shuffled ones.
        strengths: values of C.
        device: where to solve.

    Returns:
        K probes. The strength is the one with the lowest dev EER; among equals the smallest.
    """
    strengths = sorted(strengths)
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    train = torch.from_numpy(features["train"]).to(targets.device)[None]
    dtype = torch.float32 if train.numel() > MOST_FLOAT64 else torch.float64
    scaling = Scaling.of(train, dtype)
    solution = fit_logistic(scaling.apply(train, dtype), targets, strengths, tolerance=TOLERANCE)
    weight, bias = (values[0] for values in scaling.fold(solution.weight, solution.bias))
    on_dev = _scores(features["dev"], weight, bias)
    rates = [
        [eer(labels["dev"], scores) for scores in of_labelling]
        for labels, of_labelling in zip(labellings, on_dev, strict=True)
    ]
    best = torch.from_numpy(np.argmin(rates, axis=1)).to(weight.device)[:, None]
    weight = weight.take_along_dim(best[..., None], dim=1)
    bias = bias.take_along_dim(best, dim=1)
    scores = {part: _scores(features[part], weight, bias)[:, 0] for part in splits if part != "train"}
    return [
        Probe(
            strengths[int(best[k, 0])],
            weight[k, 0].cpu().numpy(),
            float(bias[k, 0]),
            {part: values[k] for part, values in scores.items()},
        )
        for k in range(len(labellings))
    ]


def _scores(x: NDArray[Any], weight: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
    """Log odds (K, S, N) of features (N, P) as they are, some utterances at a time."""
    flat = weight.flatten(0, 1).T
    blocks = [
        (torch.from_numpy(x[first : first + ROWS_AT_ONCE]).to(weight) @ flat).T.cpu().numpy()
        for first in range(0, len(x), ROWS_AT_ONCE)
    ]
    return np.concatenate(blocks, axis=1).reshape(*bias.shape, len(x)) + bias[..., None].cpu().numpy()


def shuffled(splits: dict[str, Split], seeds: Sequence[int]) -> list[dict[str, NDArray[np.bool_]]]:
    """Labellings without meaning: the labels of train and of dev permuted, one labelling a seed."""
    labellings = []
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        labellings.append({part: generator.permutation(splits[part].bonafide) for part in ("train", "dev")})
    return labellings
