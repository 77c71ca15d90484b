"""The errors a user can meet; every message says what was found, what was expected, and what to type next."""


class ProbeError(Exception):
    """Base of every error this project raises on bad input."""


class CacheMissing(ProbeError, FileNotFoundError):
    """There is no cache in the folder named."""


class CacheCorrupt(ProbeError, ValueError):
    """What is on disk is not what was written."""


class CacheBusy(ProbeError, RuntimeError):
    """Another process is writing to this cache, or run."""


class FingerprintMismatch(ProbeError, ValueError):
    """The cache was made with other weights, conventions or preprocessing."""
