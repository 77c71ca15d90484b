"""Devices: the one place that says which device a name means, and whether it is here."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING

from cache.errors import ProbeError, argument

if TYPE_CHECKING:
    import torch

EXPECTED = "auto, cpu, cuda, cuda:1, xpu or mps"
HELP = "auto (a GPU where there is one), cpu, cuda, cuda:1, xpu, mps."
FORM = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")
OFTEN_TYPED = {
    **dict.fromkeys(("gpu", "nvidia", "hip", "rocm"), "cuda"),
    **dict.fromkeys(("metal", "apple"), "mps"),
    "intel": "xpu",
}


class DeviceUnavailable(ProbeError, RuntimeError):
    """The device that was named is not on this machine."""


def check_device_name(name: str, here: str = "") -> None:
    """Raise DeviceUnavailable where a name is none of EXPECTED.

    `here` says which devices this machine has.
    """
    if not isinstance(name, str) or not FORM.fullmatch(name):
        kind, _, index = str(name).lower().partition(":")
        meant = OFTEN_TYPED.get(kind, kind)
        meant = f"{meant}:{index}" if index and meant in ("cuda", "xpu") else meant
        meant = meant if FORM.fullmatch(meant) else "auto"
        raise DeviceUnavailable(
            f"unknown device {name!r}; expected {EXPECTED}{here}. Type {argument('device', meant)}"
        )


def find_device(name: str = "auto", *, double: bool = False) -> torch.device:
    """The device that a name means.

    Args:
        name: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `xpu`, `mps`.
        double: it is to compute in float64, which mps cannot.

    Raises:
        DeviceUnavailable: there is no such device, here or anywhere; says which there are.

    >>> find_device("cpu").type
    'cpu'
    """
    if built := _cpu_build():
        _check_there(name, built, ["cpu"])
    import torch

    modules = {kind: getattr(torch, kind) for kind in ("cuda", "xpu")}
    n_of = {
        kind: module.device_count() if module.is_available() else 0
        for kind, module in modules.items()
    }
    mps = torch.backends.mps.is_available()
    found = [
        "cpu",
        *(f"{kind}:{i}" for kind, n in n_of.items() for i in range(n)),
        *(["mps"] if mps else []),
    ]
    _check_there(name, torch.__version__, found)
    if double and name == "mps":
        raise DeviceUnavailable(
            f"{argument('device', 'mps')}: it has no float64, in which probes are solved. Type "
            f"{argument('device', 'cpu')}"
        )
    if name == "auto":
        several = [kind for kind, n in n_of.items() if n]
        return torch.device(several[0] if several else "mps" if mps and not double else "cpu")
    return torch.device(name)


def _check_there(name: str, version: str, found: Sequence[str]) -> None:
    """Refuse a device that is none of those that a version of PyTorch finds here."""
    check_device_name(name, f"; this machine has {', '.join(found)}")
    if name != "auto" and not {name, f"{name}:0"} & {*found}:
        raise DeviceUnavailable(
            f"{argument('device', name)}: PyTorch {version} finds no such device "
            f"here, only {', '.join(found)}. Type {argument('device', found[-1])}, or install a "
            "PyTorch built for yours."
        )


def _cpu_build() -> str:
    """The version of a PyTorch that can have no device but the CPU, which is not imported for that.

    Empty if it may have others, as on a Mac.
    """
    found = find_spec("torch")
    if found is None or found.origin is None or sys.platform == "darwin":
        return ""
    try:
        stated = run_path(str(Path(found.origin).with_name("version.py")))
    except OSError:
        return ""
    others = any(stated.get(kind, kind) for kind in ("cuda", "hip", "xpu"))
    return "" if others else str(stated["__version__"])
