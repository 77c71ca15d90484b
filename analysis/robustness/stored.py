"""Robustness and attacks in their folders, read again for a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.robustness.attacking import Attacks
from analysis.robustness.figures import CLEAN, RobustnessTable
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from probing.augmentation.smoothing import Smoothing
from probing.robustness import Condition

RISES = ("eer", "low", "high", "rise", "rise_low", "rise_high")
OF_ATTACKS = (
    "source_head",
    "judge",
    "judge_head",
    "attack",
    "access",
    "smooth",
    "n_bonafide",
    "n_spoof",
)


def read_robustness(run: LoadedRun, folder: Path) -> RobustnessTable:
    """The table that the command `probe robustness` wrote of a run.

    Raises:
        ProbeError: it is missing, or damaged.

    >>> from analysis import load
    >>> found = read_robustness(load("results/demo.run"), Path("results/demo.robustness"))
    >>> [condition.name for condition in found.conditions]
    ['noise:white@10', 'noise:white@0']
    """
    table = read_table(
        folder / "robustness.csv", (*RISES, "experiment", "condition", "kind", "at", "snr_db")
    )
    table["snr_db"] = table["snr_db"].astype(float)
    views = table[table["condition"] != CLEAN].drop_duplicates("condition")
    conditions = tuple(
        Condition(
            row.condition,
            row.condition,
            row.kind,
            None if pd.isna(row.snr_db) else float(row.snr_db),
        )
        for row in views.itertuples()
    )
    return RobustnessTable(run, conditions, table)


def read_attacks(run: LoadedRun, folder: Path, about: Mapping[str, Any]) -> Attacks:
    """What the command `probe attack` wrote of a run, given the record of its folder.

    Raises:
        ProbeError: it is missing, or damaged.

    >>> from analysis import load
    >>> from analysis.runs.companions import Companion
    >>> companion = Companion.read(Path("results/demo.attack"))
    >>> read_attacks(load("results/demo.run"), companion.folder, companion.about).smoothing.smooth
    0
    """
    table = read_table(folder / "attack.csv", (*RISES, *OF_ATTACKS))
    trials = read_table(folder / "clips.csv", ("utterance_id", "label"))
    try:
        smoothing = Smoothing(int(about["smooth"]), about["noise_snr"])
        names = tuple(map(str, about["names"]))
        return Attacks(
            run,
            names,
            table=table,
            trials=trials,
            left_out={},
            smoothing=smoothing,
            adaptive=bool(about["adaptive"]),
            cost=about["cost"],
        )
    except (ProbeError, ValueError, KeyError, TypeError) as error:
        raise ProbeError(
            f"{folder}: its record cannot be read ({error}). Run probe attack again"
        ) from None


def read_table(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table with these columns, texts as they stand there, also NA.

    Raises:
        ProbeError: there is none, or not with these columns.

    >>> len(read_table(Path("results/demo.robustness/robustness.csv"))) > 0
    True
    """
    texts = dict.fromkeys(
        ("utterance_id", "condition", "kind", "judge", "attack", "source", "speaker"), str
    )
    try:
        table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
        if missing := sorted({*columns} - {*table}):
            raise ValueError(f"no column {missing[0]}")
    except (OSError, ValueError) as error:
        raise ProbeError(
            f"{path}: cannot be read ({error}). Run the command that wrote it again"
        ) from None
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    empty = [
        name for name in ("source", "source_head", "access", "method", "direction") if name in table
    ]
    names = list(dict.fromkeys([*words, *empty]))
    table[names] = table[names].astype(object).fillna("")
    return table
