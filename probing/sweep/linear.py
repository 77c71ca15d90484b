"""Linear probes of a sweep: fit on train, strength chosen on dev, scored on dev and eval, a layer at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probing.metrics import eer
from probing.probes import Scaling, fit_logistic
from probing.sweep.splits import Split

TOLERANCE = 1e-6
ROWS_AT_ONCE = 4096
MOST_FLOAT64 = 4_000_000  # training values of a layer; above, they are multiplied in float32


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


def fit_probes(
    features: dict[str, NDArray[Any]],
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
) -> list[list[Probe]]:
    """Fit all layers x labellings x strengths, those of a layer in one solve; keep the best strength of each on dev.

    Args:
        features: part -> (L, N, P).
        splits: part -> utterances; the true labels.
        labellings: K of them, part -> (N,) boolean for `train` and `dev`; the true one, or shuffled ones.
        strengths: values of C.
        device: where to solve.

    Returns:
        One list of K probes a layer. The strength is the one with the lowest dev EER; among equals the smallest.
    """
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    ordered, threads = sorted(strengths), torch.get_num_threads()

    def fit(layer: int) -> list[Probe]:
        return _fit_layer(
            {part: x[layer : layer + 1] for part, x in features.items()}, splits, labellings, targets, ordered
        )

    layers = range(len(features["train"]))
    if threads == 1 or targets.device.type != "cpu" or features["train"][0].size > MOST_FLOAT64:
        return [fit(layer) for layer in layers]
    try:  # small products gain nothing from more threads, and lose much where cores are busy
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(fit, layers))
    finally:
        torch.set_num_threads(threads)


def working_bytes(n: int, p: int) -> int:
    """About the most memory that solving a layer of `n` training utterances and `p` values takes beside them."""
    if n * p <= MOST_FLOAT64:
        return torch.get_num_threads() * 8 * (3 * n * p + 12 * p * p)
    return 4 * (n * p + 10 * p * min(n, p)) + 3 * 8 * ROWS_AT_ONCE * p


def _fit_layer(
    features: dict[str, NDArray[Any]],
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    targets: torch.Tensor,
    strengths: Sequence[float],
) -> list[Probe]:
    """The probes of one layer, features being (1, N, P)."""
    train = torch.from_numpy(features["train"]).to(targets.device)
    scaling = Scaling.of(train)
    x = scaling.apply(train, torch.float32 if train.numel() > MOST_FLOAT64 else torch.float64)
    solution = fit_logistic(x, targets, strengths, tolerance=TOLERANCE)
    weight, bias = scaling.fold(solution.weight, solution.bias)
    on_dev = _scores(features["dev"], weight, bias)[0]
    rates = [
        [eer(labels["dev"], scores) for scores in of_labelling]
        for labels, of_labelling in zip(labellings, on_dev, strict=True)
    ]
    best = torch.from_numpy(np.argmin(rates, axis=1)).to(weight.device)[None, :, None]
    weight = weight.take_along_dim(best[..., None], dim=2)
    bias = bias.take_along_dim(best, dim=2)
    scores = {part: _scores(features[part], weight, bias)[0, :, 0] for part in splits if part != "train"}
    return [
        Probe(
            strengths[int(best[0, k, 0])],
            weight[0, k, 0].cpu().numpy(),
            float(bias[0, k, 0]),
            {part: values[k] for part, values in scores.items()},
        )
        for k in range(len(labellings))
    ]


def _scores(x: NDArray[Any], weight: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
    """Log odds (L, K, S, N) of features as they are, a few thousand utterances at a time."""
    blocks = []
    for first in range(0, x.shape[1], ROWS_AT_ONCE):
        block = torch.from_numpy(x[:, first : first + ROWS_AT_ONCE]).to(weight)
        blocks.append((torch.einsum("lksp,lnp->lksn", weight, block) + bias[..., None]).cpu().numpy())
    return np.concatenate(blocks, axis=3)


def shuffled(splits: dict[str, Split], seeds: Sequence[int]) -> list[dict[str, NDArray[np.bool_]]]:
    """Labellings without meaning: the labels of train and of dev permuted, one labelling a seed."""
    labellings = []
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        labellings.append({part: generator.permutation(splits[part].bonafide) for part in ("train", "dev")})
    return labellings
