"""Which names in a column of speakers are persons: a missing or unknown speaker is nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_SPEAKER = frozenset(
    (
        "",
        "-",
        "--",
        "?",
        ".",
        "na",
        "n/a",
        "<na>",
        "nan",
        "nat",
        "none",
        "null",
        "nil",
        "unknown",
        "unk",
        "<unk>",
    )
)


def known_speakers(column: Iterable[object]) -> NDArray[np.bool_]:
    """Which values of a column of speakers name a person.

    Intervals by speaker, splits and checks for leaks treat the others alike: two utterances of
    unknown speakers are not of one person. Case, and white space at either end, do not matter.

    Args:
        column: one value an utterance: text or missing (None, NaN, pandas.NA).

    Returns:
        Booleans, one an utterance, in the order of the column.

    >>> known_speakers(["LA_0079", "-", None, "NA", " unknown ", "007"]).tolist()
    [True, False, False, False, False, True]
    """
    import numpy as np
    import pandas as pd

    values = pd.Series(list(column), dtype=object)
    codes, distinct = pd.factorize(values)  # a missing value has the code -1
    named = [str(value).strip().casefold() not in NO_SPEAKER for value in distinct]
    return np.array([*named, False], dtype=np.bool_)[codes]
