"""What a reproduction will take: bytes exactly, seconds from a short calibration."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from probing.accelerators import synchronize
from probing.backbones import Backbone
from probing.backbones.packaged import PACKAGED
from probing.extraction import Options

# transformer blocks and width of models that the papers used, which need not be here to be planned
# for
SHAPES = {
    "wavlm-large": (24, 1024),
    "wavlm-base-plus": (12, 768),
    "wav2vec2-xls-r-300m": (24, 1024),
    "hubert-large-ll60k": (24, 1024),
    "wav2vec2-base": (12, 768),
}
# kernel and stride of their front end
CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
CHANNELS = 512
# of the rate of large matrix products, that a forward pass or a training is taken to reach
SHARE_REACHED = 0.5
REPEATS = 5


@dataclass(frozen=True)
class Calibration:
    """What this machine and this backbone are taken to do.

    n_layers, dim: of the backbone.
    n_frames: of a clip.
    seconds_a_clip: of a forward pass.
    flops: of large matrix products, a second.
    assumption: how that is known, in words.
    """

    n_layers: int
    dim: int
    n_frames: int
    seconds_a_clip: float
    flops: float
    assumption: str


def calibrate(options: Options, device: str) -> Calibration | None:
    """Measure a forward pass of a backbone, or reckon it from its size and this machine's speed.

    Takes a few seconds; downloads nothing. None where the backbone is neither here nor of a known
    size.
    """
    flops = matrix_flops(device)
    if is_here(options.backbone):
        backbone = options.load_backbone(device)
        seconds = pass_seconds(backbone, options)
        n_samples = options.cropping.n_samples()
        return Calibration(
            backbone.n_layers,
            backbone.dim,
            n_frames=backbone.n_frames(n_samples),
            seconds_a_clip=seconds,
            flops=flops,
            assumption=f"forward passes timed on {backbone.device}; training from operations, at "
            f"half the rate of large matrix products ({flops / 1e9:.0f} GFLOP/s)",
        )
    shape = SHAPES.get(options.backbone.rsplit("/", 1)[-1].lower())
    if shape is None:
        return None
    macs, n_frames = pass_macs(*shape, options.cropping.n_samples())
    seconds = 2 * macs / (SHARE_REACHED * flops)
    return Calibration(
        *shape,
        n_frames,
        seconds,
        flops,
        f"the backbone is not here: {macs / 1e9:.0f} GMAC a clip, and training, at half the rate "
        f"of large matrix products on {device} ({flops / 1e9:.0f} GFLOP/s)",
    )


def is_here(backbone: str) -> bool:
    """Whether loading a backbone downloads nothing."""
    name = backbone.removeprefix("random:")
    return name in PACKAGED or Path(name).expanduser().is_dir()


def pass_seconds(backbone: Backbone, options: Options) -> float:
    """Seconds of a forward pass of one clip of the length that options give.

    It is the least of several.
    """
    clip = np.random.default_rng(0).normal(0, 0.05, options.cropping.n_samples()).astype(np.float32)
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        backbone.hidden_states([clip])
        synchronize(backbone.device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def pass_macs(n_layers: int, dim: int, n_samples: int) -> tuple[float, int]:
    """Multiply-accumulates of a forward pass of a model of the wav2vec 2.0 kind, and its frames.

    A block has 12 D^2 products a frame and 2 T D in its attention; the front end is `CONVOLUTIONS`
    of `CHANNELS`.
    """
    n = n_samples
    channels = 1
    macs = 0.0
    for kernel, stride in CONVOLUTIONS:
        n = (n - kernel) // stride + 1
        macs += n * CHANNELS * channels * kernel
        channels = CHANNELS
    return macs + n_layers * n * (12 * dim**2 + 2 * n * dim), n


def matrix_flops(device: str) -> float:
    """Floating-point operations a second of products of 1,024 x 1,024 float32 matrices.

    It is the best of a few.
    """
    x = torch.ones(1024, 1024, device=device)
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(4):
            x @ x
        synchronize(torch.device(device))
        best = min(best, (time.perf_counter() - started) / 4)
    return 2 * 1024**3 / best


def linear_flops(n: int, p: int, n_layers: int, problems: int) -> float:
    """About the operations of linear probes: a Gram matrix, its factors, and 40 passes."""
    return n_layers * (2 * min(n, 4 * p) * p**2 + 40 * 4 * n * p * problems)


def head_flops(n_parameters: int, n: int, epochs: int, steps: int) -> float:
    """About the operations of a head's training: 6 a parameter, utterance and step in time (forward
    and backward).
    """
    return 6.0 * n_parameters * n * epochs * steps
