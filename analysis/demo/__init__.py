"""The demo as one story: three backbones over one corpus, and what was found."""

from analysis.demo.sentences import early_layers, learning, sentences
from analysis.demo.story import BACKBONES, Story, part, run

__all__ = ["BACKBONES", "Story", "early_layers", "learning", "part", "run", "sentences"]
