"""What adapters of rank 8 save against tuning everything: trained parameters, time of a step,
memory.

    python tests/benchmarks/lora_cost.py [--backbone embedded] [--depth K] [--batch 4] [--rank 8]

A step is a forward and a backward pass over clips of 4 s and one of AdamW; both ways in turn,
median of five rounds. Memory is the most that a copied process had in a step beyond what it began
with.
"""

import argparse
import os
import resource
import struct
from collections.abc import Callable

import numpy as np
import torch
from figures import figure, interleaved, median_ratio

from probing.backbones import Backbone, load_backbone
from probing.tuning.lora import add_adapters
from probing.tuning.trained import Trained, groups_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--depth", type=int)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rank", type=int, default=8)
    given = parser.parse_args()
    backbone = load_backbone(given.backbone, device="cpu")
    backbone = backbone.truncate(given.depth or backbone.n_layers)
    ways = {what: step_of(backbone, what, given.batch) for what in ("all", f"lora:{given.rank}")}
    (n_all, all_), (n_lora, lora) = ways.values()
    print(f"{backbone.name}, {given.batch} x 4 s, {torch.get_num_threads()} threads")
    figure(
        f"parameters that learn, rank {given.rank}", n_lora, f"all {n_all}, {n_lora / n_all:.1%}"
    )
    memory = [peak_of(step) for step in (lora, all_)]
    figure(
        "memory of a step, adapters / all",
        memory[0] / memory[1],
        f"{memory[0] / 1e6:.0f}, {memory[1] / 1e6:.0f} MB",
    )
    times = interleaved([lora, all_])
    figure("time of a step, adapters / all", *median_ratio(times))


def step_of(backbone: Backbone, what: str, batch: int) -> tuple[int, Callable[[], None]]:
    """How many parameters learn, and a step of them."""
    model = backbone.trainable()
    trained = Trained.parse(what)
    if trained.what == "lora":
        add_adapters(model, trained.number, 0)
    learning = [
        parameter
        for group in groups_of(model, trained, False)
        for parameter in group.parameters.values()
    ]
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=1e-6)
    clips = list(np.random.default_rng(0).normal(0, 0.05, (batch, 64_000)).astype(np.float32))

    def step() -> None:
        sum(layer.square().mean() for layer in model(clips).layers[1:]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return sum(parameter.numel() for parameter in learning), step


def peak_of(work: Callable[[], None]) -> int:
    """The most bytes that a copied process has in some work, beyond what it began with."""
    read, write = os.pipe()
    if not os.fork():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        os.write(write, struct.pack("q", more))
        os._exit(0)
    os.wait()
    return int(struct.unpack("q", os.read(read, 8))[0])


if __name__ == "__main__":
    main()
