"""Extraction: from audio and a backbone to a cache of every hidden layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy
from probing.extraction.machine import Cluster, Machine
from probing.extraction.options import Options

if TYPE_CHECKING:
    from probing.extraction.cluster import extract_on_cluster
    from probing.extraction.extracting import extract
    from probing.extraction.layers import layers_of
    from probing.extraction.rehearsal import rehearse
    from probing.extraction.repairing import repair

__all__ = [
    "Cluster",
    "Machine",
    "Options",
    "extract",
    "extract_on_cluster",
    "layers_of",
    "rehearse",
    "repair",
]

_HOME = {
    "extract_on_cluster": "cluster",
    "extract": "extracting",
    "layers_of": "layers",
    "rehearse": "rehearsal",
    "repair": "repairing",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
