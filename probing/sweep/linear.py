"""Linear probes of a sweep: fit on train, strength chosen on dev, scored on dev and eval, layer by layer."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from probing.metrics import eer
from probing.probes import Scaling, fit_logistic, fit_selections
from probing.sweep.splits import EVAL, Split

TOLERANCE = 1e-6
ROWS_AT_ONCE = 1024
READ_VALUES = 8_000_000  # of an evaluation set in memory at once
MOST_FLOAT64 = 4_000_000  # training values of a layer; above, they are multiplied in float32
T = TypeVar("T")
R = TypeVar("R")
Labelling = dict[str, NDArray[np.bool_]]  # `train` and `dev` -> (N,) true for bona fide


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
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
    memory_gb: float = 2.0,
    left_out: dict[str, NDArray[np.bool_]] | None = None,
) -> Iterator[tuple[int, list[Probe], list[Probe]]]:
    """Read and fit layer after layer, several beside each other, as many as there are cores and the memory holds.

    Of evaluation sets a block at a time is read, however large they are.

    Args:
        splits: part -> utterances, of caches with a pooled tier; the true labels.
        labellings: see `fit_probes`.
        strengths: values of C.
        device: where to solve.
        memory_gb: most memory for features and what is computed from them; one layer is always taken.
        left_out: `train` and `dev` -> (A, N), selections of rows for probes with the true labels; see `fit_probes`.

    Yields:
        Layers in order, each with its K probes and its A probes on selections, with scores of all parts but `train`.
    """
    cache = splits["train"].cache
    fitted_on = [splits["train"], splits["dev"]]
    evaluations = {part: split for part, split in splits.items() if split.name == EVAL}
    truth = {part: split.bonafide for part, split in splits.items()}
    n_left_out = 0 if left_out is None else len(left_out["train"])
    needed = working_bytes(
        len(splits["train"]), sum(map(len, fitted_on)), 2 * cache.dim, np.dtype(cache.tiers["pooled"]).itemsize
    )
    needed += 8 * (len(labellings) + n_left_out) * sum(map(len, splits.values()))

    def fit(layer: int) -> tuple[int, list[Probe], list[Probe]]:
        features = {split.name: features_of(split, layer, split.table) for split in fitted_on}
        probes = fit_probes(features, labellings, strengths, device)
        selected = []
        if left_out is not None:
            selected = fit_probes(features, [truth] * n_left_out, strengths, device, left_out)
        del features
        for part, split in evaluations.items():
            add_scores(layer, [*probes, *selected], part, split, device)
        return layer, probes, selected

    at_once = 1 if torch.device(device).type != "cpu" else int(memory_gb * 1e9 / needed)
    yield from _beside(fit, cache.layers, at_once)


def add_scores(layer: int, probes: Sequence[Probe], part: str, split: Split, device: str = "cpu") -> None:
    """Score every utterance of a split, reading a block at a time, and add that to the probes' `scores`."""
    weight = torch.from_numpy(np.stack([probe.weight for probe in probes])[:, None]).to(device)
    bias = torch.from_numpy(np.array([[probe.bias] for probe in probes])).to(device)
    scores = np.empty((len(probes), len(split)))
    # in the order of the shards, so that each is read once and from its beginning to its end
    order = np.lexsort((split.table["row"], split.table["shard"]))
    rows_at_once = max(1, READ_VALUES // weight.shape[-1])
    for first in range(0, len(order), rows_at_once):
        rows = order[first : first + rows_at_once]
        scores[:, rows] = log_odds(features_of(split, layer, split.table.iloc[rows]), weight, bias)[:, 0]
    for probe, values in zip(probes, scores, strict=True):
        probe.scores[part] = values


def features_of(split: Split, layer: int, table: pd.DataFrame) -> NDArray[Any]:
    """Mean and deviation over time (N, 2 D) of a layer of some utterances, as they are stored."""
    return split.cache.pooled([layer], table).reshape(len(table), -1)


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
    pending: deque[Future[R]] = deque()
    try:
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)) as pool:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > at_once:  # no more results wait in memory than are worked on
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    finally:
        torch.set_num_threads(threads)


def working_bytes(n_train: int, n: int, p: int, item_size: int) -> int:
    """About the most memory that a layer takes: `n` utterances x `p` values as stored, and what solving it needs."""
    solving = (4 if n_train * p > MOST_FLOAT64 else 8) * (n_train * p + 8 * p * min(n_train, p))
    return item_size * n * p + solving + 3 * 8 * ROWS_AT_ONCE * p


def fit_probes(
    features: dict[str, NDArray[Any]],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
    rows: dict[str, NDArray[np.bool_]] | None = None,
) -> list[Probe]:
    """Fit all labellings x strengths of a layer in one solve; keep the best strength of each labelling on dev.

    Args:
        features: part -> (N, P); all parts but `train` are scored.
        labellings: K of them, part -> (N,) boolean for `train` and `dev`; the true one, or shuffled ones.
        strengths: values of C.
        device: where to solve.
        rows: `train` and `dev` -> (K, N), the utterances that each labelling is trained and chosen on; default all.

    Returns:
        K probes. The strength is the one with the lowest dev EER; among equals the smallest.
    """
    strengths = sorted(strengths)
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    train = torch.from_numpy(features["train"]).to(targets.device)[None]
    dtype = torch.float32 if train.numel() > MOST_FLOAT64 else torch.float64
    if rows is None:
        scaling = Scaling.of(train, dtype)
        solution = fit_logistic(scaling.apply(train, dtype), targets, strengths, tolerance=TOLERANCE)
        weight, bias = (values[0] for values in scaling.fold(solution.weight, solution.bias))
    else:
        chosen = torch.from_numpy(rows["train"]).to(targets.device)
        weight, bias = fit_selections(train, targets, chosen, strengths, tolerance=TOLERANCE, dtype=dtype)
    on_dev = log_odds(features["dev"], weight, bias)
    used = np.ones((len(labellings), on_dev.shape[-1]), bool) if rows is None else rows["dev"]
    rates = [
        [eer(labels["dev"][chosen], scores[chosen]) for scores in of_labelling]
        for labels, chosen, of_labelling in zip(labellings, used, on_dev, strict=True)
    ]
    best = torch.from_numpy(np.argmin(rates, axis=1)).to(weight.device)[:, None]
    weight = weight.take_along_dim(best[..., None], dim=1)
    bias = bias.take_along_dim(best, dim=1)
    scores = {part: log_odds(x, weight, bias)[:, 0] for part, x in features.items() if part != "train"}
    return [
        Probe(
            strengths[int(best[k, 0])],
            weight[k, 0].cpu().numpy(),
            float(bias[k, 0]),
            {part: values[k] for part, values in scores.items()},
        )
        for k in range(len(labellings))
    ]


def log_odds(x: NDArray[Any], weight: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
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
