"""How long whole corpora take on 1, 4 and 16 workers and how much they write, computed from rates
measured here.

Measured on this machine: processor seconds of `extract` a second of audio (WavLM of a published
shape, random weights, one thread, decoding and writing included), bytes of hidden states an
utterance, and the rate of writing shards. Computed: everything of the table. A worker is one such
process with a core to itself; workers share nothing but the disk, so that n of them take an n-th of
the time as long as the disk keeps up.

    python tests/benchmarks/cluster_table.py [--shape base --shape large] [--clips 16] \
        [--rounds 5] [--scratch DIR]
    python tests/benchmarks/cluster_table.py --shape large --rate 120    a worker of another \
        kind: s of audio a second

The rate of a worker of yours is in the progress line of `probe extract`.
"""

import argparse
import datetime
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from shapes import SHAPES, shape

from cache import Cache
from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.corpora import Corpus, load_corpus
from probing.extraction import Machine, Options
from probing.extraction.extracting import new_manifest, session

SECONDS = 4.0375  # of a clip, 64,600 samples
HOURS = 10_000
CORPORA = {  # clips, from the protocols
    "ASVspoof 2021 DF": 611_829,
    "ASVspoof 5, train, dev and eval": 182_357 + 140_950 + 680_774,
    f"{HOURS:,} hours": round(HOURS * 3600 / SECONDS),
}
WORKERS = (1, 4, 16)
TIERS = (
    {"pooled": "float32"},
    {"pooled": "float16"},
    {"pooled": "float32", "frames": "float16"},
    {"pooled": "float32", "frames": "int8"},
)


@dataclass(frozen=True)
class Measured:
    """Of one shape: seconds of audio that a worker takes a second, and bytes of hidden states an
    utterance by tiers.
    """

    rate: float
    n_bytes: tuple[float, ...]


def measured(name: str, n_clips: int, rate: float | None, rounds: int, scratch: Path) -> Measured:
    """Extract clips of the demo corpus: two with each choice of tiers, and all again and again for
    a rate not given.
    """
    corpus = load_corpus("demo")
    corpus = replace(corpus, utterances=corpus.utterances.head(n_clips).reset_index(drop=True))
    n_bytes, rates = [], []
    with shape(name) as spec:
        options = Options(spec, seconds=SECONDS)
        backbone = options.load_backbone("cpu")
        backbone.hidden_states([np.zeros(round(SECONDS * 16000), np.float32)])

        def extract(folder: Path, tiers: dict[str, str], some: Corpus) -> tuple[Cache, float]:
            chosen = replace(
                options,
                pooled_dtype=tiers["pooled"],
                frames="frames" in tiers,
                frames_dtype=tiers.get("frames", "float16"),
            )
            began, n = time.process_time(), len(some.utterances)
            with (
                CacheWriter(
                    folder, new_manifest(backbone, some, chosen), some.utterances
                ) as writer,
                session(
                    writer, some.root, backbone, chosen, Machine("cpu"), n, False, lambda text: None
                ) as pipeline,
            ):
                pipeline.run()
            return Cache(folder), time.process_time() - began

        for i, tiers in enumerate(TIERS):
            cache, _ = extract(
                scratch / f"{name}-{i}",
                tiers,
                replace(corpus, utterances=corpus.utterances.head(2)),
            )
            [record] = cache.manifest.shards
            n_bytes.append(sum(stop - start for start, stop in record.states or []) / len(cache))
        for i in range(0 if rate else rounds):
            _, seconds = extract(scratch / f"{name}-again-{i}", TIERS[0], corpus)
            rates.append(n_clips * SECONDS / seconds)
    print(
        f"{name}: {', '.join(f'{rate:.2f}' for rate in rates)} s of audio a second of processor",
        flush=True,
    )
    return Measured(rate or statistics.median(rates), tuple(n_bytes))


