"""Speech models whose hidden layers can be read: `load_backbone` and what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

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
    from .dropping import block_similarity, kept_blocks
    from .layers import HiddenStates
    from .loading import load_backbone
    from .trainable import Trainable

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
    "Trainable",
    "block_similarity",
    "kept_blocks",
    "load_backbone",
]

_HOME = {
    "Backbone": "backbone",
    "HiddenStates": "layers",
    "Trainable": "trainable",
    "block_similarity": "dropping",
    "kept_blocks": "dropping",
    "load_backbone": "loading",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
