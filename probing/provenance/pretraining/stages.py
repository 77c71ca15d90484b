"""Stages: what a model was trained by, kept beside its weights and in its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cache.errors import ProbeError

from .config import Recipe

STAGES = "training.json"


class StagesUnreadable(ProbeError, ValueError):
    """The record of how a model was trained is damaged."""


@dataclass(frozen=True)
class Stage:
    """One run.

    Attributes:
        recipe, steps: what was done.
        accuracy: kind of units -> accuracy at masked frames at the last step, of training and of
            held-out speakers, with the training's own heads.
    """

    recipe: Recipe
    steps: int
    accuracy: Mapping[str, tuple[float, float]]


def read_stages(folder: Path) -> list[Stage]:
    """Read the stages of an exported model; none if the folder does not say.

    Raises:
        StagesUnreadable: the record is damaged.
    """
    path = folder / STAGES
    if not path.is_file():
        return []
    try:
        return [_stage(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StagesUnreadable(f"{path}: damaged ({error}). Restore it, or remove it.") from error


def write_stages(stages: Sequence[Stage], folder: Path) -> None:
    """Write the stages beside the weights."""
    text = json.dumps([asdict(stage) for stage in stages], indent=1)
    (folder / STAGES).write_text(text + "\n", encoding="utf-8")


def _stage(entry: dict[str, Any]) -> Stage:
    recipe = Recipe(**entry["recipe"] | {"units": tuple(entry["recipe"]["units"])})
    accuracy = {
        kind: (float(train), float(heldout)) for kind, (train, heldout) in entry["accuracy"].items()
    }
    return Stage(recipe, int(entry["steps"]), accuracy)
