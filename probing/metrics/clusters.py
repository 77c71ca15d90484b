"""Clusters: what a bootstrap draws whole, such as speakers, and how many are enough.

Trials of one speaker resemble each other, and so do spoofs of one attack. A figure speaks of other
speakers like these only if speakers are drawn whole, and of other attacks like these only if
attacks are. Bona fide trials have no attack: there is then nothing to draw them by but the speaker,
or the utterance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cache.errors import OptionError, argument
from probing.drawn import ATTACK, AUTO, SPEAKER, UTTERANCE
from probing.speakers import known_speakers

if TYPE_CHECKING:
    import pandas as pd

BONAFIDE = "bona fide"
SPOOF = "spoof"
# of a class; below, intervals are wide and cover less evenly (tests/benchmarks/coverage.py)
FEW_CLUSTERS = 8
FEW_TRIALS = 5  # of a class; below, a condition has no figures


@dataclass(frozen=True)
class Factor:
    """A column whose values are drawn whole.

    name: of the column.
    values: (N,).
    of: the classes that have it.
    """

    name: str
    values: NDArray[np.object_]
    of: tuple[str, ...] = (BONAFIDE, SPOOF)


@dataclass(frozen=True)
class Clusters:
    """What a bootstrap of N trials draws.

    factors: columns whose values are drawn whole, each by itself; a class that no factor is of is
        drawn by trial, and so is everything if there is none.
    ids: (N,) numbers of the trials: single ones are drawn in their order, which no order of rows
        changes.
    attacks: (N,) the attack of each trial if known, for people.
    """

    factors: tuple[Factor, ...] = ()
    ids: NDArray[np.uint64] | None = field(default=None, repr=False)
    attacks: NDArray[np.object_] | None = field(default=None, repr=False)

    def take(self, rows: NDArray[np.intp]) -> Clusters:
        """The clusters of some of the trials."""
        return Clusters(
            tuple(replace(factor, values=factor.values[rows]) for factor in self.factors),
            None if self.ids is None else self.ids[rows],
            None if self.attacks is None else self.attacks[rows],
        )


@dataclass(frozen=True)
class Levels:
    """What is drawn in one class.

    names: of the factors; `utterance` alone if trials are.
    sizes: how many values each factor has.
    cell: (n,) of each trial of the class, the combination of values it has.
    of_cells: factor -> (cells,) their value.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    cell: NDArray[np.intp]
    of_cells: tuple[NDArray[np.intp], ...]

    @property
    def n_cells(self) -> int:
        """Number of combinations of values that trials have."""
        return len(self.of_cells[0])


def by_trial(clusters: Clusters, rows: NDArray[np.intp]) -> Levels:
    """Every trial by itself, in the order of `ids`."""
    order = (
        np.arange(len(rows))
        if clusters.ids is None
        else np.unique(clusters.ids[rows], return_inverse=True)[1]
    )
    n = int(order.max()) + 1
    return Levels((UTTERANCE,), (n,), order, (np.arange(n),))


def levels_of(
    clusters: Clusters, kind: str, rows: NDArray[np.intp]
) -> tuple[Levels | None, list[str]]:
    """What is drawn in a class, and the factors that it has one value of, which cannot be drawn.

    A factor is left out if each of its values goes with one value of another factor: those are
    drawn with the other.

    Args:
        clusters: of all trials.
        kind: `bona fide` or `spoof`.
        rows: of the trials of this class.

    Returns:
        None if no factor is left of those that the class has.
    """
    names = []
    codes = []
    alone = []
    for factor in clusters.factors:
        if kind not in factor.of:
            continue
        code = _codes(factor.values[rows])
        if code.max() == 0:
            alone.append(factor.name)
        else:
            names.append(factor.name)
            codes.append(code)
    if not names:
        return (None if alone else by_trial(clusters, rows)), alone
    for i in reversed(range(len(names))):
        if any(_goes_with(codes[i], other) for j, other in enumerate(codes) if j != i):
            del names[i], codes[i]
    sizes = tuple(int(code.max()) + 1 for code in codes)
    cells, cell = np.unique(np.ravel_multi_index(tuple(codes), sizes), return_inverse=True)
    return Levels(tuple(names), sizes, cell, tuple(np.unravel_index(cells, sizes))), alone


def _codes(values: NDArray[np.object_]) -> NDArray[np.intp]:
    """Numbers of values in their order, from 0, whatever order the rows have."""
    import pandas as pd

    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    names = distinct if distinct.dtype.kind in "biuf" else distinct.astype(str)
    rank = np.empty(len(names), np.intp)
    rank[np.argsort(names, kind="stable")] = np.arange(len(names))
    return rank[codes]


def _goes_with(inner: NDArray[np.intp], outer: NDArray[np.intp]) -> bool:
    """Whether each value of `inner` has one value of `outer`."""
    pairs = np.unique(inner * (int(outer.max()) + 1) + outer)
    return len(pairs) == int(inner.max()) + 1


