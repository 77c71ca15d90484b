"""Linear probes of a sweep: fit on train, strength chosen on dev, scored on dev and eval, layer by layer."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from probing.probes import Scaling, fit_logistic, fit_selections
from probing.probes.logistic import Solution, fit_multinomial
from probing.probes.ridge import fit_ridge
from probing.sweep.splits import EVAL, Split, fold_parts
from probing.targets.metrics import CLASSES, NUMBER
from probing.targets.task import CLIP, SPOOFING, Task, Values
from probing.threads import Threads
from probing.units import unit_blocks, unit_features

TOLERANCE = 1e-6
ROWS_AT_ONCE = 1024
READ_VALUES = 8_000_000  # of an evaluation set in memory at once
MOST_MARGINS = 20_000_000  # of classes, in a solve
COPIES = 8  # of them that it holds
MOST_FLOAT64 = 4_000_000  # training values of a layer; above, they are multiplied in float32
T = TypeVar("T")
R = TypeVar("R")
Labelling = dict[str, Values]  # `train` and `dev` -> (N,) what is to be read


@dataclass(frozen=True)
class Probe:
    """One fitted probe.

    strength: C chosen on dev; NaN of a cross-validation, where every fold chooses its own.
    weight, bias: (P,) and a number, acting on features as they are; of M classes (M, P) and (M,).
    scores: part -> (N,) log odds of the positive class, or the number; of M classes (N, 2, M), by `weight` and by
        `likeliest`, or these as `Task.compact` has them.
    likeliest: of M classes, weight and bias of the strength of least cross-entropy on dev, whatever the metric that
        chose `strength`: what the family of probes can say of the target is what its best one can (Xu et al. 2020).
    """

    strength: float
    weight: NDArray[np.float64]
    bias: float | NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]
    likeliest: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def solutions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (V, P) and biases (V,) that scores are made by, or of M classes (V, M, P) and (V, M); V is 1 or 2."""
        every = [(self.weight, self.bias), *([] if self.likeliest is None else [self.likeliest])]
        return np.stack([weight for weight, _ in every]), np.stack([np.asarray(bias) for _, bias in every])

    def score(self, x: NDArray[Any], split: Split) -> NDArray[Any]:
        """Scores of features (N, P) of the trials of a split, as `Task.compact` keeps them, some at a time."""
        step = 16 * ROWS_AT_ONCE
        return np.concatenate(
            [
                split.task.compact(split.target[i : i + step], scores_of([self], x[i : i + step])[0])
                for i in range(0, len(x), step)
            ]
        )


