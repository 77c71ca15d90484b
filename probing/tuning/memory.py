"""Memory of a tuning: the most it had, and what to lower where it does not suffice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cache.errors import ProbeError, argument
from probing.tuning.options import TuneMachine

# how PyTorch words it of a CPU
NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc")


@contextmanager
def out_of_memory(machine: TuneMachine, batch: int) -> Iterator[None]:
    """Say what to lower where the memory does not suffice."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and not any(words in str(error) for words in NO_MEMORY):
            raise
        more = "" if machine.checkpointing else f"{argument('checkpointing', True)}, "
        raise ProbeError(
            f"out of memory with parts of {math.ceil(batch / machine.accumulate)} clips. Type "
            f"{more}a larger {argument('accumulate', 2 * machine.accumulate)}, a smaller "
            f"{argument('batch')} or shorter {argument('crop_seconds')}; the first two change no "
            "result and go on where this stopped"
        ) from None
