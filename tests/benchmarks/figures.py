"""What the benchmarks share: runs side by side in turn, and figures printed so that run_all.py
finds them.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

FIGURE = re.compile(
    r"^figure: (?P<name>.+) = (?P<value>[-+.e\dinfa]+)(?: \((?P<note>.*)\))?$", re.MULTILINE
)


def figure(name: str, value: float, note: str = "") -> None:
    """Print a figure: the name is the one in run_all.py."""
    print(f"figure: {name} = {value:.4g}" + (f" ({note})" if note else ""), flush=True)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(
    works: Sequence[Callable[[], object]], rounds: int = 5, warm_up: int = 1
) -> list[tuple[float, ...]]:
    """Seconds of each piece of work, in turn, one tuple a round; what disturbs the machine disturbs
    all of them.
    """
    for _ in range(warm_up):
        for work in works:
            work()
    return [tuple(seconds_of(work) for work in works) for _ in range(rounds)]


def median_ratio(
    times: Sequence[tuple[float, ...]], above: int = 0, below: int = 1
) -> tuple[float, str]:
    """Median over the rounds of one column over another, and the single ratios for the note."""
    ratios = [round_[above] / round_[below] for round_ in times]
    return statistics.median(ratios), ", ".join(f"{ratio:.3f}" for ratio in ratios)


def compared(
    works: Mapping[str, tuple[int, Callable[[], object]]], rounds: int, whole: str
) -> dict[str, float]:
    """Run pieces of work in turn, print the seconds of each, wall and processor, and give the
    processor's of the whole.

    Args:
        works: by name; the number says how many of it make the whole, to which its processor time
            is scaled.
        rounds: of all of them.
        whole: what the whole is called.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    processor: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (_, work) in works.items():
            busy = time.process_time()
            seconds[name].append(seconds_of(work))
            processor[name].append(time.process_time() - busy)
    for name, (times, _) in works.items():
        busy = statistics.median(processor[name])
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}; processor {busy:.2f} s"
        scaled = f", {whole} {times * busy:.0f} s of processor" if times > 1 else ""
        print(
            f"{name:32} median {statistics.median(seconds[name]):8.2f} s ({spread}){scaled}",
            flush=True,
        )
    return {name: times * statistics.median(processor[name]) for name, (times, _) in works.items()}