def probe_layers(
    splits: dict[str, Split],
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    memory_gb: float = 2.0,
    left_out: dict[str, NDArray[np.bool_]] | None = None,
    max_units: int = 50_000,
    controls: Sequence[dict[str, Split]] = (),
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
        max_units: units inside utterances to train and to choose on, at most; all are scored.
        controls: C of them, part -> the same trials with labels of another task, see `control_tasks`.

    Yields:
        Layers in order, each with its K + C probes and its A probes on selections, with scores of all parts but
        `train`.
    """
    cache = splits["train"].cache
    task = splits["train"].task
    fitted_on = {part: sampled(splits[part], max_units) for part in ("train", "dev")}
    asked = [*[splits] * len(labellings), *controls]
    labellings = [*labellings, *({part: control[part].target for part in fitted_on} for control in controls)]
    of_labellings = [{part: labels[part][fitted_on[part].rows] for part in fitted_on} for labels in labellings]
    inside = bool(splits["train"].unit)
    scored = {part: split for part, split in splits.items() if split.name == EVAL or (inside and part == "dev")}
    truth = {part: split.target for part, split in splits.items()}
    n_left_out = 0 if left_out is None else len(left_out["train"])
    item_size = 4 if inside else np.dtype(cache.tiers["pooled"]).itemsize
    n_train, n_dev = (len(fitted_on[part].rows) for part in ("train", "dev"))
    needed = working_bytes(n_train, n_train + n_dev, splits["train"].width, item_size)
    needed += 8 * max(1, 2 * len(task.classes)) * (len(labellings) + n_left_out) * (n_train + n_dev)
    if task.name == CLASSES:
        together = min(len(labellings), _labellings_at_once(task, len(strengths), n_train))
        needed += 8 * COPIES * together * len(strengths) * len(task.classes) * n_train
    needed += 16 * (len(labellings) + n_left_out) * sum(map(len, splits.values()))

    def fit(layer: int) -> tuple[int, list[Probe], list[Probe]]:
        if splits["train"].folds is not None:
            features = features_of(splits["train"], layer, splits["train"].table)
            return layer, cross_validate(features, splits["train"].folds, labellings, strengths, device, task), []
        features_by_part = {part: features_of(splits[part], layer, one.table) for part, one in fitted_on.items()}
        probes = fit_probes(features_by_part, of_labellings, strengths, device, task=task)
        selected = []
        if left_out is not None:
            selected = fit_probes(features_by_part, [truth] * n_left_out, strengths, device, left_out, task)
        del features_by_part
        for part, split in scored.items():
            of = [one[part] for one in (*asked, *[splits] * len(selected))]
            add_scores(layer, [*probes, *selected], part, split, device, of)
        return layer, probes, selected

    at_once = 1 if torch.device(device).type != "cpu" else int(memory_gb * 1e9 / needed)
    yield from beside(fit, cache.layers, at_once)


@dataclass(frozen=True)
class _Sample:
    """The trials of a part that probes are trained or chosen on: their rows (n,), and these of its table."""

    rows: NDArray[np.intp]
    table: pd.DataFrame


def sampled(split: Split, most: int) -> _Sample:
    """All utterances of a part, or of units inside them at most so many, drawn evenly over the part."""
    rows = np.arange(len(split))
    if split.unit and split.folds is None and len(rows) > most:
        rows = np.sort(np.random.default_rng([len(rows), most]).permutation(len(rows))[:most])
    return _Sample(rows, split.table.iloc[rows])


def add_scores(
    layer: int,
    probes: Sequence[Probe],
    part: str,
    split: Split,
    device: str = "cpu",
    asked: Sequence[Split] | None = None,
) -> None:
    """Score every trial of a split, reading a block at a time, and add that to the probes' `scores`.

    `asked` are the same trials with what each probe is asked, where that is not one for all.
    """
    asked = asked or [split] * len(probes)
    scores: NDArray[Any] | None = None
    for rows, features in _blocks(split, layer, max(1, READ_VALUES // probes[0].weight.shape[-1])):
        of_block = scores_of(probes, features, device)
        if split.task.name == CLASSES:  # whose scores of many trials are too many to be kept
            of_block = np.stack(
                [of.task.compact(of.target[rows], one) for of, one in zip(asked, of_block, strict=True)]
            )
        if scores is None:
            scores = np.empty((len(probes), len(split)), of_block.dtype)
        scores[:, rows] = of_block
    assert scores is not None
    for probe, values in zip(probes, scores, strict=True):
        probe.scores[part] = values


def _blocks(split: Split, layer: int, most: int) -> Iterator[tuple[NDArray[np.integer], NDArray[Any]]]:
    """Rows of the trials of a split with their features, in the order of the shards: each is read once, from its start
    to its end.
    """
    if split.unit:
        yield from unit_blocks(split.cache, layer, _places(split.table))
        return
    order = np.lexsort((split.table["row"], split.table["shard"]))
    for first in range(0, len(order), most):
        rows = order[first : first + most]
        yield rows, features_of(split, layer, split.table.iloc[rows])


def _places(units: pd.DataFrame) -> pd.DataFrame:
    """Which frames units are, as readers of a cache know their utterances."""
    return pd.DataFrame(
        {"utterance_id": units[CLIP], "first_frame": units["first_frame"], "last_frame": units["last_frame"]}
    )


def features_of(split: Split, layer: int, table: pd.DataFrame) -> NDArray[Any]:
    """Features of a layer of some trials of a split.

    Mean and deviation over time (N, 2 D) of utterances, as they are stored; of units (N, D) float32.
    """
    if split.unit:
        return unit_features(split.cache, layer, _places(table))
    return split.cache.pooled([layer], table).reshape(len(table), -1)


def beside(work: Callable[[T], R], items: Sequence[T], at_once: int) -> Iterator[R]:
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
        with Threads(at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)) as pool:
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
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    rows: dict[str, NDArray[np.bool_]] | None = None,
    task: Task = SPOOFING,
) -> list[Probe]:
    """Fit all labellings x strengths of a layer in one solve; keep the best strength of each labelling on dev.

    Args:
        features: part -> (N, P); all parts but `train` are scored.
        labellings: K of them, part -> (N,) targets for `train` and `dev`; the true ones, or shuffled ones.
        strengths: values of C.
        device: where to solve.
        rows: `train` and `dev` -> (K, N), the utterances that each labelling is trained and chosen on; default all.
        task: what the targets make: logistic regression of two classes or more, ridge regression of numbers.

    Returns:
        K probes. The strength is the one that is best on dev by the metric of the task; among equals the smallest. Of
        classes also that of least cross-entropy on dev.
    """
    strengths = sorted(strengths)
    targets = torch.from_numpy(np.stack([labels["train"] for labels in labellings])).to(device)
    train = torch.from_numpy(features["train"]).to(targets.device)[None]
    chosen = None if rows is None else torch.from_numpy(rows["train"]).to(targets.device)
    weight, bias = _solve(task, train, targets, strengths, chosen)
    return best_on_dev(features, labellings, weight, bias, strengths, rows, task)


def best_on_dev(
    features: dict[str, NDArray[Any]],
    labellings: Sequence[Labelling],
    weight: torch.Tensor,
    bias: torch.Tensor,
    strengths: Sequence[float],
    rows: dict[str, NDArray[np.bool_]] | None = None,
    task: Task = SPOOFING,
) -> list[Probe]:
    """Of solutions for each labelling and strength, ascending, the best of each labelling on dev.

    Weights (K, S, P) and biases (K, S) act on features as they are; the others, and what is returned, see `fit_probes`.
    """
    of_classes = task.name == CLASSES
    best = torch.empty(len(labellings), 2 if of_classes else 1, dtype=torch.long, device=weight.device)
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
            biases[k, 0] if of_classes else float(biases[k, 0]),
            {},
            (weights[k, 1], biases[k, 1]) if of_classes else None,
        )
        for k in range(len(labellings))
    ]
    for part, x in features.items():
        if part != "train":
            for probe, scores in zip(probes, scores_of(probes, x, str(weight.device)), strict=True):
                probe.scores[part] = scores
    return probes


def _solve(
    task: Task, train: torch.Tensor, targets: torch.Tensor, strengths: Sequence[float], rows: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (K, S, P) and biases (K, S) for features (1, N, P) as they are; of M classes (K, S, M, P), (K, S, M)."""
    dtype = torch.float32 if task.name == CLASSES else product_dtype(task, train)
    if rows is not None and task.name != NUMBER:
        return fit_selections(train, targets, rows, strengths, tolerance=TOLERANCE, dtype=dtype, fit=_classifier(task))
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
    task: Task, z: torch.Tensor, targets: torch.Tensor, strengths: Sequence[float], tolerance: float = TOLERANCE
) -> Solution:
    """The solution for features (1, N, P) that are standardised and targets (K, N)."""
    if task.name == NUMBER:
        return fit_ridge(z, targets, strengths)
    parts = [
        _classifier(task)(z, some, strengths, tolerance=tolerance)
        for some in targets.split(_labellings_at_once(task, len(strengths), z.shape[1]))
    ]
    return Solution(*(torch.cat([getattr(one, name) for one in parts], dim=1) for name in ("weight", "bias")))


