"""Options of the commands that measure the layers of a cache: which features, and which classes."""

from __future__ import annotations

from dataclasses import dataclass

from cache.manifest import DTYPES
from probing.options import WHOLE, check, option


@dataclass(frozen=True)
class Features:
    """Which features of a cache are read.

    >>> Features(tier="words")
    Traceback (most recent call last):
    cache.errors.OptionError: tier=words: expected pooled or frames
    """

    layers: tuple[int, ...] | None = option(
        None, "Layers, as 0:12 or 0,4,8 [default: all].", metavar="LIST", syntax=WHOLE
    )
    where: str | None = option(
        None, "Only these utterances, as \"split == 'dev'\" [default: all].", metavar="QUERY"
    )
    tier: str = option(
        "pooled",
        "pooled (one row an utterance) or frames (8 of each utterance).",
        choices=tuple(DTYPES),
    )
    memory_gb: float = option(2.0, "Most memory for features.", minimum=0.1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Classes:
    """Which classes the utterances have.

    >>> Classes(target="speaker").split
    'train'
    """

    split: str = option("train", "Split whose labels are used.")
    target: str = option(
        "label", "Column with the classes, of the corpus or of --labels.", metavar="COLUMN"
    )
    labels: str = option(
        "",
        "Table with the target: csv, tsv or parquet with utterance_id and the column.",
        metavar="FILE",
        is_path=True,
    )
