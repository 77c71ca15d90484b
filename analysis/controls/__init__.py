"""Controls: what a probe's figure is to be held against."""

from analysis.controls.description import description_length
from analysis.controls.selectivity import selectivity

__all__ = ["description_length", "selectivity"]
