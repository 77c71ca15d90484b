"""Training steps of heads on frames in this build and an older one: processor time, each in a
process of its own.

    python tests/benchmarks/head_steps.py --old FOLDER [--heads sls+sls,weighted-sum+conformer]

Two models see four layers, 288 wide, of eight utterances of 60 to 201 frames, numbers drawn by a
seed. A process takes the least of three steps, on one thread; the processes of both builds take
turns, and the figure is the median over the rounds. `--old` names a checkout.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from figures import figure, median_ratio

from probing.heads.kinds import split_head
from probing.heads.stack import HeadStack, Model

HEADS = (
    "weighted-sum+lstm,attentive-compact+lstm,weighted-sum+asp,weighted-sum-kv+mhfa,sls+sls,weighted-sum+nes2net,"
    "weighted-sum+conformer,weighted-sum+aasist"
)
BATCH, N_LAYERS, N_FRAMES, DIM = 8, 4, 201, 288


def seconds_of_step(head: str) -> float:
    """Processor seconds of a step in the build that is imported."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(60, N_FRAMES + 1, (BATCH,), generator=generator)
    lengths[0] = N_FRAMES
    mask = torch.arange(N_FRAMES) < lengths[:, None]
    x = torch.randn(N_LAYERS, BATCH, N_FRAMES, DIM, generator=generator).transpose(0, 1)
    stack = HeadStack(
        [Model(*split_head(head), N_LAYERS, seed) for seed in (0, 1)], N_LAYERS, DIM, True
    )
    stack.start()
    stack.train()
    seconds = []
    for _ in range(4):
        started = time.process_time()
        stack.zero_grad()
        stack(x, mask).square().sum().backward()
        seconds.append(time.process_time() - started)
    return min(seconds[1:])


def child(root: Path, head: str) -> float:
    """The same in a process that imports the build in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    given = [sys.executable, str(Path(__file__).resolve()), "--one", head]
    return float(
        subprocess.run(
            given, env=environment, cwd=root, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--old", type=lambda folder: Path(folder).resolve(), help="checkout of an older build"
    )
    parser.add_argument("--heads", default=HEADS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(seconds_of_step(arguments.one))
        return
    if arguments.old is None:
        parser.error("--old: expected the folder of a checkout of an older build")
    for head in arguments.heads.split(","):
        builds = arguments.old, Path(__file__).resolve().parents[2]
        times = [tuple(child(root, head) for root in builds) for _ in range(arguments.rounds)]
        figure(f"{head}: step of the older build / of this one", *median_ratio(times))


if __name__ == "__main__":
    main()
