"""Planted truth: caches in which it is known which layers tell the classes apart, and
by how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES

SPLITS = ("train", "dev", "eval")
PER_SPEAKER, ATTACKS = 10, ("A01", "A02", "A03")


def plant(
    folder: Path,
    signal: Mapping[int, float],
    *,
    n_layers: int = 6,
    dim: int = 8,
    n: tuple[int, int, int] = (200, 120, 200),
    correlation: float = 0.8,
    seed: int = 0,
    xor: Mapping[int, float] | None = None,
) -> Path:
    """Write a pooled cache of layers 0..n_layers and give its folder.

    What is true of it: in layer k, the classes are normal with the same covariance and means
    `signal[k]` standard deviations apart, along a direction of that layer drawn at random; in a
    layer that `signal` does not name they do not differ. So the best EER from layer k alone is
    Phi(-signal[k] / 2), Phi being the normal distribution function. The noise of a feature is an
    AR(1) process over layers with `correlation` between neighbours, as the layers of a residual
    network resemble each other; a head may therefore use a layer without signal to subtract noise
    from one with it, and with a correlation of 0 it may not. Only the mean over time (the first
    half of the vector) carries classes; deviation over time, speakers and attacks say nothing.

    Args:
        folder: of the cache; is made.
        signal: layer -> distance of the classes in standard deviations of the noise.
        n_layers: L; layer 0 is written too.
        dim: width of a layer.
        n: utterances in train, dev and eval, half of them bona fide; `PER_SPEAKER` a speaker, of
            both classes.
        correlation: of the noise in neighbouring layers, 0 to 1.
        seed: of everything drawn.
        xor: layer -> distance: along two more directions of that layer each utterance lies so far
            on either side, on the same side of both in bona fide speech, on opposite ones in
            spoofed speech. No linear function of the layer tells the classes apart; the product of
            the two coordinates does.
    """
    xor = dict(xor or {})
    if not set(xor) <= set(range(n_layers + 1)):
        raise ValueError(f"xor in layers {sorted(xor)}: expected layers among 0 to {n_layers}")
    if not set(signal) <= set(range(n_layers + 1)):
        raise ValueError(
            f"signal in layers {sorted(signal)}: expected layers among 0 to {n_layers}"
        )
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(n_layers + 1, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    corpus = pd.DataFrame(
        {
            "utterance_id": f"{split}-{i:05d}",
            "path": f"{split}/{i}.wav",
            "split": split,
            "label": "bonafide" if i % 2 else "spoof",
            "speaker": f"{split}-{i // PER_SPEAKER}",
            "attack": "-" if i % 2 else ATTACKS[i // 2 % len(ATTACKS)],
        }
        for split, count in zip(SPLITS, n, strict=True)
        for i in range(count)
    )
    crossing = np.random.default_rng([seed, 1])
    pairs = {layer: np.linalg.qr(crossing.normal(size=(dim, 2)))[0].T for layer in sorted(xor)}
    planted = {str(layer): float(apart) for layer, apart in signal.items()}
    made = {"planted": planted, "n": list(n), "correlation": correlation, "seed": seed}
    made |= {"xor": {str(layer): float(apart) for layer, apart in xor.items()}} if xor else {}
    about = {"backbone": "planted", "random_weights": False, "corpus": "planted"}
    manifest = Manifest(
        made, tuple(range(n_layers + 1)), dim, {"pooled": "float32"}, MEASURES, about
    )
    with CacheWriter(folder, manifest, corpus, shard_size=256) as writer:
        for index, table in list(writer.pending()):
            count = len(table)
            measures = {name: generator.normal(size=count) for name in MEASURES}
            shard = writer.start_shard(
                index, list(table["utterance_id"]), [800] * count, [2] * count, measures
            )
            side = np.where(table["label"] == "bonafide", 0.5, -0.5)[:, None]
            noise = generator.normal(size=(count, 2, dim))
            for layer in range(n_layers + 1):
                x = noise.copy()
                x[:, 0] += signal.get(layer, 0.0) * side * directions[layer]
                if layer in xor:
                    first = crossing.choice([-0.5, 0.5], size=(count, 1))
                    x[:, 0] += xor[layer] * (
                        first * pairs[layer][0] + 2 * first * side * pairs[layer][1]
                    )
                shard.write(0, "pooled", layer, x, count)
                fresh = generator.normal(size=noise.shape)
                noise = correlation * noise + np.sqrt(1 - correlation**2) * fresh
            writer.finish_shard(index, shard, {})
    return folder
