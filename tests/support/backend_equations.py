"""Larger back-ends written out from their equations in float64 numpy: logits of one model and one
utterance.
"""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import expit, softmax

Array = NDArray[np.float64]


def named(values: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Values whose names begin alike, by the rest of their names."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in values.items()
        if name.startswith(f"{prefix}.")
    }


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def selu(x: Array) -> Array:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def silu(x: Array) -> Array:
    return x * expit(x)


def linear(p: Mapping[str, Array], name: str, x: Array) -> Array:
    return x @ p[f"{name}.weight"] + p.get(f"{name}.bias", 0.0)


def batch_norm(p: Mapping[str, Array], name: str, x: Array) -> Array:
    """Channels last, by running statistics."""
    q = named(p, name)
    return (x - q["mean"]) / np.sqrt(q["variance"] + 1e-5) * q["weight"] + q["bias"]


def layer_norm(p: Mapping[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return normal * p[f"{name}.weight"] + p[f"{name}.bias"]


def mhfa(p: Mapping[str, Array], keys: Array, values: Array) -> Array:
    k, v = keys @ p["key"] + p["key_bias"], values @ p["value"] + p["value_bias"]
    heads = []
    for h in range(32):
        attention = softmax(k @ p["attend"][:, h] + p["attend_bias"][h])
        heads.append(sum(attention[t] * v[t] for t in range(len(v))))
    return (np.concatenate(heads) @ p["embed"] + p["embed_bias"]) @ p["weight"] + p["bias"]


def nes2net(p: Mapping[str, Array], x: Array) -> Array:
    width = -(-x.shape[1] // 8)
    x = np.hstack([x, np.zeros((len(x), 8 * width - x.shape[1]))])
    parts = [x[:, i * width : (i + 1) * width] for i in range(8)]
    outputs, before = [], np.zeros_like(parts[0])
    for i in range(7):
        before = batch_norm(
            p, f"norms.{i}", relu(res2net(named(p, f"inner.{i}"), parts[i] + before))
        )
        outputs.append(before)
    every = relu(batch_norm(p, "norm", np.hstack([*outputs, parts[7]])))
    return every.mean(axis=0) @ p["weight"] + p["bias"]


def res2net(p: Mapping[str, Array], x: Array) -> Array:
    y = batch_norm(p, "first_norm", relu(linear(p, "first", x)))
    width = y.shape[1] // 8
    parts = [y[:, i * width : (i + 1) * width] for i in range(8)]
    streams, outputs = [parts[7]], []
    for i in range(7):
        weight = p[f"convolutions.{i}.weight"].reshape(3, width, width)
        offset = p[f"convolutions.{i}.bias"]
        convolved = []
        for stream in [*streams, parts[i]]:
            out = np.tile(offset, (len(x), 1))
            for t in range(len(x)):
                for tap, frame in enumerate((t - 2, t, t + 2)):
                    if 0 <= frame < len(x):
                        out[t] += stream[frame] @ weight[tap]
            convolved.append(batch_norm(p, f"norms.{i}", relu(out)))
        streams = convolved
        outputs.append(
            sum(share * stream for share, stream in zip(p[f"sums.{i}"], streams, strict=True))
        )
    y = batch_norm(p, "last_norm", relu(linear(p, "last", np.hstack([*outputs, parts[7]]))))
    gate = expit(linear(p, "excite", relu(linear(p, "squeeze", y.mean(axis=0)))))
    return y * gate + x


def sls(p: Mapping[str, Array], x: Array) -> Array:
    x = np.vstack([x] * 201)[:201]
    y = selu(batch_norm(p, "norm", x[..., None])[..., 0])
    width = x.shape[1] // 3
    pooled = [
        y[3 * t : 3 * t + 3, 3 * d : 3 * d + 3].max() for t in range(67) for d in range(width)
    ]
    weight = p["inner"] / np.sqrt(3 * len(pooled))
    return selu(linear(p, "outer", selu(np.array(pooled) @ weight + p["inner_bias"]))) + p["bias"]


def conformer(p: Mapping[str, Array], x: Array) -> Array:
    y = x @ p["project"] + p["project_bias"]
    y = selu(batch_norm(p, "norm", y[..., None])[..., 0])
    y = np.vstack([p["token"], y])
    for i in range(4):
        y = conformer_block(named(p, f"blocks.{i}"), y)
    return y[0] @ p["weight"] + p["bias"]


def conformer_block(p: Mapping[str, Array], x: Array) -> Array:
    def feed_forward(name: str, x: Array) -> Array:
        q = named(p, name)
        return linear(q, "outer", silu(linear(q, "inner", layer_norm(q, "norm", x))))

    x = x + feed_forward("before", x) / 2
    normal, n = layer_norm(p, "attention_norm", x), len(x)
    query, both = linear(p, "query", normal), linear(p, "key_value", normal)
    heads = []
    for h in range(4):
        of = slice(36 * h, 36 * h + 36)
        q, k, v = query[:, of], both[:, :144][:, of], both[:, 144:][:, of]
        energy = np.array(
            [
                [
                    q[i] @ k[j] + q[i] @ p["positions"][np.clip(i - j, -512, 512) + 512]
                    for j in range(n)
                ]
                for i in range(n)
            ]
        )
        heads.append(softmax(energy / 6, axis=1) @ v)
    x = x + linear(p, "attention_out", np.hstack(heads))
    gated = linear(p, "gated", layer_norm(p, "convolution_norm", x))
    gated = gated[:, :288] * expit(gated[:, 288:])
    kernel = p["convolution.weight"][:, 0]
    padded = np.vstack([np.zeros((15, 288)), gated, np.zeros((15, 288))])
    convolved = (
        np.array([(padded[t : t + 31] * kernel.T).sum(axis=0) for t in range(n)])
        + p["convolution.bias"]
    )
    x = x + linear(p, "convolution_out", silu(batch_norm(p, "batch_norm", convolved)))
    x = x + feed_forward("after", x) / 2
    return layer_norm(p, "norm", x)


def aasist(p: Mapping[str, Array], x: Array) -> Array:
    y = (x @ p["project"] + p["project_bias"]).T
    n_times = max(1, len(x) // 3)
    maps = np.array(
        [[y[3 * f : 3 * f + 3, 3 * t : 3 * t + 3].max() for t in range(n_times)] for f in range(42)]
    )
    maps = selu(batch_norm(p, "first_norm", maps[..., None]))  # (bands, times, channels)
    for i in range(6):
        maps = residual(named(p, f"blocks.{i}"), maps)
    maps = selu(batch_norm(p, "last_norm", maps))
    inner = batch_norm(p, "attention_norm", selu(convolved(p, "attention.0", maps, (0, 0))))
    energy = convolved(p, "attention.1", inner, (0, 0))
    bands = (maps * softmax(energy, axis=1)).sum(axis=1) + p["positions"]
    times = (maps * softmax(energy, axis=0)).sum(axis=0)
    bands = pooled(p, "pool_bands", graph_attention(named(p, "bands"), bands))
    times = pooled(p, "pool_times", graph_attention(named(p, "times"), times))
    branches = [branch(named(p, f"branches.{i}"), times, bands) for i in range(2)]
    t, s, master = (np.maximum(one, other) for one, other in zip(*branches, strict=True))
    found = [abs(t).max(axis=0), t.mean(axis=0), abs(s).max(axis=0), s.mean(axis=0), master]
    return np.concatenate(found) @ p["weight"] + p["bias"]


def convolved(p: Mapping[str, Array], name: str, x: Array, padding: tuple[int, int]) -> Array:
    weight = p[f"{name}.weight"]
    padded = np.pad(x, [(padding[0],) * 2, (padding[1],) * 2, (0, 0)])
    windows = sliding_window_view(padded, weight.shape[2:], axis=(0, 1))
    return np.einsum("ftihw,oihw->fto", windows, weight) + p[f"{name}.bias"]


def residual(p: Mapping[str, Array], x: Array) -> Array:
    y = convolved(
        p, "second", selu(batch_norm(p, "norm", convolved(p, "first", x, (1, 1)))), (0, 1)
    )
    return y + (convolved(p, "across", x, (0, 1)) if "across.weight" in p else x)


def graph_attention(p: Mapping[str, Array], x: Array) -> Array:
    energy = [
        [float(np.tanh(linear(p, "attend", a * b)) @ p["attend_weight.weight"][:, 0]) for b in x]
        for a in x
    ]
    share = softmax(np.array(energy) / 2, axis=1)
    return selu(batch_norm(p, "norm", linear(p, "others", share @ x) + linear(p, "own", x)))


def pooled(p: Mapping[str, Array], name: str, x: Array) -> Array:
    gates = expit(linear(p, f"{name}.gate", x))[:, 0]
    kept = np.argsort(-gates, kind="stable")[: max(1, len(x) // 2)]
    return gates[kept, None] * x[kept]


def branch(p: Mapping[str, Array], times: Array, bands: Array) -> tuple[Array, Array, Array]:
    times, bands, master = pair_attention(named(p, "first"), times, bands, p["master"])
    times, bands = pooled(p, "pool_times", times), pooled(p, "pool_bands", bands)
    more = pair_attention(named(p, "second"), times, bands, master)
    return times + more[0], bands + more[1], master + more[2]


def pair_attention(
    p: Mapping[str, Array], first: Array, second: Array, master: Array
) -> tuple[Array, Array, Array]:
    x, n = np.vstack([linear(p, "first", first), linear(p, "second", second)]), len(first)
    energy = np.zeros((len(x), len(x)))
    for i, a in enumerate(x):
        for j, b in enumerate(x):
            kind = (i >= n) + (j >= n)  # within the first, between both, within the second
            energy[i, j] = (
                np.tanh(linear(p, "attend", a * b)) @ p["attend_weights.weight"][:, kind] / 100
            )
    y = selu(
        batch_norm(
            p, "norm", linear(p, "others", softmax(energy, axis=1) @ x) + linear(p, "own", x)
        )
    )
    attention = softmax(
        np.tanh(linear(p, "master_attend", x * master)) @ p["master_weight.weight"][:, 0] / 100
    )
    return y[:n], y[n:], linear(p, "master_others", attention @ x) + linear(p, "master_own", master)
