"""How much memory heads on frames take, beside what `probe sweep --memory-gb` allows.

    python tests/benchmarks/frames_memory.py CACHE [--memory-gb 0.5,1,2] [--seeds 3]

Every setting trains all depths x heads x seeds for one epoch in a process of its own, and scores
dev and eval. What counts is the anonymous memory above what the process has before (Linux only):
pages of the mapped cache are the system's to take back.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from cache import Cache
from probing.sweep import SweepOptions
from probing.sweep.depths import fit_depths
from probing.sweep.options import FRAMES_HEADS, DepthOptions


def anonymous_gb() -> float:
    """Anonymous memory of this process."""
    status = Path("/proc/self/status").read_text()
    return (
        1024
        * int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])
        / 1e9
    )


class Peak:
    """The most anonymous memory of this process within a `with` block, in GB above what it was
    before.
    """

    def __init__(self, every: float = 0.01) -> None:
        """Look every so many seconds."""
        self._every, self._stop = every, Event()
        self._watcher = Thread(target=self._watch)
        self.before, self.most = anonymous_gb(), 0.0

    @property
    def gb(self) -> float:
        """Above what it was at the start."""
        return self.most - self.before

    def __enter__(self) -> "Peak":
        self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self.most = max(self.most, anonymous_gb())


def measure(
    folder: str, memory_gb: float, heads: tuple[str, ...], seeds: int
) -> tuple[int, float, float]:
    """Models trained, peak in GB above the start, and seconds."""
    cache = Cache(folder)
    splits = SweepOptions(depths=DepthOptions(heads=heads, tier="frames")).splits(cache)
    options = DepthOptions(heads, "frames", seeds=tuple(range(seeds)), epochs=1)
    started = time.perf_counter()
    with Peak() as peak, tempfile.TemporaryDirectory() as scratch:
        found = fit_depths(cache, splits, options, Path(scratch), memory_gb=memory_gb)
        seconds = time.perf_counter() - started
    return len(found), peak.gb, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", help="with frames")
    parser.add_argument("--memory-gb", default="0.5,1,2")
    parser.add_argument("--heads", default=",".join(FRAMES_HEADS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print(Cache(arguments.cache))
    for allowed in map(float, arguments.memory_gb.split(",")):
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            given = (arguments.cache, allowed, tuple(arguments.heads.split(",")), arguments.seeds)
            n_models, peak, seconds = alone.apply(measure, given)
        print(
            f"--memory-gb {allowed:5.2f}: {peak:5.2f} GB at "
            f"most, {n_models} models, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
