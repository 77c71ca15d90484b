"""The sweep: probes trained on a cache, chosen on dev, reported on eval."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probing.sweep.depth_finding import DepthFinding
    from probing.sweep.finding import Finding
    from probing.sweep.options import FRAMES_HEADS, POOLED_HEADS, DepthOptions, SweepOptions
    from probing.sweep.splits import identity
    from probing.sweep.sweeping import finished_run, sweep

__all__ = [
    "FRAMES_HEADS",
    "POOLED_HEADS",
    "DepthFinding",
    "DepthOptions",
    "Finding",
    "SweepOptions",
    "finished_run",
    "identity",
    "sweep",
]

_HOME = {
    "FRAMES_HEADS": "options",
    "POOLED_HEADS": "options",
    "DepthFinding": "depth_finding",
    "DepthOptions": "options",
    "Finding": "finding",
    "SweepOptions": "options",
    "finished_run": "sweeping",
    "identity": "splits",
    "sweep": "sweeping",
}


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch only when it is asked for: a wrong option must not wait for it."""
    if name in _HOME:
        return getattr(import_module(f"probing.sweep.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
