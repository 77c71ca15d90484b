"""A cache written by hand, in which it is known which layer carries the classes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES

SEPARATION = (0.0, 1.0, 3.0, 0.5)  # of the classes, by layer: layer 2 is best
DIM = 6


def write_cache(
    folder: Path,
    seed: int = 0,
    random_weights: bool = False,
    change: Callable | None = None,
    corpus_name: str = "hand",
    made: str = "by hand",
    separation: Sequence[float] = SEPARATION,
    name: str = "hand made",
    audio_root: str = "",
    planted: Callable | None = None,
    **fingerprint: str,
) -> Path:
    """4 layers x 6, 60 utterances a split, classes `separation` apart in the mean of one channel.

    `planted` gives, of a table, what is added instead, (n, 6), before it is multiplied by the
    separation.
    """
    generator = np.random.default_rng(seed)
    rows = [
        {
            "utterance_id": f"{split}-{i:02d}-é",
            "path": f"{split}/{i}.wav",
            "split": split,
            "label": "bonafide" if i % 2 else "spoof",
            "speaker": f"{split}-{i % 10}",
            "attack": "-" if i % 2 else f"A{i % 3:02d}",
        }
        for split in ("train", "dev", "eval")
        for i in range(60)
    ]
    corpus = pd.DataFrame(rows)
    corpus = change(corpus) if change else corpus
    about = {"backbone": name, "random_weights": random_weights, "corpus": corpus_name}
    about |= {"audio_root": audio_root} if audio_root else {}
    layers = tuple(range(len(separation)))
    manifest = Manifest(
        {"made": made, **fingerprint}, layers, DIM, {"pooled": "float32"}, MEASURES, about
    )
    with CacheWriter(folder, manifest, corpus, shard_size=70) as writer:
        for index, table in list(writer.pending()):
            n = len(table)
            measures = {name: generator.normal(size=n) for name in MEASURES}
            shard = writer.start_shard(
                index, list(table["utterance_id"]), [800] * n, [2] * n, measures
            )
            for layer, apart in enumerate(separation):
                x = generator.normal(size=(n, 2, DIM))
                if planted is None:
                    x[:, 0, 0] += apart * (table["label"] == "bonafide")
                else:
                    x[:, 0] += apart * planted(table)
                shard.write(0, "pooled", layer, 100 + 7 * x, n)
            writer.finish_shard(index, shard, {})
    return folder
