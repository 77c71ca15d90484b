"""Speech models whose hidden layers can be read: `load_backbone` and what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .dropping import block_similarity, kept_blocks
from .errors import (
    BackboneMissing,
    BackboneUnsaved,
    BackboneUnsupported,
    BlocksUnknown,
    CheckpointIncomplete,
    ClipUnusable,
    HubUnreachable,
    LibraryBroken,
)

if TYPE_CHECKING:
    from .backbone import Backbone
    from .layers import HiddenStates
    from .loading import load_backbone

__all__ = [
    "Backbone",
    "BackboneMissing",
    "BackboneUnsaved",
    "BackboneUnsupported",
    "BlocksUnknown",
    "CheckpointIncomplete",
    "ClipUnusable",
    "HiddenStates",
    "HubUnreachable",
    "LibraryBroken",
    "block_similarity",
    "kept_blocks",
    "load_backbone",
]

_HOME = {"Backbone": "backbone", "HiddenStates": "layers", "load_backbone": "loading"}


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch only when it is asked for: the command line's help must not wait for it."""
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
