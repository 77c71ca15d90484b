"""Norms and activations computed again in the backward pass, which is cheap, not kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


@contextmanager
def recomputing(blocks: nn.ModuleList) -> Iterator[None]:
    """Keep only the inputs of the norms and activations of blocks for the backward pass.

    A product keeps its input, such as what a GELU gives, four times as wide as a layer; and the
    GELU keeps its own input, from which the other follows. Every number stays as it is.
    """
    # by address, within one block, while all of it is there
    known: dict[int, tuple[Tensor, nn.Module, Tensor]] = {}

    def remember(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        known[output.data_ptr()] = (output, module, args[0].detach())

    def forget(*_: Any) -> None:
        known.clear()

    def pack(tensor: Tensor) -> Any:
        output, module, given = known.get(tensor.data_ptr(), (None, None, None))
        if output is None or output.dtype != tensor.dtype or output.numel() != tensor.numel():
            return tensor
        return (
            (module, given, tensor.shape)
            if output.is_contiguous() and tensor.is_contiguous()
            else tensor
        )

    def unpack(packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        module, given, shape = packed
        with torch.no_grad():
            output: Tensor = module.forward(given).view(shape)
        return output

    handles = [block.register_forward_hook(forget) for block in blocks]
    handles += [
        module.register_forward_hook(remember) for module in blocks.modules() if _is_cheap(module)
    ]
    try:
        with saved_tensors_hooks(pack, unpack):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _is_cheap(module: nn.Module) -> bool:
    """Say whether a module is a layer norm or an activation without weights."""
    homes = ("torch.nn.modules.activation", "transformers.activations")
    return isinstance(module, nn.LayerNorm) or (
        type(module).__module__ in homes and not any(module.parameters())
    )
