"""Linear probes of a sweep: fit on train, strength chosen on dev, scored on dev and eval, many layers at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from probing.metrics import eer
from probing.probes import Scaling, fit_logistic
from probing.sweep.splits import Split

TOLERANCE = 1e-6


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
    features: dict[str, NDArray[np.float64]],
    splits: dict[str, Split],
    labellings: Sequence[dict[str, NDArray[np.bool_]]],
    strengths: Sequence[float],
    device: str = "cpu",
) -> list[list[Probe]]:
    """Fit all layers x labellings x strengths in one solve and keep the best strength of each on dev.

    Args:
        features: part -> (L, N, P).
        splits: part -> utterances; the true labels.
        labellings: K of them, part -> (N,) boolean for `train` and `dev`; the true one, or shuffled ones.
        strengths: values of C.
        device: where to solve.

    Returns:
        One list of K probes a layer. The strength is the one with the lowest dev EER; among equals the smallest.
    """
    x = {part: torch.from_numpy(values).to(device) for part, values in features.items()}
    scaling = Scaling.of(x["train"])
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    ordered = sorted(strengths)
    solution = fit_logistic(scaling.apply(x["train"]), targets, ordered, tolerance=TOLERANCE)
    scores = {part: solution.scores(scaling.apply(x[part])).cpu().numpy() for part in splits if part != "train"}
    weight, bias = (value.cpu().numpy() for value in scaling.fold(solution.weight, solution.bias))
    probes: list[list[Probe]] = []
    for layer in range(len(weight)):
        row = []
        for k, labels in enumerate(labellings):
            rates = [eer(labels["dev"], scores["dev"][layer, k, s]) for s in range(len(ordered))]
            s = int(np.argmin(rates))
            row.append(
                Probe(
                    ordered[s],
                    weight[layer, k, s],
                    float(bias[layer, k, s]),
                    {part: values[layer, k, s] for part, values in scores.items()},
                )
            )
        probes.append(row)
    return probes


def shuffled(splits: dict[str, Split], seeds: Sequence[int]) -> list[dict[str, NDArray[np.bool_]]]:
    """Labellings without meaning: the labels of train and of dev permuted, one labelling a seed."""
    labellings = []
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        labellings.append({part: generator.permutation(splits[part].bonafide) for part in ("train", "dev")})
    return labellings
