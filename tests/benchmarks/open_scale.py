"""How opening a large cache, and taking up a killed extraction of one, grow with its rows:
processor seconds.

    python tests/benchmarks/open_scale.py                 60,000, 120,000 and 600,000 utterances
    python tests/benchmarks/open_scale.py 60000 120000

    python tests/benchmarks/open_scale.py --layers 25

Each cache has shards of 800 utterances, 2 layers of 2 values, and is left as a kill before the end
leaves it: its table knows no row, so every row comes from the shards. Once it is finished it is
opened, and a layer of 1 % of its utterances, of all shards, is read for the first and the second
time. The last columns are against the cache before: as much more time as there are more rows is
linear.
"""

import argparse
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

SHARD_SIZE, DIM = 800, 2


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


def write(folder: Path, corpus: pd.DataFrame, n_layers: int = 2) -> None:
    """The cache of an extraction that was killed after its last shard."""
    manifest = Manifest(
        {"made": "synthetic"},
        tuple(range(n_layers)),
        DIM,
        {"pooled": "float32"},
        MEASURES,
        {"backbone": "synthetic", "random_weights": False, "corpus": "synthetic"},
    )
    writer = CacheWriter(folder, manifest, corpus, SHARD_SIZE)
    planned, records = writer.table, []
    for index, part in list(writer.pending()):
        n = len(part)
        measures = {name: np.zeros(n) for name in MEASURES}
        shard = writer.start_shard(index, list(part["utterance_id"]), [800] * n, [2] * n, measures)
        for layer in range(n_layers):
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


def measure(folder: Path, n: int, n_layers: int) -> list[float]:
    """Seconds to open and to take up a cache of `n` utterances, to open it then, and to read 1 % of
    a layer, twice.
    """
    corpus = corpus_of(n)
    write(folder, corpus, n_layers)
    opening = seconds(lambda: Cache(folder))

    def take_up() -> None:
        with CacheWriter(folder, load_manifest(folder).with_only([]), corpus, SHARD_SIZE):
            pass

    taking_up = seconds(take_up)
    opened: list[Cache] = []
    opening_then = seconds(lambda: opened.append(Cache(folder)))
    chosen = np.arange(n) % 100 == 0
    first, second = (seconds(lambda: opened[0].layer(1, where=chosen)) for _ in range(2))
    assert len(opened[0]) == n
    return [opening, taking_up, opening_then, first, second]


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sizes", nargs="*", type=int, default=[60_000, 120_000, 600_000], help="utterances"
    )
    parser.add_argument("--layers", type=int, default=2)
    asked = parser.parse_args()
    print(
        "   rows  shards  open s  take up s  open then s  1 % of a "
        "layer s  again s   rows x   open x   take up x"
    )
    before: tuple[int, list[float]] | None = None
    for n in asked.sizes:
        with tempfile.TemporaryDirectory() as name:
            found = measure(Path(name) / "c", n, asked.layers)
        shown = zip(found, (6, 9, 11, 16, 7), strict=True)
        line = f"{n:7d}  {-(-n // SHARD_SIZE):6d}  " + "  ".join(
            f"{value:{width}.2f}" for value, width in shown
        )
        if before:
            growth = (n / before[0], found[0] / before[1][0], found[1] / before[1][1])
            line += "   {:6.1f}   {:6.1f}   {:9.1f}".format(*growth)
        print(line, flush=True)
        before = n, found


if __name__ == "__main__":
    main()
