"""Leaving early: clips stop at their block, and the others go on in a smaller batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .attention import FusedAttention

Done = Callable[[int, NDArray[np.intp], Tensor], NDArray[np.bool_]]


class _AllLeft(Exception):
    """Ends a forward pass when no clip is left in it."""


@contextmanager
def leaving(blocks: nn.ModuleList, n_clips: int, done: Done) -> Iterator[None]:
    """Let clips leave a forward pass of `n_clips` clips at the block they are done at.

    `done` is called for layer 0 before the first block and for layer k after block k, for the
    clips that are still there: the layer, their positions in the batch (b,), their states
    (b, T, D); it says which (b,) leave. After the last layer all have left. What the loop of
    transformers hands every block was made for the whole batch: it is cut down to the clips that
    are left.
    """
    here = np.arange(n_clips)

    def ask(layer: int, states: Tensor) -> Tensor:
        """Which of the clips that are there stay, as positions among them."""
        nonlocal here
        stay = np.flatnonzero(~done(layer, here, states))
        if not len(stay) or layer == len(blocks):
            raise _AllLeft
        here = here[stay]
        return torch.from_numpy(stay).to(states.device)

    def entering(layer: int) -> Callable[..., Any]:
        def hook(
            block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[Any, dict[str, Any]]:
            states = args[0] if args else kwargs["hidden_states"]
            n_before = len(here)
            stay = ask(layer, states)
            if len(here) == n_clips:
                return args, kwargs
            of_batch = torch.from_numpy(here).to(states.device)
            is_shared = any(isinstance(module, FusedAttention) for module in block.modules())

            def cut(name: str, value: Any) -> Any:
                if isinstance(value, tuple):
                    return tuple(cut(name, part) for part in value)
                if not isinstance(value, Tensor) or not value.ndim:
                    return value
                if name == "hidden_states":
                    return value.index_select(0, stay)
                if name == "position_bias" and is_shared:  # the same for every clip
                    return value
                # the stock attention's, (B * H, T, T), handed on from block to block
                if name == "position_bias":
                    return value.unflatten(0, (n_before, -1)).index_select(0, stay).flatten(0, 1)
                return value.index_select(0, of_batch) if len(value) == n_clips else value

            cut_args = (
                (cut("hidden_states", args[0]), *(cut("", value) for value in args[1:]))
                if args
                else ()
            )
            return cut_args, {name: cut(name, value) for name, value in kwargs.items()}

        return hook

    def last(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        ask(len(blocks), output[0] if isinstance(output, tuple) else output)

    handles = [
        block.register_forward_pre_hook(entering(k), with_kwargs=True)
        for k, block in enumerate(blocks)
    ]
    handles.append(blocks[-1].register_forward_hook(last))
    try:
        yield
    except _AllLeft:
        pass
    finally:
        for handle in handles:
            handle.remove()
