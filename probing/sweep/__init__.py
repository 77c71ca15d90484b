"""The sweep: probes trained on a cache, chosen on dev, reported on eval."""

from probing.sweep.finding import Finding
from probing.sweep.sweep import SweepOptions, identity, sweep

__all__ = ["Finding", "SweepOptions", "identity", "sweep"]
