"""Reproductions of published tables: the steps, what they need, and the figures measured beside the published ones."""

from probing.reproduction.attm import CORPORA, Reproduction, Step, compare, peaks, plan, run
from probing.reproduction.published import ATTM, PUBLISHED, Published

__all__ = ["ATTM", "CORPORA", "PUBLISHED", "Published", "Reproduction", "Step", "compare", "peaks", "plan", "run"]
