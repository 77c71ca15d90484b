"""Targets inside utterances: labelled frames or segments of a cache, a trial each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cache import Cache
from cache.errors import OptionError, ProbeError
from probing.alignments import read_alignments
from probing.augmentation import Augmentation
from probing.targets.measured import audio_name, of_frames
from probing.targets.options import TargetOptions
from probing.targets.task import CLIP
from probing.units import units_of
from probing.units.units import COLUMNS

SAMPLING_RATE = 16_000
FROM_CLIP = ("unit_seconds", "unit_position")  # what tells a unit apart without listening to it


class AlignedUnits:
    """Units of caches by the options of a target.

    Attributes:
        unit: frame, segment or middle.
        notes: folder of a cache -> what a person should know of its units.
    """

    def __init__(self, options: TargetOptions) -> None:
        self._options = options
        self.unit = options.unit
        self._tables: dict[Path, pd.DataFrame] = {}
        self.notes: dict[Path, tuple[str, ...]] = {}
        self._intervals: dict[Path, pd.DataFrame] = {}

    def of(self, cache: Cache) -> pd.DataFrame:
        """The units of a cache.

        Returns:
            One row a unit: the columns of its utterance, whose id is `clip` and whose label is
            `utterance_label`; `utterance_id`, that of the unit; `label`, `start`, `end`,
            `first_frame`, `last_frame`, and FROM_CLIP; `unit_type` where the options name a column
            of types.

        Raises:
            ProbeError: alignments that cannot be read, or give no units.
        """
        key = cache.folder.resolve()
        if key not in self._tables:
            options = self._options
            refuse_moved_time(cache)
            if measured := audio_name(options.target):
                return self._measured(cache, measured)
            if not Path(options.labels).exists():
                raise OptionError(
                    "labels",
                    options.labels,
                    "no such file or folder. Expected alignments, as TextGrids",
                )
            found = read_alignments(
                options.labels,
                cache.utterances,
                tier=options.label_tier or None,
                channel=options.channel or None,
                overlaps=options.overlaps,
                control_type=options.control_type,
                tier_option="label_tier",  # a sweep has another tier, of its cache
            )
            names = [name for name in cache.utterances if name not in cache.manifest.measures]
            units = units_of(
                cache,
                found,
                options.unit,
                silence=options.silence,
                columns=[*names, *_measures(cache)],
            )
            self.notes[key] = (*found.notes, *units.notes)
            self._intervals[key] = found.table
            self._tables[key] = _as_trials(units.table, options.unit)
        return self._tables[key]

    def _measured(self, cache: Cache, name: str) -> pd.DataFrame:
        """Frames with what is measured at their centres."""
        frames = of_frames(cache, name)
        own = cache.utterances.set_index("utterance_id")
        of_utterance = own.loc[frames["utterance_id"]].reset_index()
        of_utterance = of_utterance.rename(columns={name: f"utterance_{name}" for name in COLUMNS})
        table = pd.concat([of_utterance, frames.drop(columns="utterance_id")], axis=1)
        key = cache.folder.resolve()
        self._intervals[key] = frames[["utterance_id", "start", "end", "label"]]
        self._tables[key] = _as_trials(table.assign(last_frame=table["first_frame"]), "frame")
        return self._tables[key]

    def intervals(self, cache: Cache, units: pd.DataFrame) -> pd.DataFrame:
        """The labelled stretches of time of the utterances that some units of a cache are of."""
        table = self._intervals[cache.folder.resolve()]
        return table[table["utterance_id"].isin(units[CLIP].unique())].reset_index(drop=True)


def refuse_moved_time(cache: Cache) -> None:
    """Raise ProbeError for a cache of a view that moves sound away from the times of labels."""
    view = (cache.about.get("options") or {}).get("view")
    moving = [
        transform.name for transform in Augmentation.of(view or "", "view") if transform.moves_time
    ]
    if moving:
        raise ProbeError(
            f"{cache.folder}: is heard through {view}, and {moving[0]} moves what was said at a "
            "time to another. Take the clean cache, or a view that keeps time"
        )


def _measures(cache: Cache) -> list[str]:
    return [name for name in cache.manifest.measures if name in cache.utterances]


def _as_trials(units: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The units under ids of their own.

    A frame has its number, a segment its place among those of its utterance.
    """
    number = (
        units["first_frame"]
        if unit == "frame"
        else units.groupby("utterance_id", sort=False).cumcount()
    )
    middle = (units["start"] + units["end"]) / 2
    taken = {name: f"own_{name}" for name in (CLIP, *FROM_CLIP) if name in units}
    return units.rename(columns={**taken, "utterance_id": CLIP}).assign(
        utterance_id=units["utterance_id"] + "@" + number.astype(str),
        unit_seconds=units["end"] - units["start"],
        unit_position=np.clip(middle / (units["n_samples"] / SAMPLING_RATE), 0, 1),
    )
