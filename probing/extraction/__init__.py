"""Extraction: from audio and a backbone to a cache of every hidden layer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from probing.extraction.machine import Cluster, Machine
from probing.extraction.options import Options

if TYPE_CHECKING:
    from probing.extraction.cluster import extract_on_cluster
    from probing.extraction.extracting import extract
    from probing.extraction.layers import layers_of
    from probing.extraction.rehearsal import rehearse
    from probing.extraction.repairing import repair

__all__ = ["Cluster", "Machine", "Options", "extract", "extract_on_cluster", "layers_of", "rehearse", "repair"]

_HOME = {
    "extract_on_cluster": "cluster",
    "extract": "extracting",
    "layers_of": "layers",
    "rehearse": "rehearsal",
    "repair": "repairing",
}


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch only when it is asked for: a wrong option must not wait for it."""
    if name in _HOME:
        return getattr(import_module(f"probing.extraction.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
