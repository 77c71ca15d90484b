"""What is done on a device rather than computed there: copies beside other work, waiting, and the
memory that is used.

Everything that depends on the kind of a device stands here and in `probing.devices`, which needs no
PyTorch.
"""

from __future__ import annotations

import os
import resource
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

# kinds on which one pass computes while another copies, by streams and pinned memory
BESIDE = ("cuda",)
# kinds of which a machine may have several, each with memory and random numbers of its own
SEVERAL = ("cuda", "xpu")


def copies_beside(device: torch.device) -> bool:
    """Whether copies to and from a device go on beside its work."""
    return device.type in BESIDE


def new_stream(device: torch.device) -> Any:
    """A stream of its own for the work of a thread, which starts when what was asked before is
    there; else None.
    """
    if not copies_beside(device):
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


def on_stream(stream: Any) -> AbstractContextManager[Any]:
    """Do the work inside on a stream of `new_stream`; where that is None, as ever."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU to a device; to a GPU from pinned memory, while the program goes on.

    The copy belongs to the stream it was made on, and so do its readers; PyTorch keeps the pinned
    memory until it is done.
    """
    if not copies_beside(device):
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_host(values: Tensor) -> Tensor:
    """Copy a tensor to the CPU when it is made; from a GPU into pinned memory, while its other
    streams go on.
    """
    if not copies_beside(values.device):
        return values.cpu()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return host


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def drawn_anew(device: torch.device) -> AbstractContextManager[Any]:
    """What is drawn inside at random, on the CPU or the device, changes nothing that is drawn
    afterwards.
    """
    if device.type in SEVERAL:
        return torch.random.fork_rng([device], device_type=device.type)
    return torch.random.fork_rng([])


def fastest_precision(device: torch.device) -> str:
    """The numbers that a device is fastest with, of those that may do: `bf16`, `fp16`
    or `float32`.
    """
    if device.type != "cuda":
        return "float32"
    return (
        "bf16"
        if torch.cuda.get_device_capability(device) >= (8, 0) or torch.version.hip
        else "fp16"
    )


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process has had: of a GPU of its memory, else of the machine's."""
    if device.type in SEVERAL:
        return int(torch.accelerator.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if os.uname().sysname == "Darwin" else 1024
    )
