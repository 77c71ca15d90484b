"""Stores whose every number follows from the utterance id, so that a test knows what a cache must
hold.

As a script it writes one slowly, to be killed: python tests/support/random_store.py FOLDER
N_UTTERANCES SHARD_SIZE
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

from cache.manifest import Manifest
from cache.parts import Part
from cache.quantization import decode, encode, stored
from cache.writer import CacheWriter

SPLITS, ATTACKS = ("train", "dev", "eval"), ("-", "A01", "A02")


@dataclass(frozen=True)
class Recipe:
    """Layers, width and tiers of a store; `salt` changes every number."""

    layers: tuple[int, ...] = (0, 1, 2)
    dim: int = 3
    tiers: Mapping[str, str] = field(
        default_factory=lambda: {"pooled": "float32", "frames": "float16"}
    )
    measures: tuple[str, ...] = ("loudness",)
    most_frames: int = 5
    salt: int = 0

    def n_frames(self, utterance_id: str) -> int:
        return 1 + crc32(utterance_id.encode()) % self.most_frames

    def states(self, utterance_id: str, tier: str) -> np.ndarray:
        """(layers, 2, D) or (layers, n_frames, D), as read."""
        generator = np.random.default_rng([self.salt, len(tier), crc32(utterance_id.encode())])
        n = 2 if tier == "pooled" else self.n_frames(utterance_id)
        values = generator.normal(0, 3, (len(self.layers), n, self.dim)).astype(np.float32)
        return decode(encode(values, stored(self.tiers[tier], values.shape)[1]))

    def measure(self, utterance_id: str) -> float:
        return crc32(utterance_id.encode()) / 7

    def manifest(self) -> Manifest:
        fingerprint = {"weights": "random", "salt": self.salt}
        return Manifest(
            fingerprint,
            self.layers,
            self.dim,
            dict(self.tiers),
            self.measures,
            {"backbone": "none"},
        )

    def corpus(self, utterance_ids: Iterable[str]) -> pd.DataFrame:
        names = list(utterance_ids)
        marks = [crc32(name.encode()) for name in names]
        return pd.DataFrame(
            {
                "utterance_id": names,
                "path": [f"{name}.wav" for name in names],
                "split": [SPLITS[mark % 3] for mark in marks],
                "label": ["bonafide" if mark % 2 else "spoof" for mark in marks],
                "attack": [ATTACKS[mark // 3 % 3] for mark in marks],
            },
            dtype="str",
        )

    def write(
        self,
        folder: Path,
        utterance_ids: Iterable[str],
        shard_size: int = 4,
        *,
        failures: Mapping[str, str] | None = None,
        most_shards: int | None = None,
        part: Part | None = None,
        on_row: Callable[[str], None] = lambda name: None,
    ) -> None:
        """Open the store or a part of it, write its pending shards (at most `most_shards` of them),
        and close it.
        """
        manifest, corpus, shard_of = self.manifest(), self.corpus(utterance_ids), None
        if part is not None:
            share = part.share(corpus, shard_size)
            folder, corpus, shard_of = part.folder(folder), share.corpus, share.shard_of
            manifest = replace(manifest, about={**manifest.about, "part": share.mark})
        with CacheWriter(folder, manifest, corpus, shard_size, shard_of) as writer:
            for index, rows in list(writer.pending())[:most_shards]:
                self.write_shard(writer, index, list(rows["utterance_id"]), failures or {}, on_row)

    def write_shard(
        self,
        writer: CacheWriter,
        index: int,
        planned: Sequence[str],
        failures: Mapping[str, str],
        on_row: Callable[[str], None] = lambda name: None,
    ) -> None:
        names = [name for name in planned if name not in failures]
        failed = {name: failures[name] for name in planned if name in failures}
        if not names:
            writer.finish_shard(index, None, failed)
            return
        counts = [self.n_frames(name) for name in names]
        values = {
            measure: np.array([self.measure(name) for name in names]) for measure in self.measures
        }
        shard = writer.start_shard(index, names, [320 * n for n in counts], counts, values)
        for row, name in enumerate(names):
            for tier in self.tiers:
                for layer, block in zip(self.layers, self.states(name, tier), strict=True):
                    shard.write(row, tier, layer, block[None] if tier == "pooled" else block, 1)
            on_row(name)
        writer.finish_shard(index, shard, failed)


def names(n: int) -> list[str]:
    """`n` ids, some of them not ASCII."""
    return [f"{'éabß語'[i % 5]}-{i:03d}" for i in range(n)]


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(bytes(content))


def slow_writer(folder: Path, n: int, shard_size: int) -> subprocess.Popen[str]:
    """Another process that writes a store slowly, and says so once it has begun."""
    command = [sys.executable, __file__, str(folder), str(n), str(shard_size)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


if __name__ == "__main__":

    def slowly(name: str) -> None:
        print(name, flush=True)
        time.sleep(0.004)

    Recipe().write(Path(sys.argv[1]), names(int(sys.argv[2])), int(sys.argv[3]), on_row=slowly)
