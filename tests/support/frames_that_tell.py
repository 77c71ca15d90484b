"""Frames whose channels say what they are, with stretches of time that name it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from cache.manifest import Manifest
from cache.timing import ENTRY, FrameTiming
from cache.writer import CacheWriter
from probing.audio import MEASURES

HOP, CENTRE, DIM, N_FRAMES = 320, 200, 5, 40
SEPARATION = (0.0, 2.0, 0.7)  # layer 1 knows it best
PHONES = ("ah", "ee", "s")


def write_frames(
    folder: Path,
    sound: pd.DataFrame,
    labels: tuple[str, ...],
    audio_root: str = "",
    crc: int | None = None,
) -> Path:
    """Frames whose channel says what they are, by `sound`: utterance_id, start, end, label.

    The checksums of the audio count from `crc`; None keeps none.
    """
    generator = np.random.default_rng(3)
    rows = [
        {
            "utterance_id": f"{split}-{i}",
            "path": f"{split}/{i}.wav",
            "split": split,
            "speaker": f"{split}{i % 4}",
        }
        for split in ("train", "dev", "eval")
        for i in range(16)
    ]
    corpus = pd.DataFrame(rows).assign(label="bonafide", attack="-")
    if crc is not None:
        corpus = corpus.assign(file_crc32=range(crc, crc + len(corpus)))
    about = {"backbone": "by hand", "random_weights": False, "corpus": "tones"}
    about |= {"audio_root": audio_root} if audio_root else {}
    about |= {ENTRY: FrameTiming(HOP, CENTRE).as_dict()}
    tiers = {"pooled": "float32", "frames": "float16"}
    manifest = Manifest(
        {"made": "by hand"}, tuple(range(len(SEPARATION))), DIM, tiers, MEASURES, about
    )
    times = (CENTRE + HOP * np.arange(N_FRAMES)) / 16_000
    with CacheWriter(folder, manifest, corpus, shard_size=20) as writer:
        for index, table in list(writer.pending()):
            ids = list(table["utterance_id"])
            n = len(ids)
            measures = {name: generator.normal(size=n) for name in MEASURES}
            shard = writer.start_shard(
                index, ids, [HOP * N_FRAMES + 80] * n, [N_FRAMES] * n, measures
            )
            known = np.zeros((n, N_FRAMES, DIM))
            for at, name in enumerate(ids):
                for row in sound[sound["utterance_id"] == name].itertuples():
                    inside = (times >= row.start) & (times < row.end)
                    known[at, inside, labels.index(row.label)] = 1
            for layer, apart in enumerate(SEPARATION):
                x = generator.normal(size=known.shape) + apart * known
                shard.write(0, "frames", layer, x.reshape(-1, DIM).astype(np.float16), n)
                shard.write(
                    0,
                    "pooled",
                    layer,
                    np.stack([x.mean(1), x.std(1)], axis=1).astype(np.float32),
                    n,
                )
            writer.finish_shard(index, shard, {})
    return folder


def intervals(labels: tuple[str, ...], seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for split in ("train", "dev", "eval"):
        for i in range(16):
            edges = np.concatenate([[0.0], np.sort(generator.uniform(0.05, 0.75, 5)), [0.8]])
            first = int(generator.integers(len(labels)))
            for k, (start, end) in enumerate(pairwise(edges)):
                rows.append((f"{split}-{i}", start, end, labels[(first + k) % len(labels)]))
    return pd.DataFrame(rows, columns=["utterance_id", "start", "end", "label"])
