"""Devices: the one place that says which device a name means, and whether it is here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cache.errors import ProbeError, argument

if TYPE_CHECKING:
    import torch

EXPECTED = "auto, cpu, cuda, cuda:1 or mps"
FORM = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
OFTEN_TYPED = {"gpu": "cuda", "nvidia": "cuda", "hip": "cuda", "rocm": "cuda", "metal": "mps", "apple": "mps"}


class DeviceUnavailable(ProbeError, RuntimeError):
    """The device asked for is not on this machine."""


def check_device_name(asked: str, here: str = "") -> None:
    """Raise DeviceUnavailable where a name is none of EXPECTED; `here` says which devices this machine has."""
    if not isinstance(asked, str) or not FORM.fullmatch(asked):
        kind, _, index = str(asked).lower().partition(":")
        meant = OFTEN_TYPED.get(kind, kind)
        meant = f"{meant}:{index}" if index and meant == "cuda" else meant
        meant = meant if FORM.fullmatch(meant) else "auto"
        raise DeviceUnavailable(
            f"unknown device {asked!r}; expected {EXPECTED}{here}. Type {argument('device', meant)}"
        )


def find_device(asked: str = "auto", *, double: bool = False) -> torch.device:
    """The device that a name means.

    Args:
        asked: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.
        double: it is to compute in float64, which mps cannot.

    Raises:
        DeviceUnavailable: there is no such device, here or anywhere; says which there are.
    """
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    found = ["cpu", *(f"cuda:{i}" for i in range(n_gpus)), *(["mps"] if mps else [])]
    check_device_name(asked, f"; this machine has {', '.join(found)}")
    if double and asked == "mps":
        raise DeviceUnavailable(
            f"{argument('device', 'mps')}: it has no float64, in which probes are solved. Type "
            f"{argument('device', 'cpu')}"
        )
    if asked == "auto":
        return torch.device("cuda" if n_gpus else "mps" if mps and not double else "cpu")
    device = torch.device(asked)
    there = {"cpu": True, "cuda": (device.index or 0) < n_gpus, "mps": mps}
    if not there[device.type]:
        raise DeviceUnavailable(
            f"{argument('device', asked)}: PyTorch {torch.__version__} finds no such device here, only "
            f"{', '.join(found)}. "
            f"Type {argument('device', found[-1])}, or install a PyTorch built for yours."
        )
    return device
