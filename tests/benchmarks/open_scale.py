"""How opening a large cache, and taking up a killed extraction of one, grow with its rows: processor seconds.

    python tests/benchmarks/open_scale.py                 60,000, 120,000 and 600,000 utterances
    python tests/benchmarks/open_scale.py 60000 120000

Each cache has shards of 800 utterances, 2 layers of 2 values, and is left as a kill before the end leaves it: its table
knows no row, so every row comes from the shards. The last columns are against the cache before: as much more time as
there are more rows is linear.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from cache import Cache
from cache.manifest import UTTERANCES, Manifest, load_manifest
from cache.table import table_bytes
from cache.writer import CacheWriter
from probing.audio import MEASURES

SHARD_SIZE, LAYERS, DIM = 800, 2, 2


def corpus_of(n: int) -> pd.DataFrame:
    """A corpus of `n` utterances of 600 speakers."""
    i = np.arange(n)
    names = [f"train-{k:07d}" for k in i]
    return pd.DataFrame(
        {
            "utterance_id": names,
            "path": [f"audio/{name}.flac" for name in names],
            "split": "train",
            "label": np.where(i % 2, "bonafide", "spoof"),
            "speaker": [f"s{k}" for k in i % 600],
            "attack": np.where(i % 2, "-", "A01"),
        }
    )


def write(folder: Path, corpus: pd.DataFrame) -> None:
    """The cache of an extraction that was killed after its last shard."""
    manifest = Manifest({"made": "synthetic"}, tuple(range(LAYERS)), DIM, {"pooled": "float32"}, MEASURES,
                        {"backbone": "synthetic", "random_weights": False, "corpus": "synthetic"})  # fmt: skip
    writer = CacheWriter(folder, manifest, corpus, SHARD_SIZE)
    planned, records = writer.table, []
    for index, part in list(writer.pending()):
        n = len(part)
        measures = {name: np.zeros(n) for name in MEASURES}
        shard = writer.start_shard(index, list(part["utterance_id"]), [800] * n, [2] * n, measures)
        for layer in range(LAYERS):
            shard.write(0, "pooled", layer, np.zeros((n, 2, DIM), np.float32), n)
        records.append(shard.finish({}))
    content = table_bytes(planned)
    (folder / UTTERANCES).write_bytes(content)
    replace(writer.manifest.with_only(records), table_crc32=crc32(content)).save(folder)
    writer.lock.release()


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(folder: Path, n: int) -> list[float]:
    """Seconds to open, to look at the table of, and to take up a cache of `n` utterances."""
    corpus = corpus_of(n)
    write(folder, corpus)
    opened: list[Cache] = []
    opening = seconds(lambda: opened.append(Cache(folder)))
    looking = seconds(lambda: opened[0].utterances)
    assert len(opened.pop()) == n

    def take_up() -> None:
        with CacheWriter(folder, load_manifest(folder).with_only([]), corpus, SHARD_SIZE):
            pass

    taking_up = seconds(take_up)
    return [opening, looking, taking_up, seconds(lambda: Cache(folder))]


def main() -> None:
    """Print a line a size."""
    sizes = [int(n) for n in sys.argv[1:]] or [60_000, 120_000, 600_000]
    print("   rows  shards  open s  table s  take up s  open afterwards s   rows x   open x   take up x")
    before: tuple[int, list[float]] | None = None
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            found = measure(Path(name) / "c", n)
        line = f"{n:7d}  {-(-n // SHARD_SIZE):6d}  {found[0]:6.2f}  {found[1]:7.2f}  {found[2]:9.2f}  {found[3]:17.2f}"
        if before:
            growth = (n / before[0], found[0] / before[1][0], found[2] / before[1][2])
            line += "   {:6.1f}   {:6.1f}   {:9.1f}".format(*growth)
        print(line, flush=True)
        before = n, found


if __name__ == "__main__":
    main()
