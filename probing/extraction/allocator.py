"""The C library's allocator, set to keep what a forward pass frees for the next one.

glibc gives the large buffers of a front end back to the system at every call and has them cleared
again at the next (see tests/benchmarks/forward_options.py). Other C libraries are left alone.
"""

import ctypes
import platform

# of mallopt
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_KEPT = 32 << 20  # bytes of one buffer; glibc takes no more
MOST_FREE = 1 << 30  # bytes kept at the top of the heap


def keep_freed_memory() -> None:
    """Keep freed buffers of up to 32 MiB in this process, from now on."""
    if libc := _glibc():
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, MOST_FREE)


def give_back_freed_memory() -> None:
    """Give the system what is free now."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
