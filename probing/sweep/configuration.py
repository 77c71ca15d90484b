"""The configuration of a sweep: what makes one run another, as the run record holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from probing.runs.caches import audio_identity
from probing.sweep.options import SweepOptions
from probing.sweep.split import EVAL, Split, identity
from probing.targets.options import TargetOptions


def configuration_of(options: SweepOptions, splits: dict[str, Split]) -> dict[str, Any]:
    """The options, cache, utterances and audio of a sweep: what makes one run another."""
    cache = splits["train"].cache
    return {
        "options": _plain(options, splits),
        "cache": cache.id,
        "utterances": identity(splits),
        "audio": audio_identity({part: split.table for part, split in splits.items()}),
    }


def _plain(options: SweepOptions, splits: Mapping[str, Split]) -> dict[str, Any]:
    """Options as JSON has them; splits by their names, wherever their caches lie."""
    plain: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }
    labels = plain["target"]["labels"]
    # its content is in `utterances`
    plain["target"] = {**plain["target"], "labels": PurePath(labels).name}
    usual = {
        "probe": "linear",
        "erase": 0,
        "interval_includes": [],
        "target": asdict(TargetOptions()),
    }
    # as earlier versions wrote it
    plain = {name: value for name, value in plain.items() if usual.get(name) != value}
    reports = [split.split for split in splits.values() if split.name == EVAL]
    return {**plain, "train": splits["train"].split, "dev": splits["dev"].split, EVAL: reports}