def columns_of(table: pd.DataFrame, unit: str = AUTO, where: str = "utterance") -> tuple[str, ...]:
    """The columns whose values are drawn whole; none draws single trials.

    Args:
        table: trials, a row each.
        unit: `auto`, speakers if all are known and else utterances; `utterance`; or columns with
            commas between.
        where: what the trials are, for messages.

    Raises:
        ProbeError: no such column, or an unknown speaker.
    """
    known = SPEAKER in table and bool(known_speakers(table[SPEAKER]).all())
    if unit == AUTO:
        return (SPEAKER,) if known else ()
    if unit == UTTERANCE:
        return ()
    names = tuple(dict.fromkeys(name for name in unit.split(",") if name))
    for name in names:
        if name not in table or name in ("utterance_id", "score", "label"):
            found = ", ".join(
                name for name in table.columns if name not in ("utterance_id", "score", "label")
            )
            raise OptionError(
                "interval_by",
                unit,
                f"no such column, {name}. Expected utterance or some of {found}",
            )
    if SPEAKER in names and not known:
        n = int((~known_speakers(table[SPEAKER])).sum())
        raise OptionError(
            "interval_by",
            unit,
            f"not every {where} has a speaker ({n} of {len(table)} have none). "
            f"Use {argument('interval_by', 'utterance')}",
        )
    return names


def clusters_of(
    table: pd.DataFrame, unit: str = AUTO, where: str = "utterance", by_class: bool = True
) -> Clusters:
    """What a bootstrap of these trials draws; see `columns_of` for arguments and errors.

    A column but that of speakers is of spoofs only (or of bona fide trials only) if the other class
    has one value of it, which this one does not have. A class that no column is of is drawn by
    speaker if those are known.

    Args:
        table: trials, a row each, with their `label`.
        unit: as there.
        where: as there.
        by_class: whether the classes are bona fide and spoof; else every column is of all trials,
            and those that no column is of are drawn one by one.
    """
    import pandas as pd

    names = columns_of(table, unit, where)
    ids = None
    if "utterance_id" in table:
        # nearly all are different
        ids = pd.util.hash_array(table["utterance_id"].to_numpy(object), categorize=False)
    if not by_class:
        return Clusters(tuple(Factor(name, table[name].to_numpy()) for name in names), ids)
    is_bonafide = table["label"].eq("bonafide").to_numpy()
    factors = [
        Factor(name, table[name].to_numpy(), _classes(table[name], is_bonafide, name))
        for name in names
    ]
    lacking = tuple(
        kind
        for kind in (BONAFIDE, SPOOF)
        if names and not any(kind in factor.of for factor in factors)
    )
    if lacking and SPEAKER in table and known_speakers(table[SPEAKER]).all():
        factors.append(Factor(SPEAKER, table[SPEAKER].to_numpy(), lacking))
    return Clusters(tuple(factors), ids, table[ATTACK].to_numpy() if ATTACK in table else None)


def _classes(column: pd.Series[str], is_bonafide: NDArray[np.bool_], name: str) -> tuple[str, ...]:
    if name == SPEAKER:
        return BONAFIDE, SPOOF
    of_bonafide = set(column[is_bonafide])
    of_spoofs = set(column[~is_bonafide])
    if len(of_bonafide) == 1 and not of_bonafide & of_spoofs:
        return (SPOOF,)
    if len(of_spoofs) == 1 and not of_bonafide & of_spoofs:
        return (BONAFIDE,)
    return BONAFIDE, SPOOF


def in_words(levels: dict[str, Levels], attacks: Iterable[object] = ()) -> str:
    """What was drawn with its numbers, and of which attacks the interval speaks.

    Args:
        levels: `bona fide` and `spoof`, or what the classes are called, -> what was drawn.
        attacks: those of the spoofs if they are known.

    >>> of = {
    ...     kind: Levels(("speaker",), (n,), np.zeros(1, int), (np.arange(n),))
    ...     for kind, n in (("bona fide", 48), ("spoof", 62))
    ... }
    >>> in_words(of, ["A07", "A08"])
    'by speaker (48 bona fide, 62 spoof; of these 2 attacks only)'
    >>> in_words({}, ["A07", "A08"])
    'by utterance (of these 2 attacks and their speakers only)'
    """
    units = list(
        dict.fromkeys(
            name for level in levels.values() for name in level.names if name != UTTERANCE
        )
    )
    if not units:
        numbers = []
        units = [UTTERANCE]
    elif len(units) == 1 and all(level.names == (units[0],) for level in levels.values()):
        numbers = [", ".join(f"{level.sizes[0]} {kind}".strip() for kind, level in levels.items())]
    else:
        numbers = [
            (f"{kind}: " if kind else "")
            + " x ".join(f"{n} {name}s" for name, n in zip(level.names, level.sizes, strict=True))
            for kind, level in levels.items()
        ]
    n_attacks = len(set(attacks))
    if ATTACK in units:
        numbers.append("of attacks like these")
    elif n_attacks > 1:
        numbers.append(
            f"of these {n_attacks} attacks "
            f"{'and their speakers ' if units == [UTTERANCE] else ''}only"
        )
    return f"by {' and '.join(units)}" + (f" ({'; '.join(numbers)})" if numbers else "")
