"""Tensors as safetensors files, written with the errors that every other file has."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

CODE = re.compile(r"(?:code: |os error )(\d+)")


def save_arrays(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name; OSError where the disk takes no more."""
    # safetensors writes the memory of a strided array as it lies, which is another array
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    with errors_of_the_disk(path):
        save_file(contiguous, path)
    path.chmod(0o644)  # safetensors writes for the owner only


@contextmanager
def errors_of_the_disk(path: Path) -> Iterator[None]:
    """Let writers in other languages raise OSError where the disk is full, as Python does.

    safetensors says `IoError(Os { code: 28, ... })` or `(os error 28)`; torch.save that the
    `unexpected pos` of its archive is wrong, or that a write failed.
    """
    try:
        yield
    except SafetensorError as error:
        code = CODE.search(str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        if not any(
            words in str(error)
            for words in ("unexpected pos", "file write failed", "PytorchStreamWriter")
        ):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
