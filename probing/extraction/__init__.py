"""Extraction: from audio and a backbone to a cache of every hidden layer."""

from probing.extraction.cluster import Cluster, extract_on_cluster
from probing.extraction.extract import Machine, extract
from probing.extraction.layers import layers_of
from probing.extraction.options import Options
from probing.extraction.rehearsal import rehearse
from probing.extraction.repair import repair

__all__ = ["Cluster", "Machine", "Options", "extract", "extract_on_cluster", "layers_of", "rehearse", "repair"]
