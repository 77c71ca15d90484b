"""What a backbone costs at each depth: parameters, multiply-accumulates and latency."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from probing.accelerators import synchronize

from .backbone import Backbone
from .errors import ClipUnusable
from .products import ONEDNN_LINEAR


def costs(backbone: Backbone, seconds: float = 4.0, repeats: int = 5) -> pd.DataFrame:
    """Measure what a clip costs in the first k blocks of a backbone, for every k at once.

    A pass through the whole backbone is marked at the end of each block; depth k is the whole less
    what lies between the end of block k and the end of the last one.

    Args:
        backbone: on the device to be measured, with as many threads as PyTorch is set to.
        seconds: length of the clip.
        repeats: passes to time, after one to warm up.

    Returns:
        One row per depth 0..L: `depth` in blocks (0: front end alone), `parameters`, `macs`
        (multiply-accumulates of convolutions and matrix products, half the floating-point
        operations that PyTorch counts), `latency_ms` (median over the passes, from waveform to
        hidden states).

    Raises:
        ClipUnusable: a clip of this length is not for this backbone, or no pass was asked for.
    """
    if repeats < 1:
        raise ClipUnusable(
            f"repeats {repeats}: expected 1 or more passes to time. Leave it out for 5."
        )
    n_samples = round(seconds * backbone.sampling_rate)
    longest = backbone.max_samples
    if n_samples < backbone.min_samples or (longest is not None and n_samples > longest):
        most = f"to {longest / backbone.sampling_rate:g}" if longest is not None else "or more"
        raise ClipUnusable(
            f"seconds {seconds:g}: {backbone.name} takes "
            f"{backbone.min_samples / backbone.sampling_rate:g} {most}. Give a length in between."
        )
    clip = np.random.default_rng(0).normal(0, 0.05, n_samples).astype(np.float32)
    blocks = backbone._blocks

    def forward() -> None:
        backbone.hidden_states([clip])

    # The fused attention kernels of some devices and versions are not counted; the plain one is
    # made of products.
    products = {ONEDNN_LINEAR: _linear_flops} if ONEDNN_LINEAR else {}
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False, custom_mapping=products) as counter,
    ):
        flops = _by_depth(blocks, counter.get_total_flops, forward)
    _by_depth(blocks, lambda: _now(backbone.device), forward)
    times = [_by_depth(blocks, lambda: _now(backbone.device), forward) for _ in range(repeats)]
    parameters = np.cumsum([0, *(_n_parameters(block) for block in blocks)])
    return pd.DataFrame(
        {
            "depth": np.arange(len(blocks) + 1),
            "parameters": _n_parameters(backbone._encoder) - parameters[-1] + parameters,
            "macs": flops.astype(np.int64) // 2,
            "latency_ms": 1000 * np.median(times, axis=0),
        }
    )


def _linear_flops(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    """What PyTorch counts for a linear layer, given the shapes (..., in) and (out, in)."""
    return 2 * math.prod(x) * weight[0]


def _by_depth(
    blocks: nn.ModuleList, read: Callable[[], float], forward: Callable[[], None]
) -> np.ndarray[Any, Any]:
    """What a counter rises by in a pass through the first k blocks, (L + 1,) for k = 0..L."""
    if not len(blocks):
        start = read()
        forward()
        return np.array([read() - start])
    with _marked(blocks, read) as marks:
        start = read()
        forward()
        end = read()
    at = np.array(marks, dtype=np.float64)
    return end - start - (at[-1] - at)


@contextmanager
def _marked(blocks: nn.ModuleList, read: Callable[[], float]) -> Iterator[list[float]]:
    """Read a counter where the first block begins and where each block ends."""
    marks: list[float] = []

    def mark(*_: Any) -> None:
        marks.append(read())

    handles = [
        blocks[0].register_forward_pre_hook(mark),
        *(block.register_forward_hook(mark) for block in blocks),
    ]
    try:
        yield marks
    finally:
        for handle in handles:
            handle.remove()


def _now(device: torch.device) -> float:
    """The time when the device has done all it was given."""
    synchronize(device)
    return time.perf_counter()


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
