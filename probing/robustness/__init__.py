"""Views of a cache through many conditions: noise at some SNRs, codecs, rooms, extracted beside the clean cache.

`probing.robustness.views`, which needs PyTorch, extracts what `parse_grid` reads.
"""

from probing.robustness.grid import GRID, Condition, parse_grid

__all__ = ["GRID", "Condition", "parse_grid"]
