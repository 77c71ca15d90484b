"""How much of a pass is matrix products: the share of the rate of bare products that a WavLM
reaches, one thread, processor time.

    python tests/benchmarks/product_shares.py [--rounds 5] [--shapes base,large] [--depth 12]

Every product of a pass of four clips of 4 s is done again alone, of the same shapes, by the faster
of PyTorch's BLAS and oneDNN (in attention: batched). A share is the seconds of these bare products
over the seconds of the part that holds them, in the same round; medians count:

- linear layers: the layers alone;
- attention: all between the projections, position bias and softmax included;
- front end: the convolutions of the waveform with their norms and activations;
- the whole pass: every product, that of the positional convolution included, over the pass.

Times within the pass are taken around every operation, which costs it about 1 %.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from functools import partial
from typing import Any

import torch
from encoder_speed import SECONDS, in_turn
from figures import figure
from shapes import SHAPES, clips_of, shape
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from probing.backbones import Backbone, load_backbone
from probing.backbones.products import linear_onednn

BATCH = 4
PARTS = ("linear layers", "attention", "front end", "positional convolution")
LINEAR, ATTENTION, FRONT_END, POSITIONAL = PARTS
# (batch, rows, inner, columns) of products
Shape = tuple[int, int, int, int]


class Watch(TorchDispatchMode):
    """Seconds of each part of a pass and its products, by shape.

    Attributes:
        seconds: of each part.
        products: part -> shapes, with how often each occurs.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.seconds = Counter[str]()
        self.products: dict[str, Counter[Shape]] = {part: Counter() for part in PARTS}
        self._place, self._hooks = "", []
        for module in encoder.modules():
            if part := _part(module):
                self._hooks += [
                    module.register_forward_pre_hook(partial(self._enter, part)),
                    module.register_forward_hook(self._leave),
                ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _enter(self, part: str, *_: object) -> None:
        self._place, self._began = part, time.thread_time()
        self._linear = 0.0

    def _leave(self, *_: object) -> None:
        self.seconds[self._place] += time.thread_time() - self._began - self._linear
        self._place = ""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        began = time.thread_time()
        result = func(*args, **(kwargs or {}))
        took = time.thread_time() - began
        name = func.overloadpacket.__name__
        place = self._place
        if name in ("linear", "addmm", "mm", "_linear_pointwise"):
            x = args[1] if name == "addmm" else args[0]
            product = (1, x.numel() // x.shape[-1], x.shape[-1], result.shape[-1])
            if place == FRONT_END:
                self.products[FRONT_END][product] += 1
            else:
                self.products[LINEAR][product] += 1
                self.seconds[LINEAR] += took
                self._linear = getattr(self, "_linear", 0.0) + took
        elif "conv" in name:
            x, weight = args[:2]
            n_out, n_in, size = weight.shape
            groups, rows = x.shape[1] // n_in, result.shape[0] * result.shape[-1]
            self.products[place or POSITIONAL][(groups, rows, n_in * size, n_out // groups)] += 1
            if not place:
                self.seconds[POSITIONAL] += took
        elif "scaled_dot_product" in name:
            batch, heads, frames, dim = args[0].shape
            self.products[ATTENTION][(batch * heads, frames, dim, frames)] += 1
            self.products[ATTENTION][(batch * heads, frames, frames, dim)] += 1
        return result


def _part(module: nn.Module) -> str:
    """The part of a pass that a module is; none of those within it is another."""
    name = type(module).__name__
    if "Attention" in name:
        return ATTENTION
    return FRONT_END if name.endswith(("FeatureEncoder", "FeatureExtractor")) else ""


@torch.inference_mode()
def bare(product: Shape, rounds: int) -> float:
    """Median seconds of a product alone, by whichever is faster here."""
    batch, rows, inner, columns = product
    works: list[Any]
    if batch == 1:
        x, weight = torch.randn(rows, inner), torch.randn(columns, inner)
        works = [
            partial(product, x, weight, None) for product in (functional.linear, linear_onednn)
        ]
    else:
        works = [
            partial(torch.bmm, torch.randn(batch, rows, inner), torch.randn(batch, inner, columns))
        ]
    return min(statistics.median(times) for times in zip(*in_turn(works, rounds), strict=True))


@torch.inference_mode()
def shares(backbone: Backbone) -> dict[str, tuple[float, float]]:
    """Of each part in one round: its share of the rate of bare products, and its share of the time
    of the pass.
    """
    clips = clips_of([SECONDS] * BATCH)
    watch = Watch(backbone._encoder)
    try:
        with watch:
            began = time.thread_time()
            backbone.hidden_states(clips)
            whole = time.thread_time() - began
    finally:
        watch.close()
    alone = {
        part: sum(n * bare(product, 3) for product, n in found.items())
        for part, found in watch.products.items()
    }
    parts = {
        part: (alone[part] / watch.seconds[part], watch.seconds[part] / whole) for part in PARTS
    }
    return {**parts, "the whole pass": (sum(alone.values()) / whole, 1.0)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="the median counts")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--depth", type=int, help="blocks [default: all]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.shapes.split(","):
        with shape(name) as spec:
            backbone = load_backbone(spec, device="cpu")
        if given.depth and given.depth < backbone.n_layers:
            backbone = backbone.truncate(given.depth)
        shares(backbone)  # does not count
        rounds = [shares(backbone) for _ in range(given.rounds)]
        for part in rounds[0]:
            reached, of_pass = zip(*(found[part] for found in rounds), strict=True)
            figure(
                f"share of the rate of bare products, WavLM {name}, {part}",
                statistics.median(reached),
                f"{min(reached):.3f} to {max(reached):.3f}; "
                f"{statistics.median(of_pass):.0%} of the time",
            )


if __name__ == "__main__":
    main()
