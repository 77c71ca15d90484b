"""The train, dev and eval utterances of a sweep, with what the probes and the intervals need of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from probing.corpora.corpus import BONAFIDE


@dataclass(frozen=True)
class Split:
    """Some utterances of a cache.

    name: `train`, `dev` or `eval`, its part in the sweep.
    table: rows of `Cache.utterances`.
    bonafide: (N,) true for bona fide.
    """

    name: str
    table: pd.DataFrame
    bonafide: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.table)

    def clusters(self, unit: str) -> NDArray[np.object_] | None:
        """What a bootstrap draws whole: the speakers, or None for single utterances.

        `unit` is `speaker`, `utterance` or `auto`, which is speakers wherever every utterance has one.
        """
        known = bool((self.table["speaker"] != "").all())
        if unit == "speaker" and not known:
            raise ProbeError("--interval-by speaker: not every utterance has a speaker. Use --interval-by utterance")
        return self.table["speaker"].to_numpy() if unit == "speaker" or (unit == "auto" and known) else None


def read_splits(cache: Cache, names: dict[str, str]) -> dict[str, Split]:
    """The splits of a cache by their part: `{"train": ..., "dev": ..., "eval": ...}`.

    Args:
        cache: an open cache.
        names: part -> name of the split in the cache.

    Raises:
        ProbeError: a split is missing or has one class only.
    """
    if not len(cache):
        raise ProbeError(f"{cache.folder}: no utterances yet. Go on with the probe extract that began it")
    found = sorted(cache.utterances["split"].unique())
    splits = {}
    for part, name in names.items():
        table = cache.select({"split": name})
        bonafide = (table["label"] == BONAFIDE).to_numpy()
        if table.empty:
            raise ProbeError(
                f"{cache.folder}: no utterances in split {name!r}, only {', '.join(found)}. "
                f"Say which split to use: --{part} NAME"
            )
        if bonafide.all() or not bonafide.any():
            raise ProbeError(
                f"{cache.folder}: split {name!r} has {int(bonafide.sum())} bona fide and {int((~bonafide).sum())} "
                f"spoofed utterances. Expected both; use another split: --{part} NAME"
            )
        splits[part] = Split(part, table, bonafide)
    return splits
