"""The sweep: probes trained on a cache, chosen on dev, reported on eval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from probing.sweep.depth_finding import DepthFinding
    from probing.sweep.finding import Finding
    from probing.sweep.once import sweep_once
    from probing.sweep.options import (
        FRAMES_HEADS,
        POOLED_HEADS,
        DepthOptions,
        SweepOptions,
        TargetOptions,
    )
    from probing.sweep.split import identity
    from probing.sweep.sweeping import finished_run, sweep

__all__ = [
    "FRAMES_HEADS",
    "POOLED_HEADS",
    "DepthFinding",
    "DepthOptions",
    "Finding",
    "SweepOptions",
    "TargetOptions",
    "finished_run",
    "identity",
    "sweep",
    "sweep_once",
]

_HOME = {
    "FRAMES_HEADS": "options",
    "POOLED_HEADS": "options",
    "DepthFinding": "depth_finding",
    "DepthOptions": "options",
    "Finding": "finding",
    "SweepOptions": "options",
    "TargetOptions": "options",
    "finished_run": "sweeping",
    "identity": "split",
    "sweep": "sweeping",
    "sweep_once": "once",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
