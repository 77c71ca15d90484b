"""What the benchmarks share: runs side by side in turn, and figures printed so that run_all.py finds them."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Sequence

FIGURE = re.compile(r"^figure: (?P<name>.+) = (?P<value>[-+.e\dinfa]+)(?: \((?P<note>.*)\))?$", re.MULTILINE)


def figure(name: str, value: float, note: str = "") -> None:
    """Print a figure: the name is the one in run_all.py."""
    print(f"figure: {name} = {value:.4g}" + (f" ({note})" if note else ""), flush=True)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(works: Sequence[Callable[[], object]], rounds: int = 5, warm_up: int = 1) -> list[tuple[float, ...]]:
    """Seconds of each piece of work, in turn, one tuple a round; what disturbs the machine disturbs all of them."""
    for _ in range(warm_up):
        for work in works:
            work()
    return [tuple(seconds_of(work) for work in works) for _ in range(rounds)]


def median_ratio(times: Sequence[tuple[float, ...]], above: int = 0, below: int = 1) -> tuple[float, str]:
    """Median over the rounds of one column over another, and the single ratios for the note."""
    ratios = [round_[above] / round_[below] for round_ in times]
    return statistics.median(ratios), ", ".join(f"{ratio:.3f}" for ratio in ratios)
