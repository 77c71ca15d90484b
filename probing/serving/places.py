"""Folders of exported models: what their records say, and whether a model may be written to one.

No model is loaded, and PyTorch is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cache.errors import ProbeError, argument, quoted
from cache.manifest import read_json
from probing.augmentation.smoothing import Smoothing
from probing.extraction.options import Options
from probing.runs import Run
from probing.sealing import read_record
from probing.serving.candidates import ServingError

SERVING = "serving.json"
HEAD = "head.json"
REFERENCE = "reference"  # its key of what a verdict needs
# forms of the files of heads, beside that of `probing.heads.head`
PROBE = "layer-probe"
EXITS = "exits"
KEPT = ("normalize", "max_seconds", "seconds", "pooled_dtype", "frames_dtype")  # of the options


def read_serving(folder: Path) -> dict[str, Any]:
    """Read what serving.json says of an exported model.

    Raises:
        ServingError: there is no exported model, or the record cannot be read.
        Damaged: it is not as it was written.

    >>> read_serving(Path("missing"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    probing.serving.candidates.ServingError: missing: no exported head here ...
    """
    try:
        record = read_record(folder / SERVING)[0]
        missing = {"options", "weights_sha256", "fingerprint", "head"} - set(record)
        if missing:
            raise ValueError(f"{SERVING} says no {', '.join(sorted(missing))}")
        odd = set(record["options"]) - set(KEPT)
        if odd or not isinstance(record["fingerprint"], dict):
            raise ValueError(
                f"{SERVING} says {', '.join(sorted(odd)) or 'a fingerprint'} that no export writes"
            )
        Options(**record["options"])
    except (OSError, ValueError, TypeError) as error:
        raise ServingError(
            f"{folder}: no exported head here ({error}). Write "
            f"one: probe export RUN {quoted(folder)}"
        ) from None
    return record


def options_of(run: Run, frames: bool) -> Options:
    """The options by which a run's cache was extracted, with frames or without.

    Raises:
        ServingError: the run does not say.
    """
    given = run.record.get("about", {}).get("options")
    if not given:
        raise ServingError(
            f"{run.folder}: does not say how its cache was "
            "extracted. Run again: probe extract, probe sweep"
        )
    return Options(**{**given, "frames": frames})


def check_not_smoothed(folder: Path, smoothing: Smoothing) -> None:
    """Refuse noised copies for an exported model with exits, where each would leave elsewhere."""
    if smoothing:
        raise ServingError(
            f"{argument('smooth', smoothing.smooth)}: {folder} has early exit, where the "
            "noised copies of a clip would leave at several depths. Export one head, without "
            "exits: probe export RUN DIR"
        )


def check_name(folder: Path, record: Mapping[str, Any], head: str | None) -> None:
    """Refuse the name of a head that an exported model does not have; None is the one it has."""
    if head not in (None, record["head"]):
        raise ServingError(
            f"{argument('head', head)}: {folder} has no such head. It has: {record['head']}"
        )


def check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than an export, before any work is done."""
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / SERVING).is_file())
    ):
        raise ServingError(
            f"{folder}: is there and is no exported head. Name another folder, or remove it"
        )


def check_same(folder: Path, made: Mapping[str, Any]) -> None:
    """Refuse a folder with a model made otherwise, whose weights may be nowhere else.

    `made` is what decides an export: the weights follow from the fingerprint and the depth.
    """
    if not (folder / SERVING).is_file():
        return
    try:
        there = read_record(folder / SERVING)[0]
        there["exits"] = read_json(folder / HEAD).get("policy")
    except (OSError, ValueError, AttributeError, ProbeError):
        found = "a model that cannot be read"
    else:
        # as it was written; earlier versions did not write all of it
        expected = json.loads(json.dumps(made))
        others = [
            name for name, value in expected.items() if name in there and there[name] != value
        ]
        if "tuning" not in there and not others:
            return
        long = {"exits": "other exits", "fingerprint": "another backbone, or prepared otherwise"}
        differing = ", ".join(
            long.get(name) or f"{name} {there[name]}, not {expected[name]}" for name in others
        )
        found = "a tuned model" if "tuning" in there else f"a model made otherwise ({differing})"
    raise ServingError(
        f"{folder}: holds {found}. Name another folder, or replace it for good: "
        f"{argument('overwrite', True)}"
    )
