"""How much memory heads on frames take, beside what `probe sweep --memory-gb` allows.

    python tests/benchmarks/frames_memory.py CACHE [--memory-gb 0.5,1,2] [--seeds 3]

Every setting trains all depths x heads x seeds for one epoch in a process of its own, and scores dev and eval. What
counts is the anonymous memory above what the process has before (Linux only): pages of the mapped cache are the
system's to take back.
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
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) / 1e9


def measure(folder: str, memory_gb: float, heads: tuple[str, ...], seeds: int) -> tuple[int, float, float]:
    """Models trained, peak in GB above the start, and seconds."""
    cache, peak, stop = Cache(folder), [0.0], Event()
    splits = SweepOptions(depths=DepthOptions(heads=heads, tier="frames")).splits(cache)
    options = DepthOptions(heads, "frames", seeds=tuple(range(seeds)), epochs=1)
    before = anonymous_gb()

    def watch() -> None:
        while not stop.wait(0.01):
            peak[0] = max(peak[0], anonymous_gb())

    watcher = Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        found = fit_depths(cache, splits, options, Path(scratch), memory_gb=memory_gb)
    seconds = time.perf_counter() - started
    stop.set()
    watcher.join()
    return len(found), peak[0] - before, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        print(f"--memory-gb {allowed:5.2f}: {peak:5.2f} GB at most, {n_models} models, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
