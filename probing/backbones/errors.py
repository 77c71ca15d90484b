"""Errors between a model's name and its hidden states; each says what to type next."""

from cache.errors import ProbeError


class BackboneMissing(ProbeError, FileNotFoundError):
    """There is no model where the spec points."""


class BackboneUnsupported(ProbeError, ValueError):
    """The model is not one whose hidden layers can be read."""


class CheckpointIncomplete(ProbeError, ValueError):
    """The checkpoint does not hold every weight of the encoder."""


class HubUnreachable(ProbeError, ConnectionError):
    """The model hub did not answer."""


class LibraryBroken(ProbeError, ImportError):
    """PyTorch or transformers is installed but cannot be imported."""


class ClipUnusable(ProbeError, ValueError):
    """A clip is too short, too long, not mono or not finite, or does not fit its batch."""


class BackboneUnsaved(ProbeError, OSError):
    """The backbone cannot be written there."""


class BlocksUnknown(ProbeError, ValueError):
    """The blocks to keep or drop are not ones the model has."""
