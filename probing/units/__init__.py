"""Units inside utterances: labelled frames and segments, and their features.

from probing.units import unit_features, units_of
found = units_of(cache, read_alignments("ali.ctm", cache.utterances), unit="segment")
x = unit_features(cache, 6, found.table)                 # (N, D), a row a unit
"""

from probing.units.features import unit_blocks, unit_features
from probing.units.scored import scored_frames
from probing.units.units import SILENCE, SILENCES, UNITS, UnitError, Units, units_of

__all__ = [
    "SILENCE",
    "SILENCES",
    "UNITS",
    "UnitError",
    "Units",
    "scored_frames",
    "unit_blocks",
    "unit_features",
    "units_of",
]
