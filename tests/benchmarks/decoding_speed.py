"""Decoding in threads beside decoding in processes: the same files, two workers of each, one worker
as the measure.

    python tests/benchmarks/decoding_speed.py [--rounds 5] [--workers 2] [--limit 300]

Opus clips of the demo corpus, and the same as FLAC at 16 kHz; decoded, brought to 16 kHz mono and
measured as an extraction does. Processes hand the samples back through a pipe, as those of a
DataLoader or a pool do.
"""

import argparse
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import soundfile
from figures import figure, interleaved, median_ratio

from probing.audio import Cropping
from probing.corpora import load_corpus
from probing.extraction.states import Clip, decode

CHUNK = 8  # files a task, so that few messages pass


def decoded(paths: list[Path]) -> list[Clip]:
    """What a worker does."""
    return [decode(path.name, path, Cropping(), 400) for path in paths]


def all_decoded(workers: Executor, paths: list[Path]) -> int:
    """Decode files by some workers; gives the samples."""
    parts = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    return sum(clip.n_samples for part in workers.map(decoded, parts) for clip in part)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, default=300, help="files")
    asked = parser.parse_args()
    corpus = load_corpus("demo")
    opus = [corpus.root / path for path in corpus.utterances["path"].head(asked.limit)]
    with (
        tempfile.TemporaryDirectory() as scratch,
        ThreadPoolExecutor(1) as one,
        ThreadPoolExecutor(asked.workers) as threads,
        ProcessPoolExecutor(asked.workers, get_context("spawn")) as processes,
    ):
        flac = [Path(scratch) / f"{path.stem}.flac" for path in opus]
        for source, target in zip(opus, flac, strict=True):
            samples, rate = soundfile.read(source)
            soundfile.write(target, samples, rate)
        for kind, paths in (("Opus", opus), ("FLAC", flac)):
            times = interleaved(
                [partial(all_decoded, pool, paths) for pool in (one, threads, processes)],
                asked.rounds,
            )
            best = [min(column) for column in zip(*times, strict=True)]
            print(
                f"{kind}: one thread {best[0]:.2f} s, threads "
                f"{best[1]:.2f} s, processes {best[2]:.2f} s at best"
            )
            for name, column in (("threads", 1), ("processes", 2)):
                ratio, each = median_ratio(times, 0, column)
                figure(f"decoding {kind}, one thread / {asked.workers} {name}", ratio, each)


if __name__ == "__main__":
    main()
