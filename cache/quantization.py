"""Frames of one byte a value: each frame as int8, with a float32 scale of its own.

A frame x (D,) is kept as the scale s = max|x| / 127 and the integers q = round(x / s), and read as
s q: no value is off by more than s / 2 (symmetric uniform quantization). On disk it is one record
of 4 + D bytes, so that an utterance stays one run of bytes, read, checked and copied as any other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError, argument

INT8 = "int8"
LEVELS = np.float32(127)
# a smaller scale has few bits of its own; such a frame is read as zero
SMALLEST = np.finfo(np.float32).tiny
# 127 times as much is still finite
LARGEST = np.nextafter(np.finfo(np.float32).max / LEVELS, np.float32(0))


def stored(dtype: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type on disk of values of a shape: for int8 a record a frame, (scale, values).

    >>> stored("float16", (5, 8))[0], stored("int8", (5, 8))[0]
    ((5, 8), (5,))
    """
    if dtype == INT8:
        return shape[:-1], np.dtype([("scale", "<f4"), ("values", "i1", (shape[-1],))])
    return shape, np.dtype(dtype).newbyteorder("<")


def bytes_of(dtype: str, dim: int) -> int:
    """Bytes on disk of one vector of `dim` values.

    >>> bytes_of("float16", 1024), bytes_of("int8", 1024)
    (2048, 1028)
    """
    shape, on_disk = stored(dtype, (1, dim))
    return int(np.prod(shape)) * on_disk.itemsize


def read_as(dtype: str) -> np.dtype[Any]:
    """The type in which a reader gives values that are on disk as `dtype`."""
    return np.dtype(np.float32 if dtype == INT8 else dtype)


def encode(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values (..., D) as they are stored, contiguous.

    Those that are in that form already stay as they are.

    Raises ProbeError if a value that is to be quantized is not finite.

    >>> records = encode(np.array([[127.0, -1.0]]), stored("int8", (1, 2))[1])
    >>> records["scale"].tolist(), records["values"].tolist()
    ([1.0], [[127, -1]])
    """
    if dtype.names is None or values.dtype == dtype:
        return np.ascontiguousarray(values, dtype=dtype)
    values = np.asarray(values, np.float32)
    largest = np.abs(values).max(axis=-1, initial=0)
    if not np.isfinite(largest).all():
        raise ProbeError(
            "frames with NaN or infinite values cannot be kept as int8. Use "
            f"{argument('frames_dtype', 'float32')}."
        )
    scale = np.minimum(largest / LEVELS, LARGEST)
    scale = np.where(scale < SMALLEST, np.float32(0), scale)
    records = np.empty(values.shape[:-1], dtype)
    records["scale"] = scale
    records["values"] = np.rint(values / np.where(scale > 0, scale, np.float32(np.inf))[..., None])
    return records


def decode(block: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Stored values as a reader gives them: records (...,) become float32 (..., D).

    Anything else stays as it is.

    `out` (..., D), of any type, takes them instead of a new array.

    >>> decode(encode(np.array([[127.0, -1.0]]), stored("int8", (1, 2))[1])).tolist()
    [[127.0, -1.0]]
    """
    if block.dtype.names is None:
        if out is None:
            return block
        out[...] = block
        return out
    values = block["values"]
    out = np.empty(values.shape, np.float32) if out is None else out
    out[...] = values
    out *= block["scale"][..., None]
    return out
