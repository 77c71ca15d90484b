"""Reproductions of published tables: the steps, what they need, and the figures measured beside the published ones."""

from probing.reproduction.attm import CORPORA, Reproduction, Step, compare, peaks, plan, run
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
