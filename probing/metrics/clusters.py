"""Clusters: what a bootstrap draws whole, such as speakers, and in how many an interval can be believed."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.corpora.speakers import known_speakers

AUTO, SPEAKER, UTTERANCE = "auto", "speaker", "utterance"
FEW_CLUSTERS = 5  # of a class; below, simulated intervals cover less than .88 instead of .95
FEW_TRIALS = 5  # of a class; below, a condition has no figures


def unit_of(table: pd.DataFrame, unit: str = AUTO, where: str = "utterance") -> str:
    """What is drawn whole: a column of the table, or `utterance` for single ones.

    Args:
        table: trials, a row each.
        unit: `auto`, speakers if all are known and else utterances; `utterance`; or a column.
        where: what the trials are, for messages.

    Raises:
        ProbeError: no such column, or an unknown speaker.
    """
    known = SPEAKER in table and bool(known_speakers(table[SPEAKER]).all())
    if unit == AUTO:
        return SPEAKER if known else UTTERANCE
    if unit != UTTERANCE and unit not in table:
        found = ", ".join(name for name in table.columns if name not in ("utterance_id", "score"))
        raise ProbeError(f"--interval-by {unit}: no such column. Expected utterance or one of {found}")
    if unit == SPEAKER and not known:
        n = int((~known_speakers(table[SPEAKER])).sum())
        raise ProbeError(
            f"--interval-by speaker: not every {where} has a speaker ({n} of {len(table)} have none). "
            "Use --interval-by utterance"
        )
    return unit


def clusters_of(table: pd.DataFrame, unit: str = AUTO, where: str = "utterance") -> NDArray[np.object_] | None:
    """The cluster of each trial, (N,), or None if each is its own; see `unit_of`."""
    found = unit_of(table, unit, where)
    return None if found == UTTERANCE else table[found].to_numpy()
