"""The store of hidden states: what is on disk, how it is written, read and verified.

from cache import Cache
states = Cache("results/demo.cache")
x, table = states.layer(3, where={"split": "dev"})       # (N, 2, D) and its DataFrame
"""

from typing import TYPE_CHECKING

from cache.errors import CacheBusy, CacheCorrupt, CacheMissing, FingerprintMismatch, ProbeError
from cache.lazy import lazy

if TYPE_CHECKING:
    from cache.reader import Cache
    from cache.verification import Fault, verify

__all__ = [
    "Cache",
    "CacheBusy",
    "CacheCorrupt",
    "CacheMissing",
    "Fault",
    "FingerprintMismatch",
    "ProbeError",
    "verify",
]

__getattr__, __dir__ = lazy(
    __name__, {"Cache": "reader", "Fault": "verification", "verify": "verification"}
)
