"""Memory and time of labelled frames: units of millions of frames, and one pass over them for every
layer.

    python tests/benchmarks/units_memory.py FOLDER [--frames 3000000] [--layers 13] [--dim 192] \
        [--dtype int8]

FOLDER takes a synthetic cache of that size (int8: 7.6 GB at the defaults) and is not deleted. What
counts is the anonymous memory above what the process had with the cache and the intervals (Linux
only), the table of units included: pages of the mapped cache are the system's to take back.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from frames_memory import Peak

from cache import Cache
from cache.manifest import MANIFEST, Manifest
from cache.quantization import stored
from cache.timing import ENTRY, FrameTiming
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.sweep import DepthOptions, SweepOptions, TargetOptions, sweep
from probing.units import unit_blocks, units_of

FRAMES = 300  # of an utterance: 6 s
INTERVALS = 60
PHONES = 40


SPLITS = ("train", "train", "train", "dev", "eval")


def measures(n: int) -> dict[str, np.ndarray]:
    return {name: np.random.default_rng(n).normal(size=n) for name in MEASURES}


def write(folder: Path, n: int, n_layers: int, dim: int, dtype: str) -> None:
    """A cache of n utterances whose frames are one random block again and again."""
    layers = tuple(range(n_layers))
    about = {"backbone": "synthetic", ENTRY: FrameTiming(320, 200).as_dict()}
    about |= {"backbone": "synthetic", "random_weights": True, "corpus": "synthetic"}
    manifest = Manifest(
        {"weights": "random"}, layers, dim, {"pooled": "float32", "frames": dtype}, MEASURES, about
    )
    names = [f"u{i:06d}" for i in range(n)]
    columns = {
        "utterance_id": names,
        "path": names,
        "split": [SPLITS[i % len(SPLITS)] for i in range(n)],
    }
    speakers = [f"s{i % len(SPLITS)}-{i % 200}" for i in range(n)]
    corpus = pd.DataFrame(
        {**columns, "label": "bonafide", "speaker": speakers, "attack": "-"}, dtype="str"
    )
    shape, on_disk = stored(dtype, (FRAMES, dim))
    values = np.random.default_rng(0).integers(-127, 127, (FRAMES, dim))
    block = np.zeros(shape, on_disk)
    if on_disk.names:
        block["scale"], block["values"] = 0.01, values
    else:
        block[...] = values / 100
    with CacheWriter(folder, manifest, corpus, 256) as writer:
        for index, rows in list(writer.pending()):
            ids = rows["utterance_id"].tolist()
            shard = writer.start_shard(
                index, ids, [320 * FRAMES + 80] * len(ids), [FRAMES] * len(ids), measures(len(ids))
            )
            for layer in layers:
                shard.write(0, "frames", layer, np.concatenate([block] * len(ids)), len(ids))
                shard.write(0, "pooled", layer, np.zeros((len(ids), 2, dim), np.float32), len(ids))
            writer.finish_shard(index, shard, {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=3_000_000)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--dtype", default="int8")
    parser.add_argument("--sweep", action="store_true", help="probe them too, frames of 40 classes")
    given = parser.parse_args()
    if not (given.folder / MANIFEST).exists():
        write(given.folder, given.frames // FRAMES, given.layers, given.dim, given.dtype)
    cache = Cache(given.folder)
    print(cache)
    edges = np.linspace(0, FRAMES * 0.02, INTERVALS + 1)
    names = np.repeat(cache.utterances["utterance_id"].to_numpy(object), INTERVALS)
    labels = np.array([f"p{i:02d}" for i in range(PHONES)], object)
    table = pd.DataFrame(
        {
            "utterance_id": pd.Series(names, dtype="str"),
            "start": np.tile(edges[:-1], len(cache)),
            "end": np.tile(edges[1:], len(cache)),
            "label": pd.Series(
                labels[np.random.default_rng(1).integers(PHONES, size=len(names))], dtype="str"
            ),
        }
    )
    with Peak() as peak:
        for unit in ("frame", "segment"):
            peak.most = 0.0
            started = time.perf_counter()
            units = units_of(cache, table, unit, columns=["split"]).table
            print(
                f"{unit}: {len(units)} units, {peak.gb:.2f} GB, "
                f"{time.perf_counter() - started:.1f} s"
            )
            peak.most = 0.0
            started = time.perf_counter()
            total = 0.0
            for layer in cache.layers:
                for _, features in unit_blocks(cache, layer, units):
                    total += float(features[0, 0])
            seconds = (time.perf_counter() - started) / len(cache.layers)
            print(
                f"{unit}: features of {len(cache.layers)} layers, "
                f"{peak.gb:.2f} GB, {seconds:.1f} s a layer"
            )
            del units
        if given.sweep:
            table.to_csv(given.folder.with_suffix(".csv"), index=False)
            target = TargetOptions(
                labels=str(given.folder.with_suffix(".csv")), target="phone", unit="frame"
            )
            depths = DepthOptions(heads=())
            options = SweepOptions(
                target=target, depths=depths, control_seeds=(0,), strengths=(0.001, 0.1)
            )
            peak.most = 0.0
            started = time.perf_counter()
            sweep(cache, given.folder.with_suffix(".run"), options, overwrite=True)
            print(f"sweep of frames: {peak.gb:.2f} GB, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
