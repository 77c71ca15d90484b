"""Exits in a folder: the policy, the tables and the figures, written and read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cache import ProbeError
from probing.exits.exits import Exits
from probing.exits.policy import read_policy
from probing.metrics import Interval

POLICY = "exits.json"
TABLES = {
    "curve": "curve.csv",
    "alone": "depths.csv",
    "by_attack": "attacks.csv",
    "leaving": "leaving.csv",
}
COLUMNS = {
    "curve": {"split", "threshold", "depth", "blocks", "macs", "eer", "chosen"},
    "alone": {"split", "depth", "blocks", "macs", "eer"},
    "by_attack": set(),
    "leaving": {"depth", "all", "bonafide", "spoof"},
}
INTERVALS = ("at_exits", "at_full", "difference", "over_rival")
PLAIN = ("backbone", "margin", "blocks", "macs", "rival", "run", "run_id")


def write_exits(found: Exits, folder: Path) -> dict[str, Any]:
    """Write policy and tables.

    Returns the figures that stand in none of them, as JSON has them, for `read_exits`.

    >>> from probing.exits import find_exits
    >>> from probing.runs import Run
    >>> found = find_exits(Run("results/demo.run"), "linear")
    >>> Path("exits").mkdir(exist_ok=True)
    >>> figures = write_exits(found, Path("exits"))
    >>> read_exits(Path("exits"), figures).sentence == found.sentence
    True
    """
    policy = {"run": found.run, "run_id": found.run_id, **found.policy.as_dict()}
    text = json.dumps(policy, indent=1, ensure_ascii=False)
    (folder / POLICY).write_text(f"{text}\n", encoding="utf-8")
    for name, file in TABLES.items():
        getattr(found, name).to_csv(folder / file, index=False)
    figures: dict[str, Any] = {name: getattr(found, name) for name in PLAIN}
    figures["macs"] = None if np.isnan(found.macs) else found.macs
    for name in INTERVALS:
        interval = getattr(found, name)
        figures[name] = None if interval is None else asdict(interval)
    return figures


def read_exits(folder: Path, figures: dict[str, Any]) -> Exits:
    """What `write_exits` wrote, given what it returned; see there for an example.

    Raises:
        ProbeError: a file is missing, or damaged.
    """
    policy = read_policy(folder / POLICY)
    try:
        tables = {
            name: pd.read_csv(folder / file, dtype={"attack": str}) for name, file in TABLES.items()
        }
        for name, columns in COLUMNS.items():
            if missing := sorted(columns - {*tables[name]}):
                raise ValueError(f"{TABLES[name]}: no column {missing[0]}")
        plain: dict[str, Any] = {name: figures[name] for name in PLAIN}
        plain["macs"] = np.nan if plain["macs"] is None else float(plain["macs"])
        plain["blocks"] = float(plain["blocks"])
        intervals: dict[str, Any] = {
            name: None if figures[name] is None else Interval(**figures[name]) for name in INTERVALS
        }
        return Exits(policy=policy, **plain, **intervals, **tables)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProbeError(
            f"{folder}: its figures of early exit cannot be read ({error}). Run probe exits again"
        ) from None
