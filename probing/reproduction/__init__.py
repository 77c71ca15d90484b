"""Reproductions of published tables: the steps, their needs, measured and published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from probing.reproduction.attm import Step, plan, run
    from probing.reproduction.comparison import compare, peaks
    from probing.reproduction.options import CORPORA, Reproduction
    from probing.reproduction.published import ATTM, PUBLISHED, Published
    from probing.reproduction.tuned import TunedFigures, run_tuned

__all__ = [
    "ATTM",
    "CORPORA",
    "PUBLISHED",
    "Published",
    "Reproduction",
    "Step",
    "TunedFigures",
    "compare",
    "peaks",
    "plan",
    "run",
    "run_tuned",
]

_HOME = {
    "ATTM": "published",
    "CORPORA": "options",
    "PUBLISHED": "published",
    "Published": "published",
    "Reproduction": "options",
    "Step": "attm",
    "TunedFigures": "tuned",
    "compare": "comparison",
    "peaks": "comparison",
    "plan": "attm",
    "run": "attm",
    "run_tuned": "tuned",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
