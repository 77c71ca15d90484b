"""Probes of one layer: fit on train, strength chosen on dev, scored on the other parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probing.probes import Scaling, fit_logistic, fit_selections
from probing.probes.logistic import Solution, fit_multinomial
from probing.probes.ridge import fit_ridge
from probing.probes.selections import fit_each_selection
from probing.sweep.dividing import fold_parts
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import CLASSES, NUMBER
from probing.targets.task import SPOOFING, Task, Values

TOLERANCE = 1e-6
ROWS_AT_ONCE = 1024
MOST_MARGINS = 20_000_000  # of classes, in a solve
MOST_FLOAT64 = 4_000_000  # training values of a layer; above, they are multiplied in float32
Labelling = dict[str, Values]  # `train` and `dev` -> (N,) what is to be read


@dataclass(frozen=True)
class Probe:
    """One fitted probe.

    strength: C chosen on dev; NaN of a cross-validation, where every fold chooses its own.
    weight, bias: (P,) and a number, acting on features as they are; of M classes (M, P) and (M,).
    scores: part -> (N,) log odds of the positive class, or the number; of M classes (N, 2, M), by
        `weight` and by `likeliest`, or these as `Task.compact` has them.
    likeliest: of M classes, weight and bias of the strength of least cross-entropy on dev, whatever
        the metric that chose `strength`: what the family of probes can say of the target is what
        its best one can (Xu et al. 2020).
    """

    strength: float
    weight: NDArray[np.float64]
    bias: float | NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]
    likeliest: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def solutions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (V, P) and biases (V,) that scores are made by, or of M classes (V, M, P) and (V,
        M); V is 1 or 2.
        """
        every = [(self.weight, self.bias), *([] if self.likeliest is None else [self.likeliest])]
        return np.stack([weight for weight, _ in every]), np.stack(
            [np.asarray(bias) for _, bias in every]
        )

    def score(self, x: NDArray[Any], split: Split) -> NDArray[Any]:
        """Scores of features (N, P) of the trials of a split, as `Task.compact` keeps them, some at
        a time.
        """
        step = 16 * ROWS_AT_ONCE
        return np.concatenate(
            [
                split.task.compact(
                    split.target[i : i + step], scores_of([self], x[i : i + step])[0]
                )
                for i in range(0, len(x), step)
            ]
        )


def fit_probes(
    features: dict[str, NDArray[Any]],
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    rows: dict[str, NDArray[np.bool_]] | None = None,
    task: Task = SPOOFING,
) -> list[Probe]:
    """Fit all labellings x strengths of a layer in one solve.

    The best strength of each labelling on dev is kept.

    Args:
        features: part -> (N, P); all parts but `train` are scored.
        labellings: K of them, part -> (N,) targets for `train` and `dev`; the true ones, or
            shuffled ones.
        strengths: values of C.
        device: where to solve.
        rows: `train` and `dev` -> (K, N), the utterances that each labelling is trained and chosen
            on; default all.
        task: what the targets make: logistic regression of two classes or more, ridge regression of
            numbers.

    Returns:
        K probes. The strength is the one that is best on dev by the metric of the task; among
        equals the smallest. Classes have that of least cross-entropy on dev too.

    >>> x = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    >>> y = np.array([False, False, True, True])
    >>> (probe,) = fit_probes({"train": x, "dev": x}, [{"train": y, "dev": y}], [0.1, 1.0])
    >>> probe.strength, bool((probe.scores["dev"] > 0).tolist() == y.tolist())
    (0.1, True)
    """
    strengths = sorted(strengths)
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    train = torch.from_numpy(features["train"]).to(targets.device)[None]
    chosen = None if rows is None else torch.from_numpy(rows["train"]).to(targets.device)
    weight, bias = _solve(task, train, targets=targets, strengths=strengths, rows=chosen)
    return best_on_dev(
        features, labellings, weight=weight, bias=bias, strengths=strengths, rows=rows, task=task
    )


