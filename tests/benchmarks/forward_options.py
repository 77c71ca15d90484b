"""What else could make a forward pass faster on a CPU: keeping freed memory (used), and
torch.compile (not used).

    python tests/benchmarks/forward_options.py [--rounds 5] [--shape base] [--compile]

Each setting runs in a process of its own, in turn: two passes beside each other with a thread each,
on clips of realistic lengths, as an extraction runs them. For torch.compile, which needs a C++
compiler, the lengths are those of eight buckets, each compiled beforehand: the best case for it.
"""

import argparse
import multiprocessing
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import torch
from figures import figure
from shapes import clips_of, real_clips, shape

from probing.backbones import load_backbone
from probing.backbones.attention import FusedAttention
from probing.backbones.products import OneDnnLinear
from probing.extraction.allocator import keep_freed_memory

BUCKETS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)


def seconds(name: str, kept: bool) -> tuple[float, float]:
    """Wall and processor seconds of two passes beside each other over 24 clips."""
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    with shape(name) as spec:
        backbone = load_backbone(spec, device="cpu")
    clips, free = sorted(real_clips(24), key=len), SimpleQueue()
    for replica in (backbone, backbone.replica()):
        free.put(replica)

    def forward(clip: np.ndarray) -> None:
        replica = free.get()
        replica.hidden_states([clip])
        free.put(replica)

    with ThreadPoolExecutor(2) as passes:
        list(passes.map(forward, clips))
        started, busy = time.perf_counter(), time.process_time()
        list(passes.map(forward, clips))
        return time.perf_counter() - started, time.process_time() - busy


def compiled(name: str, rounds: int) -> tuple[float, list[float]]:
    """Seconds to compile for every bucket, and ratios of plain over compiled passes over one clip
    of each.
    """
    torch.set_num_threads(1)
    with shape(name) as spec:
        plain, fast = load_backbone(spec, device="cpu"), load_backbone(spec, device="cpu")
    for module in fast._encoder.modules():  # the products of oneDNN's own layout cannot be compiled
        if isinstance(module, OneDnnLinear):
            module.__class__ = torch.nn.Linear
        elif isinstance(module, FusedAttention):
            module._onednn = False
    for block in fast._blocks:
        block.compile(dynamic=False)
    torch._dynamo.config.cache_size_limit = 4 * len(BUCKETS)
    clips = clips_of(BUCKETS)

    def run(backbone: object) -> float:
        started = time.perf_counter()
        for clip in clips:
            backbone.hidden_states([clip])  # type: ignore[attr-defined]
        return time.perf_counter() - started

    run(plain)
    before = run(fast)
    run(fast)
    return before, [run(plain) / run(fast) for _ in range(rounds)]


def alone(work: object, *arguments: object) -> object:
    """Run in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(work, arguments)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", choices=["base", "large"], default="base")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile as well")
    asked = parser.parse_args()
    times = [
        (alone(seconds, asked.shape, False), alone(seconds, asked.shape, True))
        for _ in range(asked.rounds)
    ]
    for what, column in (("wall", 0), ("processor", 1)):
        ratios = [before[column] / kept[column] for before, kept in times]  # type: ignore[index]
        note = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        figure(
            f"forward, allocator as it is / freed memory kept, {what} time",
            statistics.median(ratios),
            note,
        )
    if asked.compile:
        spent, ratios = alone(compiled, asked.shape, asked.rounds)  # type: ignore[misc]
        print(f"compiling {len(BUCKETS)} lengths took {spent:.0f} s")
        figure(
            "forward, plain / compiled blocks",
            statistics.median(ratios),
            ", ".join(f"{r:.3f}" for r in ratios),
        )


if __name__ == "__main__":
    main()
