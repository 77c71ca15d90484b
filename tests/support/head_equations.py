"""Heads written out from their equations in float64 numpy, one model and one utterance
at a time.
"""

from collections.abc import Mapping
from typing import Any

import backend_equations
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def silu(x: Any) -> Any:
    return x * sigmoid(x)


def gates_of(merge: str, p: Mapping[str, Array], x: Array) -> Array:
    """What each layer of one utterance x (L, T, D) is multiplied by; L is the depth of
    the model.
    """
    depth, z = len(x), x.mean(axis=1)
    if merge == "mean":
        return np.full(depth, 1 / depth)
    if merge == "single":
        return np.eye(depth)[-1]
    if merge.startswith("weighted-sum") or merge == "selected":
        return softmax_weights(p["merge.logits"][:depth])
    if merge == "gumbel":
        return np.eye(depth)[p["merge.logits"][:depth].argmax()]
    if merge == "se":
        n_hidden = max(1, depth // 3)
        hidden = np.maximum(x.mean(axis=(1, 2)) @ p["merge.squeeze"][:depth, :n_hidden], 0)
        return sigmoid(hidden @ p["merge.excite"][:n_hidden, :depth])
    if merge == "sls":
        return np.array(
            [sigmoid(z[layer] @ p["merge.weight"] + p["merge.bias"]) for layer in range(depth)]
        )
    q = silu(z @ p["merge.query"])
    hidden = silu(q @ p["merge.squeeze"][:depth, : depth // 2])
    return sigmoid(hidden @ p["merge.excite"][: depth // 2, :depth])


def softmax_weights(logits: Array) -> Array:
    return np.exp(logits) / np.exp(logits).sum()


def merged(merge: str, p: Mapping[str, Array], x: Array) -> Array:
    """One vector (T, D) a frame."""
    if merge == "weighted-sum-norm":
        x = (x - x.mean(axis=2, keepdims=True)) / np.sqrt(x.var(axis=2, keepdims=True) + 1e-5)
    gated = gates_of(merge, p, x)[:, None, None] * x
    if not merge.startswith("attentive"):
        return gated.sum(axis=0)
    depth, n_frames, dim = x.shape
    flat = np.zeros((n_frames, dim * depth))
    weight = np.zeros((dim * depth, p["merge.down_bias"].size))
    for d in range(dim):
        for layer in range(depth):
            flat[:, d * depth + layer] = gated[layer, :, d]
            weight[d * depth + layer] = p["merge.down"][d, layer]
    return silu(flat @ weight + p["merge.down_bias"]) @ p["merge.up"] + p["merge.up_bias"]


def score(merge: str, backend: str, p: Mapping[str, Array], x: Array) -> float:
    """The score of one utterance x (depth, T, D), without its padding."""
    y = merged(merge, p, x)
    if backend == "linear":
        vector = (
            y[0]
            if len(p["backend.weight"]) == y.shape[1]
            else statistics(y, np.full(y.shape, 1 / len(y)))
        )
        return float(vector @ p["backend.weight"][:, 0] + p["backend.bias"])
    if backend == "mlp":
        hidden = silu(y.mean(axis=0) @ p["backend.inner"] + p["backend.inner_bias"])
        return float(hidden @ p["backend.outer"][:, 0] + p["backend.bias"])
    if backend == "lstm":
        logits = lstm(p, y).mean(axis=0) @ p["backend.weight"] + p["backend.bias"]
        return float(logits[1] - logits[0])
    if backend in ("mhfa", "sls", "nes2net", "conformer", "aasist"):
        own = backend_equations.named(p, "backend")
        keys = [
            np.tensordot(softmax_weights(p["merge.key_logits"][: len(x)]), x, 1)
            if merge.endswith("-kv")
            else y
        ]
        logits = getattr(backend_equations, backend)(own, *(keys if backend == "mhfa" else []), y)
        return float(logits[0] if len(logits) == 1 else logits[1] - logits[0])
    context = np.tile(statistics(y, np.full(y.shape, 1 / len(y))), (len(y), 1))
    inner = np.tanh(np.hstack([y, context]) @ p["backend.attend"] + p["backend.attend_bias"])
    attention = np.exp(inner @ p["backend.channel"] + p["backend.channel_bias"])
    pooled = statistics(y, attention / attention.sum(axis=0))
    logits = pooled @ p["backend.weight"] + p["backend.bias"]
    return float(logits[1] - logits[0])


def statistics(y: Array, share: Array) -> Array:
    """Mean and deviation over time, one behind the other."""
    mean = (share * y).sum(axis=0)
    return np.concatenate([mean, np.sqrt((share * (y - mean) ** 2).sum(axis=0) + 1e-8)])


def lstm(p: Mapping[str, Array], y: Array) -> Array:
    """Outputs (T, 192) of the cell of Hochreiter & Schmidhuber as PyTorch writes it."""
    width = len(p["backend.hidden"])
    h, c, outputs = np.zeros(width), np.zeros(width), []
    for frame in y:
        gates = (
            frame @ p["backend.input"]
            + p["backend.input_bias"]
            + h @ p["backend.hidden"]
            + p["backend.hidden_bias"]
        )
        i, f, g, o = (gates[k * width : (k + 1) * width] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)
