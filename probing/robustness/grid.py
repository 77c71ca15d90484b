"""Grid: many conditions typed as one text, each of which is a view."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cache.errors import OptionError
from probing.augmentation import TRANSFORMS, Augmentation, Range, name_of_view
from probing.augmentation.noise import Noise

# needs no further package
GRID = "noise:white@0,10,20; codec:mulaw,opus@8,mp3@32; resample:8000; rawboost:5"


@dataclass(frozen=True)
class Condition:
    """One condition of a grid.

    Attributes:
        name: as typed, for tables: `noise:white@10`.
        view: the chain of transforms that it is, see `Augmentation.of`.
        kind: its name without the SNR, which curves are drawn of: `noise:white`; of other
            transforms the transform.
        snr_db: of noise at one SNR; None elsewhere.

    >>> [condition.snr_db for condition in parse_grid("noise:white@5,20")]
    [5.0, 20.0]
    """

    name: str
    view: str
    kind: str
    snr_db: float | None = None

    @property
    def file_name(self) -> str:
        """The name as part of the name of a folder, of a folder of noise its last part."""
        return name_of_view(self.name)


def parse_grid(text: str) -> tuple[Condition, ...]:
    """The conditions of a grid: transforms with `;` between, values with `,` between.

    Each value is a condition of its own.

    `noise:white@0,10; codec:mulaw,opus@8,16` are five: a number alone is another one behind the
    same `@`. A `+` makes one condition of several transforms: `resample:8000+codec:alaw`.

    Raises:
        OptionError: a transform or a value that is not known, or a condition that is there twice.

    >>> [condition.name for condition in parse_grid("noise:white@0,10; codec:mulaw,opus@8,16")]
    ['noise:white@0', 'noise:white@10', 'codec:mulaw', 'codec:opus@8', 'codec:opus@16']
    """
    conditions: list[Condition] = []
    for group in filter(None, (part.strip() for part in text.split(";"))):
        chained = re.split(rf"\+(?=(?:{'|'.join(map(re.escape, TRANSFORMS))})\b)", group)
        views = [",".join(chained)] if len(chained) > 1 else _one_by_one(group)
        for view in views:
            chain = Augmentation.of(view, "grid")
            if not chain:
                raise OptionError("grid", text, f"expected conditions, as {GRID!r}")
            if any(transform.name == "crop" for transform in chain):
                raise OptionError("grid", text, "crop is for training. Leave it out")
            name = group if len(chained) > 1 else view
            if name in {condition.name for condition in conditions}:
                raise OptionError("grid", text, f"{name} is there twice")
            condition = Condition(name, view, *_kind(view, chain))
            if twin := next(
                (known for known in conditions if known.file_name == condition.file_name), None
            ):
                raise OptionError(
                    "grid",
                    text,
                    f"{twin.name} and {name} would be in one folder. Rename a folder of noise",
                )
            conditions.append(condition)
    if not conditions:
        raise OptionError("grid", text, f"expected conditions, as {GRID!r}")
    return tuple(conditions)


def _one_by_one(group: str) -> list[str]:
    """The views of a transform with several values."""
    name, colon, values = group.partition(":")
    if not colon:
        return [group]
    views: list[str] = []
    for value in values.split(","):
        before, at, _ = views[-1].partition(":")[2].rpartition("@") if views else ("", "", "")
        views.append(
            f"{name}:{before}@{value.strip()}"
            if at and _is_number(value)
            else f"{name}:{value.strip()}"
        )
    return views


def _is_number(text: str) -> bool:
    try:
        Range.read(text)
    except ValueError:
        return False
    return True


def _kind(view: str, chain: Augmentation) -> tuple[str, float | None]:
    first = chain.transforms[0]
    if len(chain.transforms) > 1:
        return view, None
    if (
        isinstance(first, Noise)
        and len(first.snr_db) == 1
        and first.snr_db[0].low == first.snr_db[0].high
    ):
        return view.rpartition("@")[0], first.snr_db[0].low
    return view.partition(":")[0], None