def best_on_dev(
    features: dict[str, NDArray[Any]],
    labellings: Sequence[Labelling],
    weight: torch.Tensor,
    bias: torch.Tensor,
    strengths: Sequence[float],
    rows: dict[str, NDArray[np.bool_]] | None = None,
    task: Task = SPOOFING,
) -> list[Probe]:
    """The solution of each labelling that is best on dev, of those at ascending strengths.

    Weights (K, S, P) and biases (K, S) act on features as they are; the others, and what is
    returned, see `fit_probes`.
    """
    of_classes = task.name == CLASSES
    best = torch.empty(
        len(labellings), 2 if of_classes else 1, dtype=torch.long, device=weight.device
    )
    at_once = 1 if of_classes else len(labellings)  # of classes there are many scores
    for first in range(0, len(labellings), at_once):
        some = slice(first, first + at_once)
        for k, on_dev in enumerate(margins(features["dev"], weight[some], bias[some]), first):
            used = slice(None) if rows is None else rows["dev"][k]
            target = labellings[k]["dev"][used]
            losses = np.array([task.losses(target, scores[used]) for scores in on_dev])
            best[k] = torch.from_numpy(losses.argmin(axis=0))
    chosen = best.reshape(*best.shape, *[1] * (weight.ndim - 2))
    weights = weight.take_along_dim(chosen, dim=1).cpu().numpy()
    biases = bias.take_along_dim(chosen[..., 0], dim=1).cpu().numpy()
    probes = [
        Probe(
            strengths[int(best[k, 0])],
            weights[k, 0],
            bias=biases[k, 0] if of_classes else float(biases[k, 0]),
            scores={},
            likeliest=(weights[k, 1], biases[k, 1]) if of_classes else None,
        )
        for k in range(len(labellings))
    ]
    for part, x in features.items():
        if part != "train":
            for probe, scores in zip(probes, scores_of(probes, x, str(weight.device)), strict=True):
                probe.scores[part] = scores
    return probes


