"""Extraction: from audio and a backbone to a cache of every hidden layer."""

from probing.extraction.extract import Machine, extract
from probing.extraction.layers import layers_of
from probing.extraction.options import Options
from probing.extraction.repair import repair

__all__ = ["Machine", "Options", "extract", "layers_of", "repair"]
