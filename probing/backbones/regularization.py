"""Regularization that a published config names: dropout, layerdrop and masks, on or off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

LAYERDROP = ("layerdrop", "encoder_layerdrop")
MASKING = ("mask_time_prob", "mask_feature_prob")
# of parts that are not there, or never run
NEVER_ON = ("decoder", "final_dropout", "quantizer", "classifier")


def is_dropout(name: str, value: Any) -> bool:
    """Whether an entry of a config is the rate of a dropout that runs in training."""
    numeric = isinstance(value, int | float)
    return numeric and "dropout" in name and not any(part in name for part in NEVER_ON)


def switch_off(encoder: Any, masked: bool) -> dict[str, Any]:
    """Take layerdrop, and masking unless wanted, out of an encoder; gives its former entries.

    Blocks are left out by `left_out`, as a block that does not run would be missing from the
    layers.
    """
    for module in encoder.modules():
        if hasattr(module, "layerdrop"):
            module.layerdrop = 0.0
    off: dict[str, Any] = {name: 0.0 for name in LAYERDROP if hasattr(encoder.config, name)}
    if not masked and hasattr(encoder.config, "mask_time_prob"):
        off["apply_spec_augment"] = False
    before = {name: getattr(encoder.config, name, None) for name in off}
    for name, value in off.items():
        setattr(encoder.config, name, value)
    return before


def restore(config: Any, entries: dict[str, Any]) -> None:
    """Give a config the entries back that `switch_off` took; None is one that it did not have."""
    for name, value in entries.items():
        if value is None:
            delattr(config, name)
        else:
            setattr(config, name, value)


@contextmanager
def left_out(blocks: nn.ModuleList, share: float) -> Iterator[None]:
    """Leave blocks out at random, in a share of passes: layer k is then layer k - 1.

    A block that is left out runs, and gives its input as its output.
    """

    def drop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if torch.rand([]) >= share:
            return output
        state = args[0] if args else kwargs["hidden_states"]
        return (state, *output[1:]) if isinstance(output, tuple) else state

    handles = [block.register_forward_hook(drop, with_kwargs=True) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def numpy_drawn_by_torch() -> Iterator[None]:
    """Let masks, drawn by NumPy's generator, follow PyTorch's, so that one seed is enough."""
    state = np.random.get_state()
    np.random.seed(int(torch.randint(2**31, ())))
    try:
        yield
    finally:
        np.random.set_state(state)