def _solve(
    task: Task,
    train: torch.Tensor,
    targets: torch.Tensor,
    strengths: Sequence[float],
    rows: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (K, S, P) and biases (K, S) for features (1, N, P) as they are.

    They are (K, S, M, P) and (K, S, M) if there are M classes.
    """
    dtype = torch.float32 if task.name == CLASSES else product_dtype(task, train)
    if rows is not None and task.name != NUMBER:
        fit_rows = fit_each_selection if task.name == CLASSES else fit_selections
        return fit_rows(
            train,
            targets,
            rows=rows,
            strengths=strengths,
            tolerance=TOLERANCE,
            dtype=dtype,
            fit=_classifier(task),
        )
    scaling = Scaling.of(train, dtype)
    z = scaling.apply(train, dtype)
    if rows is not None:
        solution = fit_ridge(z, targets, strengths, rows=rows, own_scale=True)
    else:
        solution = solve_standardised(task, z, targets, strengths)
    weight, bias = scaling.fold(solution.weight, solution.bias)
    return weight[0], bias[0]


def product_dtype(task: Task, train: torch.Tensor) -> torch.dtype:
    """The type in which training features are multiplied: exact of few and of numbers."""
    return torch.float32 if task.name != NUMBER and train.numel() > MOST_FLOAT64 else torch.float64


def solve_standardised(
    task: Task,
    z: torch.Tensor,
    targets: torch.Tensor,
    strengths: Sequence[float],
    tolerance: float = TOLERANCE,
) -> Solution:
    """The solution for features (1, N, P) that are standardised and targets (K, N)."""
    if task.name == NUMBER:
        return fit_ridge(z, targets, strengths)
    parts = [
        _classifier(task)(z, some, strengths, tolerance=tolerance)
        for some in targets.split(labellings_at_once(task, len(strengths), z.shape[1]))
    ]
    return Solution(
        *(torch.cat([getattr(part, name) for part in parts], dim=1) for name in ("weight", "bias"))
    )


def labellings_at_once(task: Task, n_strengths: int, n: int) -> int:
    """How many labellings are solved together.

    With many classes each has many margins, which solvers hold in copies.
    """
    if task.name != CLASSES:
        return MOST_MARGINS
    return max(1, MOST_MARGINS // (n_strengths * len(task.classes) * n))


def _classifier(task: Task) -> Callable[..., Solution]:
    return (
        partial(fit_multinomial, n_classes=len(task.classes))
        if task.name == CLASSES
        else fit_logistic
    )


def cross_validate(
    features: NDArray[Any],
    folds: NDArray[np.intp],
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    task: Task = SPOOFING,
) -> list[Probe]:
    """Fit every labelling without each fold and the next one, which it is chosen on.

    All folds are one call of `fit_probes`.

    Args:
        features: (N, P).
        folds: (N,), see `folds_of`.
        labellings: as `fit_probes`.
        strengths: as there.
        device: as there.
        task: as there.

    Returns:
        A probe a labelling: its scores of `eval` are those of the probe trained without that fold,
        its scores of `dev` those of the probe chosen on it; weights are means over the folds,
        to be shown.

    >>> x = np.linspace(-1, 1, 12)[:, None]
    >>> y = x[:, 0] > 0
    >>> folds = np.arange(12) % 3
    >>> (probe,) = cross_validate(x, folds, [{"train": y, "dev": y}], [1.0])
    >>> probe.scores["eval"].shape, int(probe.scores["eval"].argmax())
    ((12,), 11)
    """
    parts = list(fold_parts(folds))
    n = len(parts)
    rows = {
        part: np.tile(np.stack([of[part] for of in parts]), (len(labellings), 1))
        for part in ("train", "dev")
    }
    repeated = [labels for labels in labellings for _ in parts]
    found = fit_probes(
        {"train": features, "dev": features},
        repeated,
        strengths=strengths,
        device=device,
        rows=rows,
        task=task,
    )
    pooled = []
    for k in range(len(labellings)):
        of_folds = found[k * n : (k + 1) * n]
        scores = {part: np.empty_like(of_folds[0].scores["dev"]) for part in ("dev", EVAL)}
        for probe, of in zip(of_folds, parts, strict=True):
            for part, values in scores.items():
                values[of[part]] = probe.scores["dev"][of[part]]
        weight = np.mean([probe.weight for probe in of_folds], axis=0)
        bias = np.mean([np.asarray(probe.bias) for probe in of_folds], axis=0)
        pooled.append(Probe(float("nan"), weight, bias if bias.ndim else float(bias), scores))
    return pooled


def scores_of(probes: Sequence[Probe], x: NDArray[Any], device: str = "cpu") -> NDArray[np.float64]:
    """Scores of features (N, P) by K probes, (K, N); of M classes (K, N, 2, M), see `Probe`."""
    weight, bias = zip(*(probe.solutions for probe in probes), strict=True)
    found = margins(
        x,
        torch.from_numpy(np.stack(weight)).to(device),
        torch.from_numpy(np.stack(bias)).to(device),
    )
    return found[:, 0] if probes[0].likeliest is None else np.moveaxis(found, 1, 2)


def margins(x: NDArray[Any], weight: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
    """Scores (K, S, N), or of M classes (K, S, N, M), of features (N, P) as they are, some
    utterances at a time.
    """
    flat = weight.reshape(-1, weight.shape[-1]).T
    blocks = [
        (torch.from_numpy(x[first : first + ROWS_AT_ONCE]).to(weight) @ flat).T.cpu().numpy()
        for first in range(0, len(x), ROWS_AT_ONCE)
    ]
    found = (
        np.concatenate(blocks, axis=1).reshape(*bias.shape, len(x)) + bias[..., None].cpu().numpy()
    )
    return found if bias.ndim == 2 else np.moveaxis(found, 2, 3)
