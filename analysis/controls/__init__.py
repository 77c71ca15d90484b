"""Controls: what a probe's figure is to be held against."""

from typing import TYPE_CHECKING

from analysis.controls.selectivity import selectivity
from cache.lazy import lazy

if TYPE_CHECKING:
    from analysis.controls.description import description_length

__all__ = ["description_length", "selectivity"]

__getattr__, __dir__ = lazy(__name__, {"description_length": "description"})
