"""Robustness: caches through many conditions, attacks on waveforms, scores of noised copies.

What needs PyTorch is in modules of its own: `views` extracts what `parse_grid` reads, `white_box`
gives the slopes that an attack follows, `judge` scores what comes of it.
"""

from probing.augmentation.smoothing import Smoothing
from probing.robustness.attacks import Attack, AttackOptions, perturb
from probing.robustness.grid import GRID, Condition, parse_grid

__all__ = ["GRID", "Attack", "AttackOptions", "Condition", "Smoothing", "parse_grid", "perturb"]
