"""Segment labels of PartialSpoof: `train_seglab_0.02.npy` says of each 20 ms whether it is spoofed.

Such a file is a pickled dict, utterance -> array of '1' (bona fide) and '0' (spoof), one for each
stretch of the length in the file's name (Zhang et al., IEEE/ACM TASLP 31, 2023). A pickle can run
any program; here only the arrays of numpy, texts and numbers in it are made, and whatever else it
names is refused.
"""

from __future__ import annotations

import itertools
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from cache.bounds import open_regular
from cache.errors import argument
from probing.alignments.alignments import AlignmentError, Interval, opened
from probing.labels import BONAFIDE, SPOOF

NAME = re.compile(r"_seglab_(\d+(?:\.\d+)?)\.npy$", re.IGNORECASE)
SUFFIXES = tuple(
    f"_seglab_{length}.npy" for length in ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64")
)
# What numpy's own pickles name, as the versions of numpy call it.
MAKERS = {"_reconstruct": np.zeros(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
KNOWN: dict[tuple[str, str], Any] = {
    **{
        (f"numpy.{core}.multiarray", name): make
        for core in ("core", "_core")
        for name, make in MAKERS.items()
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Arrays(pickle.Unpickler):
    """Makes arrays and nothing else that has a name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return KNOWN[module, name]


def seglab_length(path: Path | str) -> float:
    """Seconds of a segment, from the name of a file.

    Raises:
        AlignmentError: its name does not say it.

    >>> seglab_length("dev_seglab_0.16.npy")
    0.16
    """
    found = NAME.search(str(path))
    if found is None or float(found[1]) == 0:
        raise AlignmentError(
            f"{path}: does not say how long its segments are. "
            "Expected a name as dev_seglab_0.02.npy"
        )
    return float(found[1])


def of_one_length(
    path: Path, files: list[str], tier: str | None, option: str = "tier"
) -> list[str]:
    """The files of one resolution, which `tier` names if there are several.

    `option` is what messages call `tier`.
    """
    lengths = sorted({seglab_length(file) for file in files})
    seconds = ", ".join(f"{length:g}" for length in lengths)
    if tier is None and len(lengths) > 1:
        raise AlignmentError(
            f"{path}: has segments of {seconds} s. Name one: {argument(option, lengths[0])}"
        )
    chosen = [file for file in files if tier is None or f"{seglab_length(file):g}" == tier]
    if not chosen:
        raise AlignmentError(
            f"{path}: no segments of {tier} s, only of {seconds}. "
            f"Use {argument(option, lengths[0])}"
        )
    return chosen


def read_seglab(path: Path) -> list[Interval]:
    """The stretches of equal labels of every utterance, `bonafide` or `spoof`.

    Raises:
        AlignmentError: not such a file.
    """
    length = seglab_length(path)
    rows = []
    for name, labels in _labels(path).items():
        values = np.asarray(labels)
        marks = values.astype(str) if values.ndim == 1 else values
        if not isinstance(name, str) or values.ndim != 1 or not np.isin(marks, ("0", "1")).all():
            raise AlignmentError(
                f"{path}: the labels of {name!r} are not one row of 0 and 1. Copy it again"
            )
        edges = np.concatenate(
            [[0], np.flatnonzero(marks[1:] != marks[:-1]) + 1, [len(marks)]]
        ).tolist()
        rows += [
            Interval(
                name,
                round(a * length, 6),
                end=round(b * length, 6),
                label=BONAFIDE if marks[a] == "1" else SPOOF,
                place=a,
            )
            for a, b in itertools.pairwise(edges)
            if b > a
        ]
    return rows


def _labels(path: Path) -> dict[Any, Any]:
    with opened(path), open_regular(path) as file:
        try:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)
            if shape != () or dtype != np.dtype(object):
                raise ValueError(f"it holds {dtype} {shape}")
            content = _Arrays(file, encoding="latin1").load()
            found = (
                content.item()
                if isinstance(content, np.ndarray) and content.shape == ()
                else content
            )
            if not isinstance(found, dict):
                raise ValueError("it holds no dict")
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            EOFError,
            pickle.UnpicklingError,
        ) as error:
            raise AlignmentError(
                f"{path}: no segment labels of PartialSpoof ({error}). "
                "Expected a dict of utterances and 0 or 1"
            ) from None
    return found
