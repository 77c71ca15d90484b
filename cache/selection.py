"""Selection of utterances by an expression, by columns, by a function, or by a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cache.errors import ProbeError, argument

Where = str | Mapping[str, Any] | Callable[[pd.DataFrame], Any] | Sequence[bool] | None


def selected(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    """The rows of a table that a condition names; see `Cache.select`.

    >>> table = pd.DataFrame({"split": ["dev", "eval", "dev"]})
    >>> selected(table, {"split": "dev"}).index.tolist()
    [0, 2]
    """
    if where is None:
        return table
    try:
        if isinstance(where, str):
            where = table.eval(where)
        elif isinstance(where, Mapping):
            mask = np.ones(len(table), bool)
            for column, wanted in where.items():
                values = (
                    [wanted]
                    if isinstance(wanted, str) or not isinstance(wanted, Iterable)
                    else list(wanted)
                )
                mask &= table[column].isin(values).to_numpy()
            return table[mask]
    except Exception as error:  # an expression of pandas can fail in any way
        found = argument("where", where) if isinstance(where, str) else f"where={where!r}"
        of_text = isinstance(error, TypeError)
        hint = ". Those of a corpus are text: age.astype('float') > 30" if of_text else ""
        columns = ", ".join(table.columns)
        raise ProbeError(f"{found}: {error}. Columns: {columns}{hint}") from None
    mask = np.asarray(where(table) if callable(where) else where)
    if mask.dtype != bool or mask.shape != (len(table),):
        raise ProbeError(
            f"where gives {mask.dtype} {mask.shape}, expected bool ({len(table)},), "
            "as \"split == 'dev'\" does"
        )
    return table[mask]