def _labellings_at_once(task: Task, n_strengths: int, n: int) -> int:
    """How many labellings are solved together: of many classes each has many margins, which solvers hold in copies."""
    if task.name != CLASSES:
        return MOST_MARGINS
    return max(1, MOST_MARGINS // (n_strengths * len(task.classes) * n))


def _classifier(task: Task) -> Callable[..., Solution]:
    return partial(fit_multinomial, n_classes=len(task.classes)) if task.name == CLASSES else fit_logistic


def cross_validate(
    features: NDArray[Any],
    folds: NDArray[np.intp],
    labellings: Sequence[Labelling],
    strengths: Sequence[float],
    device: str = "cpu",
    task: Task = SPOOFING,
) -> list[Probe]:
    """Fit every labelling without each fold and the next one, which it is chosen on; all folds in one solve.

    Args:
        features: (N, P).
        folds: (N,), see `folds_of`.
        labellings: as `fit_probes`.
        strengths: as there.
        device: as there.
        task: as there.

    Returns:
        A probe a labelling: its scores of `eval` are those of the probe trained without that fold, its scores of `dev`
        those of the probe chosen on it; weights are means over the folds, for looking at.
    """
    parts = list(fold_parts(folds))
    n = len(parts)
    rows = {part: np.tile(np.stack([of[part] for of in parts]), (len(labellings), 1)) for part in ("train", "dev")}
    repeated = [labels for labels in labellings for _ in parts]
    found = fit_probes({"train": features, "dev": features}, repeated, strengths, device, rows, task)
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
    found = margins(x, torch.from_numpy(np.stack(weight)).to(device), torch.from_numpy(np.stack(bias)).to(device))
    return found[:, 0] if probes[0].likeliest is None else np.moveaxis(found, 1, 2)


def margins(x: NDArray[Any], weight: torch.Tensor, bias: torch.Tensor) -> NDArray[np.float64]:
    """Scores (K, S, N), or of M classes (K, S, N, M), of features (N, P) as they are, some utterances at a time."""
    flat = weight.reshape(-1, weight.shape[-1]).T
    blocks = [
        (torch.from_numpy(x[first : first + ROWS_AT_ONCE]).to(weight) @ flat).T.cpu().numpy()
        for first in range(0, len(x), ROWS_AT_ONCE)
    ]
    found = np.concatenate(blocks, axis=1).reshape(*bias.shape, len(x)) + bias[..., None].cpu().numpy()
    return found if bias.ndim == 2 else np.moveaxis(found, 2, 3)


def shuffled(splits: dict[str, Split], seeds: Sequence[int]) -> list[Labelling]:
    """Labellings without meaning: the targets of train and of dev permuted, one labelling a seed."""
    labellings = []
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        labellings.append({part: generator.permutation(splits[part].target) for part in ("train", "dev")})
        if splits["train"].folds is not None:  # whose parts are the same utterances
            labellings[-1]["dev"] = labellings[-1]["train"]
    return labellings
