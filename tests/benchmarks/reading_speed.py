"""How fast a cache is read, beside a raw sequential read of the same bytes and beside one .pt file
per utterance.

Writes synthetic caches of a realistic shape, and the same numbers as .pt files, into a scratch
folder that is removed afterwards. All reads are warm (from the page cache) and give new arrays;
they run in turn, and medians of ratios count.

    python tests/benchmarks/reading_speed.py [--scratch DIR] [--rounds 5] [--utterances 48] \
        [--pooled-utterances 1500]
    python tests/benchmarks/reading_speed.py --first \
        [--beside TREE]    the first read alone, in processor time
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from figures import figure, interleaved, median_ratio
from torch.utils.data import DataLoader

from cache import Cache
from cache.dataset import CacheDataset, collate
from cache.manifest import Manifest
from cache.writer import CacheWriter

LAYER = 3


def write(
    folder: Path, frames: str | None, n: int, n_layers: int, dim: int, shard_size: int
) -> None:
    """A cache of `n` utterances of 100 to 300 frames, and `.pt` files of the same numbers in
    `folder`-pt.
    """
    generator = np.random.default_rng(0)
    ids = [f"u{i:06d}" for i in range(n)]
    corpus = pd.DataFrame({"utterance_id": ids, "path": ids, "split": "train", "label": "spoof"})
    tiers = {"pooled": "float32"} | ({"frames": frames} if frames else {})
    manifest = Manifest(
        {"synthetic": n}, tuple(range(n_layers)), dim, tiers, (), {"backbone": "synthetic"}
    )
    files = folder.with_name(folder.name + "-pt")
    files.mkdir()
    noise = generator.standard_normal((n_layers, 300, dim), dtype=np.float32)
    with CacheWriter(folder, manifest, corpus, shard_size) as writer:
        for index, rows in list(writer.pending()):
            counts = [100 + 200 * (int(name[1:]) * 7 % 11) // 10 for name in rows["utterance_id"]]
            shard = writer.start_shard(
                index, list(rows["utterance_id"]), [320 * c for c in counts], counts, {}
            )
            for row, (name, count) in enumerate(zip(rows["utterance_id"], counts, strict=True)):
                pooled = noise[:, row % 200 : row % 200 + 2] + np.float32(row)
                clip = np.roll(noise, row, 1)[:, :count].astype(np.float16) if frames else pooled
                torch.save(torch.from_numpy(np.ascontiguousarray(clip)), files / f"{name}.pt")
                for layer in range(n_layers):
                    shard.write(row, "pooled", layer, pooled[layer][None], 1)
                    if frames:
                        shard.write(row, "frames", layer, clip[layer], 1)
            writer.finish_shard(index, shard, {})


def raw(folder: Path, sizes: list[int], keep: bool) -> Callable[[], object]:
    """Reads as many bytes of the shards as `sizes` says, one after the other, each into a new
    array, kept or not.
    """
    handles = [os.open(path, os.O_RDONLY) for path in sorted(folder.glob("*.h5"))]
    total = [os.fstat(handle).st_size for handle in handles]

    def read() -> object:
        arrays, file, at = [], 0, 0
        for size in sizes:
            array = np.empty(size, np.uint8)
            view, done = memoryview(array), 0
            while done < size:
                if at >= total[file]:
                    file, at = (file + 1) % len(handles), 0
                got = os.preadv(handles[file], [view[done : done + (1 << 24)]], at)
                done, at = done + got, at + got
            if keep:
                arrays.append(array)
        return arrays

    return read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scratch", type=Path, help="a folder for about 2 GB [default: a temporary one]"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--utterances", type=int, default=48, help="with frames, of 10 MB each")
    parser.add_argument(
        "--pooled-utterances", type=int, default=1500, help="pooled only, of 0.2 MB each"
    )
    parser.add_argument("--layers", type=int, default=25)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument(
        "--first", action="store_true", help="only the first read, in processor time"
    )
    parser.add_argument(
        "--beside", type=Path, help="with --first: another checkout that reads these caches"
    )
    parser.add_argument("--one-round", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one_round:
        print(*first_read(asked.one_round))
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=asked.scratch) as home:
        frames, pooled, int8 = Path(home) / "frames", Path(home) / "pooled", Path(home) / "int8"
        write(frames, "float16", asked.utterances, asked.layers, asked.dim, 24)
        if asked.first:
            first_reads(frames, asked.beside, asked.rounds)
            return
        write(int8, "int8", asked.utterances, asked.layers, asked.dim, 24)
        write(pooled, None, asked.pooled_utterances, asked.layers, asked.dim, 256)
        measure(frames, int8, pooled, asked.rounds)


def first_read(folder: Path) -> tuple[float, ...]:
    """Processor seconds of a raw read, of opening a cache with its shards, and of opening and
    reading all frames.
    """
    ids = list(Cache(folder).utterances["utterance_id"])
    read = raw(folder, [clip.nbytes for clip in Cache(folder).frames(ids)], keep=False)

    def opening() -> None:
        cache = Cache(folder)
        for i in range(len(list(folder.glob("*.h5")))):
            cache._shard(i)

    def reading() -> None:
        cache = Cache(folder)
        for name in ids:
            cache.frames([name])

    seconds = []
    for work in (read, opening, reading):
        work()
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return tuple(seconds)


def first_reads(folder: Path, beside: Path | None, rounds: int) -> None:
    """Print the first read over a raw one here, and over that of another checkout, in turn."""
    trees = {"here": Path(__file__).parents[2], **({"there": beside.resolve()} if beside else {})}
    found: dict[str, list[list[float]]] = {name: [] for name in trees}
    command = [sys.executable, __file__, "--one-round", str(folder)]
    for _ in range(rounds):
        for name, tree in trees.items():
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)}
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            found[name].append([float(word) for word in done.stdout.split()])
    for name, times in found.items():
        for what, ratios in (
            (
                "everything read the first time, with checksums / raw",
                [seconds[0] / seconds[2] for seconds in times],
            ),
            (
                "the same without opening",
                [seconds[0] / (seconds[2] - seconds[1]) for seconds in times],
            ),
        ):
            figure(
                f"{what}, {name}",
                statistics.median(ratios),
                ", ".join(f"{ratio:.2f}" for ratio in ratios),
            )
    if beside:
        ratios = [
            there[2] / here[2] for here, there in zip(found["here"], found["there"], strict=True)
        ]
        figure(
            "first read, there / here",
            statistics.median(ratios),
            ", ".join(f"{ratio:.2f}" for ratio in ratios),
        )


def measure(frames: Path, int8: Path, pooled: Path, rounds: int) -> None:
    """Print every figure."""
    cache, means, small = Cache(frames), Cache(pooled), Cache(int8)
    ids = list(cache.utterances["utterance_id"])
    batch = [ids[i] for i in np.random.default_rng(1).permutation(len(ids))]
    layer_bytes = cache.layer(LAYER, "frames")[0].nbytes
    clip_bytes = [clip.nbytes for clip in cache.frames(batch)]
    prefix = range(LAYER + 1)
    prefix_bytes = [clip.nbytes for clip in cache.frames(batch, prefix)]
    data = DataLoader(CacheDataset(cache), 8, shuffle=True, collate_fn=collate)
    files = {
        folder: sorted(folder.with_name(folder.name + "-pt").iterdir())
        for folder in (frames, pooled)
    }

    def against_raw(
        name: str, work: Callable[[], object], folder: Path, sizes: list[int], keep: bool = True
    ) -> None:
        """Print the speed of `work` over that of a raw read."""
        ratio, each = median_ratio(interleaved([raw(folder, sizes, keep), work], rounds))
        figure(f"{name} / raw sequential read", ratio, each)

    def one_by_one(cache: Cache = cache) -> None:
        for name in batch:
            cache.frames([name])

    against_raw("layer read, frames", lambda: cache.layer(LAYER, "frames"), frames, [layer_bytes])
    against_raw(
        "layer read, pooled", lambda: means.layer(LAYER), pooled, [means.layer(LAYER)[0].nbytes]
    )
    against_raw("utterance read, shuffled", one_by_one, frames, clip_bytes, keep=False)
    against_raw("prefix read, shuffled", lambda: cache.frames(batch, prefix), frames, prefix_bytes)
    batches = "padded batches of 8, shuffled, of the bytes without padding"
    against_raw(batches, lambda: deque(data, maxlen=0), frames, clip_bytes, keep=False)
    against_raw(
        "layer read, int8 decoded to float32, of its bytes on disk",
        lambda: small.layer(LAYER, "frames"),
        int8,
        [layer_bytes // 2],
    )
    against_raw(
        "everything read the first time, with checksums",
        lambda: one_by_one(Cache(frames)),
        frames,
        clip_bytes,
        False,
    )

    def each(layers: Sequence[int], read: Callable[[int], object]) -> Callable[[], None]:
        def work() -> None:
            for k in layers:
                read(k)  # let go before the next, as in a sweep

        return work

    def scan(k: int, folder: Path) -> object:
        return torch.cat([torch.load(path)[k] for path in files[folder]])

    for name, of, folder, tier, layers in (
        ("frames", cache, frames, "frames", [LAYER]),
        ("pooled, one layer", means, pooled, "pooled", [LAYER]),
        ("pooled, all layers one by one", means, pooled, "pooled", means.layers),
    ):
        works = (
            each(layers, partial(scan, folder=folder)),
            each(layers, partial(of.layer, tier=tier)),
        )
        ratio, ratios = median_ratio(interleaved(works, rounds))
        figure(f"layer scan of one .pt per utterance / ours, {name}", ratio, ratios)


if __name__ == "__main__":
    main()
