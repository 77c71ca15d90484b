"""What each layer contributes to a trained head, in several views side by side.

gate, gate_sd: mean and standard deviation of the layer's gate over utterances (attentive merges,
    SLS), for all of them and by class and attack. gate_start: mean gate before training. Gates
    start at random and training moves them little where it need not, so that a gate alone says more
    of its start than of its layer.
weight: softmax weight; weight_x_norm: the same times the mean norm of the layer, which is what the
    layer adds to the sum (a small weight on a large layer is no small contribution).
eer_without: EER when the layer is replaced by its training mean. eer_permuted: EER when the layer's
    vectors are permuted between utterances (permutation importance; Breiman 2001; Fisher et al.,
    JMLR 2019), mean of several. Other targets have their metric instead, as in `r2_without`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probing.heads.head import Head
from probing.heads.sources import Source
from probing.heads.stack import HeadStack
from probing.runs.condition_names import condition_name
from probing.sweep.split import Split

PERMUTATIONS = 5
Rows = NDArray[np.intp]
BATCH = 256


def contributions(
    heads: Sequence[tuple[Head, Source, Rows]],
    split: Split,
    seed: int = 0,
    scaled_init: bool = True,
) -> Iterator[dict[str, Any]]:
    """Rows of the results table: `metric`, `layer`, `condition`, `value`.

    Args:
        heads: of full depth, each with layers 1..L of trials that it was not trained on, and their
            rows (n,) in the split: one, or of a cross-validation one a fold, of which weights are
            the mean.
        split: whose trials they are.
        seed: of the permutations.
        scaled_init: how its gates started, see `Recipe`.
    """
    layers = heads[0][0].layers
    learned = heads[0][0].stack.merge_kind.layer_weights != "gates"
    views = [_views_of(head, source, seed, scaled_init) for head, source, _ in heads]
    gates, starts, without, permuted = (
        _pooled(
            [(getattr(of, name), rows) for of, (_, _, rows) in zip(views, heads, strict=True)],
            len(split),
        )
        for name in ("gates", "starts", "without", "permuted")
    )
    conditions = {"all": np.ones(len(split), bool)}
    if not learned:
        conditions |= _conditions(split)
    for layer in layers:
        at = gates[:, layer - 1]
        at_start = starts[:, layer - 1]
        for condition, chosen in conditions.items():
            row = {"layer": layer, "condition": condition}
            if learned:
                weights = np.array([of.gates[:, layer - 1].mean() for of in views])
                norms = np.array([of.norms[layer - 1] for of in views])
                yield {**row, "metric": "weight", "value": float(weights.mean())}
                yield {**row, "metric": "weight_x_norm", "value": float((weights * norms).mean())}
            else:
                yield {**row, "metric": "gate", "value": float(at[chosen].mean())}
                yield {**row, "metric": "gate_sd", "value": float(at[chosen].std())}
                yield {**row, "metric": "gate_start", "value": float(at_start[chosen].mean())}
    for layer in layers:
        row = {"layer": layer, "condition": "all"}
        task = split.task
        name = task.metric.name
        yield {
            **row,
            "metric": f"{name}_without",
            "value": task.value(split.target, without[:, layer - 1]),
        }
        values = [task.value(split.target, permuted[:, layer - 1, j]) for j in range(PERMUTATIONS)]
        yield {**row, "metric": f"{name}_permuted", "value": float(np.mean(values))}


@dataclass(frozen=True)
class _Views:
    """Views of a head: gates, starts (n, L), norms (L,), without (n, L), permuted (n, L, P)."""

    gates: NDArray[np.float64]
    starts: NDArray[np.float64]
    norms: NDArray[np.float64]
    without: NDArray[np.float64]
    permuted: NDArray[np.float64]


def _views_of(head: Head, source: Source, seed: int, scaled_init: bool) -> _Views:
    gates, norms = _gates_and_norms(head.stack, source)
    learned = head.stack.merge_kind.layer_weights != "gates"
    starts = (
        gates if learned else _gates_and_norms(head.stack.before_training(scaled_init), source)[0]
    )
    without, permuted = _changed(head, source, len(source), seed)
    return _Views(
        gates,
        starts,
        norms=norms,
        without=np.moveaxis(without, 1, 0),
        permuted=np.moveaxis(permuted, 2, 0),
    )


def _pooled(parts: Sequence[tuple[NDArray[np.float64], Rows]], n: int) -> NDArray[np.float64]:
    found = np.zeros((n, *parts[0][0].shape[1:]))
    for values, rows in parts:
        found[rows] = values
    return found


def _conditions(split: Split) -> dict[str, NDArray[np.bool_]]:
    """Utterances (N,) by label and attack, where these are what the target is about."""
    if not split.task.is_spoofing:
        return {}
    found = {
        f"label={name}": (split.table["label"] == name).to_numpy() for name in ("bonafide", "spoof")
    }
    attacks = split.table["attack"]
    for attack in sorted(attacks[~split.bonafide].unique()):
        found[condition_name({"attack": attack})] = (attacks == attack).to_numpy() & ~split.bonafide
    return found


@torch.no_grad()
def _gates_and_norms(
    stack: HeadStack, source: Source
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gates (N, L) of every utterance, and the mean norm (L,) of each layer's mean vector."""
    gates = np.zeros((len(source), stack.n_layers))
    norms = np.zeros(stack.n_layers)
    for batch in source.batches(np.arange(len(source)), BATCH):
        x = stack.standardized(batch.x[:, : stack.n_layers])
        gates[batch.rows] = stack.merge.gates(x, batch.mask)[0].numpy()
        x = stack.merge.weighed(x)
        valid = x if batch.mask is None else x * batch.mask[:, None, :, None]
        n_valid = 1 if batch.mask is None else batch.mask.sum(1)[:, None, None]
        norms += (valid.sum(2) / n_valid).norm(dim=2).sum(0).numpy()
    return gates, norms / len(source)


