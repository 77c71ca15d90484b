"""The layer convention: 0 enters the first block, k is the raw output of block k.

`output_hidden_states` of transformers is not used: for the models with stable layer norms its last
entry was the final norm's output up to 5.15 and has been the raw block output since. A hook on each
block means the same in every version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .families import FrameRule

# of a layer's root mean square: what a cache promises (a batch of one against one of many does no
# better)
MOST = 1e-4
CONVENTION = "0 = input of block 1, k = raw output of block k, before any final norm"


@dataclass(frozen=True)
class HiddenStates:
    """Every layer of a batch.

    `layers` holds L+1 float32 tensors (B, T, D) on the backbone's device, T the longest clip's
    valid frames; `n_frames` holds the valid frames of each clip. Frames past them mean nothing.

    >>> HiddenStates([torch.zeros(1, 49, 8)] * 3, [49]).n_frames
    [49]
    """

    layers: list[Tensor]
    n_frames: list[int]

    def clip(self, index: int) -> Tensor:
        """Stack the valid frames of one clip: (L+1, n_frames, D)."""
        return torch.stack([layer[index, : self.n_frames[index]] for layer in self.layers])

    def valid(self, index: int) -> Tensor:
        """The valid frames of all clips in one layer, in a row: (sum of n_frames, D)."""
        clips = [clip[:n] for clip, n in zip(self.layers[index], self.n_frames, strict=True)]
        return clips[0] if len(clips) == 1 else torch.cat(clips)


def at_least_float32(values: Tensor) -> Tensor:
    """Values as float32; float64, in which gradients are checked, stays."""
    return values if values.dtype == torch.float64 else values.float()


@torch.no_grad()
def relative_differences(found: HiddenStates, expected: HiddenStates) -> list[float]:
    """By layer, the worst difference of two passes over the layer's root mean square.

    Only valid frames count.

    Infinite if a value is not a finite number.
    """
    worst = []
    for one, other in zip(found.layers, expected.layers, strict=True):
        pairs = [(one[i, :n], other[i, :n]) for i, n in enumerate(expected.n_frames)]
        difference = max(float((a - b).abs().max()) for a, b in pairs)
        scale = float(torch.cat([b for _, b in pairs]).square().mean().sqrt())
        ratio = difference / max(scale, 1e-30)
        worst.append(ratio if math.isfinite(ratio) else math.inf)
    return worst


@contextmanager
def recorded_layers(blocks: nn.ModuleList) -> Iterator[list[Tensor]]:
    """Collect, in a list of L+1 tensors, what enters the first block and what leaves each."""
    layers: list[Tensor] = []

    def entering(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        layers.append(args[0] if args else kwargs["hidden_states"])

    def leaving(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        layers.append(output[0] if isinstance(output, tuple) else output)

    handles = [blocks[0].register_forward_pre_hook(entering, with_kwargs=True)]
    handles += [block.register_forward_hook(leaving) for block in blocks]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


class _FirstBlockReached(Exception):
    """Ends a forward pass once the number of frames is known."""


def frames_entering(
    first_block: nn.Module, forward: Callable[[], Any], strict: bool = False
) -> int:
    """Count the frames that enter the first block, without running it; 0 of a refused clip.

    With `strict` a refusal is raised as it is, and a block that is not reached is one.
    """
    n_frames = 0

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal n_frames
        n_frames = (args[0] if args else kwargs["hidden_states"]).shape[1]
        raise _FirstBlockReached

    handle = first_block.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        forward()
    except _FirstBlockReached:
        return n_frames
    except (RuntimeError, ValueError, IndexError):
        if strict:
            raise
        return 0
    finally:
        handle.remove()
    if strict:
        raise ValueError("its first block is not reached")
    return 0


def measured_frame_rule(n_frames: Callable[[int], int], start: int = 16000) -> FrameRule | None:
    """Find the frame rule of a front end from the clip lengths at which it gives one more frame.

    Args:
        n_frames: frames of a clip of so many samples, measured on the model.
        start: length in samples around which to look.

    Returns:
        The rule, or None if no rule of the form floor((n - window) / hop) + 1 fits the lengths
        tried.
    """

    def shortest(frames: int) -> int:
        low = start
        high = 3 * start
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if n_frames(middle) >= frames else (middle + 1, high)
        return low

    before = n_frames(start)
    first = shortest(before + 1)
    second = shortest(before + 2)
    if before < 1 or second >= 3 * start or second <= first:
        return None
    rule = FrameRule(window=first - before * (second - first), hop=second - first)
    probes = (
        rule.window,
        rule.window + rule.hop - 1,
        rule.window + rule.hop,
        3001,
        9999,
        12345,
        23456,
        40001,
    )
    return (
        rule
        if all(n_frames(n) == rule.n_frames(n) for n in probes if n >= max(1, rule.window))
        else None
    )
