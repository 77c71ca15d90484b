"""Tuning: a truncated backbone trained end to end with its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from probing.tuning.options import TuneMachine, TuneOptions
    from probing.tuning.source import Source
    from probing.tuning.tuning import Tuned, tune

__all__ = ["Source", "TuneMachine", "TuneOptions", "Tuned", "tune"]

_HOME = {
    "Source": "source",
    "TuneMachine": "options",
    "TuneOptions": "options",
    "Tuned": "tuning",
    "tune": "tuning",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