@torch.no_grad()
def _changed(
    head: Head, source: Source, n: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores (L, N) without each layer, and (L, PERMUTATIONS, N) with each permuted.

    It is permuted among all utterances. The source is read twice side by side, in order and
    permuted, as no batch need hold more than a few utterances.
    """
    n_layers = len(head.layers)
    outputs = head.stack.outputs or 1
    tail = (outputs,) if outputs > 1 else ()
    without = np.zeros((n_layers, n, *tail))
    permuted = np.zeros((n_layers, PERMUTATIONS, n, *tail))
    generator = np.random.default_rng(seed)
    size = max(1, min(BATCH, getattr(source, "part_size", 2 * BATCH) // 2))
    for j in range(PERMUTATIONS):
        others = source.batches(generator.permutation(n), size)
        for batch, other in zip(source.batches(np.arange(n), size), others, strict=True):
            x, taken = (head.stack.standardized(clips.x[:, :n_layers]) for clips in (batch, other))
            for i in range(n_layers):
                if j == 0:
                    without[i, batch.rows] = _with_layer(
                        head, x, i=i, layer=torch.zeros_like(x[:, i]), mask=batch.mask
                    )
                layer = _fitted(taken[:, i], other.mask, x.shape[2])
                permuted[i, j, batch.rows] = _with_layer(head, x, i=i, layer=layer, mask=batch.mask)
    return without, permuted


def _fitted(layer: Tensor, mask: Tensor | None, n_frames: int) -> Tensor:
    """A layer (B, T, D) at another number of frames.

    A shorter one is repeated, so that none of its padding counts.
    """
    if mask is None:
        return layer
    frames = torch.arange(n_frames) % mask.sum(1)[:, None]
    return layer[torch.arange(len(layer))[:, None], frames]


def _with_layer(
    head: Head, x: Tensor, i: int, layer: Tensor, mask: Tensor | None
) -> NDArray[np.float64]:
    """Scores with layer i put in place of the true one; x is as before afterwards."""
    kept = x[:, i].clone()
    x[:, i] = layer
    scores = head.read(head.stack.read(head.stack(x, mask))[0])
    x[:, i] = kept
    return scores
