"""The calibration that `probe calibrate` left in a run, for its exports and verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cache.errors import ProbeError
from cache.manifest import read_json
from probing.calibration.affine import Calibration
from probing.runs import Run

FOLDER = "calibration"
FILE = "calibration.json"


def text_of(systems: list[str], calibration: Calibration) -> str:
    """What the file says: whose scores are calibrated, and how."""
    content: dict[str, Any] = {"form": "calibration", "systems": systems, **calibration.as_dict()}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def place(run: Path, head: str) -> Path:
    """The folder in a run that has the calibration of one of its heads."""
    return run / FOLDER / head


def stored_calibration(run: Run, name: str) -> Calibration | None:
    """The calibration of a head that was left in its run; None if there is none of this head.

    Raises:
        ProbeError: there is one that cannot be read.
    """
    path = place(run.folder, name) / FILE
    if not path.is_file():
        return None
    systems, calibration = read_calibration(path)
    if systems != [name]:
        raise ProbeError(
            f"{path}: is of {', '.join(systems)}, not of {name}. Make it again: probe calibrate RUN"
        )
    return calibration


def read_calibration(path: Path) -> tuple[list[str], Calibration]:
    """Whose scores a calibration is of, and the calibration.

    Raises:
        ProbeError: it cannot be read.
    """
    try:
        content = read_json(path)
        calibration = Calibration.of(content)
        systems = [str(name) for name in content["systems"]]
        if len(systems) != len(calibration.scales):
            raise ValueError(f"{len(systems)} systems and {len(calibration.scales)} scales")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProbeError(
            f"{path}: no calibration that can be read ({error}). Remove "
            "it, or make it again: probe calibrate RUN"
        ) from None
    return systems, calibration