def write_rate(
    scratch: Path, rounds: int, n: int = 48, n_frames: int = 200, dim: int = 1024
) -> float:
    """Bytes a second of writing shards with frames until they are on the disk, wall time."""
    ids = [f"u{i:06d}" for i in range(n)]
    corpus = pd.DataFrame({"utterance_id": ids, "path": ids, "split": "train", "label": "spoof"})
    clip = np.random.default_rng(0).standard_normal((n_frames, dim)).astype(np.float16)
    rates = []
    for i in range(rounds):
        tiers = {"pooled": "float32", "frames": "float16"}
        manifest = Manifest(
            {"synthetic": n}, tuple(range(25)), dim, tiers, (), {"backbone": "synthetic"}
        )
        with CacheWriter(scratch / f"written-{i}", manifest, corpus, n) as writer:
            [(index, rows)] = list(writer.pending())
            began = time.perf_counter()
            shard = writer.start_shard(
                index, list(rows["utterance_id"]), [320 * n_frames] * n, [n_frames] * n, {}
            )
            for row in range(n):
                for layer in range(25):
                    shard.write(row, "pooled", layer, np.zeros((1, 2, dim), np.float32), 1)
                    shard.write(row, "frames", layer, clip, 1)
            writer.finish_shard(index, shard, {})
            rates.append(writer.manifest.shards[0].bytes / (time.perf_counter() - began))
        for path in (scratch / f"written-{i}").glob("*.h5"):
            path.unlink()
    return statistics.median(rates)


def short(value: float) -> str:
    """A number with a decimal only where it has one digit before."""
    return f"{value:,.{1 if value < 10 else 0}f}"


def size(n_bytes: float) -> str:
    """Bytes in the unit that leaves two or three digits."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{short(n_bytes / factor)} {unit}"
    return f"{n_bytes / 1e3:,.0f} kB"


def table(of_shapes: dict[str, Measured], disk: float) -> str:
    """The table in Markdown, and what the disk must take if every frame is stored."""
    head = [
        "corpus",
        "clips",
        "hours",
        "WavLM",
        *map(str, WORKERS),
        "pooled float32 (float16)",
        "frames float16 (int8)",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for corpus, n in CORPORA.items():
        for name, of in of_shapes.items():
            hours = n * SECONDS / 3600
            times = [short(hours / of.rate / workers) for workers in WORKERS]
            whole, half, float16, int8 = (n * size for size in of.n_bytes)
            disks = (
                f"{size(whole)} ({size(half)})",
                f"{size(float16 - whole)} ({size(int8 - whole)})",
            )
            lines.append(
                f"| {' | '.join([corpus, f'{n:,}', f'{hours:,.0f}', name, *times, *disks])} |"
            )
    said = [
        f"{name}: {of.rate:.2f} s of audio a second and worker; {size(of.n_bytes[0])} an "
        f"utterance pooled, {size(of.n_bytes[2] - of.n_bytes[0])} of frames, which {WORKERS[-1]} "
        f"workers write at {size(WORKERS[-1] * of.rate / SECONDS * of.n_bytes[2])}/s."
        for name, of in of_shapes.items()
    ]
    return "\n".join([*lines, "", *said, f"Shards are written at {size(disk)}/s here."])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shape", action="append", choices=("base", "large"), help="[default: both]"
    )
    parser.add_argument(
        "--rate", type=float, help="seconds of audio a second of a worker, in place of the measured"
    )
    parser.add_argument("--clips", type=int, default=16, help="timed in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--scratch", type=Path, help="a folder on the disk to measure [default: a temporary one]"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=asked.scratch) as home:
        names = asked.shape or list(SHAPES)
        of_shapes = {
            name: measured(name, asked.clips, asked.rate, asked.rounds, Path(home))
            for name in names
        }
        disk = write_rate(Path(home), asked.rounds)
    print(
        f"\n{datetime.date.today()}, {processor()}, one thread, "
        f"{os.cpu_count()} cores; not measured on a GPU\n"
    )
    print(table(of_shapes, disk))


def processor() -> str:
    """What the system calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
