"""The sweep: probes trained on a cache, chosen on dev, reported on eval."""

from probing.sweep.depth_finding import DepthFinding
from probing.sweep.depths import FRAMES_HEADS, POOLED_HEADS, DepthOptions
from probing.sweep.finding import Finding
from probing.sweep.sweep import SweepOptions, finished_run, identity, sweep

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
