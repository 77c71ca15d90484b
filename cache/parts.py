"""Parts of a cache: the shards of each job of an array, in a folder of their own until merged.

The whole corpus is planned in every job, so the shards of all parts together are those of a cache
made in one go. Part i of n has the shards i - 1, i - 1 + n, i - 1 + 2 n, ...
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Part:
    """Part `number` of `of`, counted from 1.

    >>> Part.parse("3/8").folder(Path("wavlm.cache")).name
    'wavlm.cache.part-3-of-8'
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise OptionError("part", self, f"expected 1/{self.of} to {self.of}/{self.of}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that a text as 3/8 names."""
        if not re.fullmatch(r"\d{1,9}/[1-9]\d{0,8}", text):
            raise OptionError("part", text, "expected NUMBER/PARTS, as 3/8 for the third of eight")
        number, of = map(int, text.split("/"))
        return cls(number, of)

    def folder(self, whole: Path) -> Path:
        """Where this part of the cache `whole` is: beside it."""
        return whole.with_name(f"{whole.name}.part-{self.number}-of-{self.of}")

    def share(self, corpus: pd.DataFrame, shard_size: int) -> Share:
        """What this part has of a corpus in shards of `shard_size` utterances."""
        from cache.table import plan

        whole = plan(None, corpus, (), shard_size)
        mine = whole[whole["shard"] % self.of == self.number - 1]
        mark = {
            "number": self.number,
            "of": self.of,
            "plan": plan_id(whole, ()),
            "utterances": len(whole),
        }
        shard_of = dict(zip(mine["utterance_id"], mine["shard"], strict=True))
        return Share(
            corpus[corpus["utterance_id"].isin(shard_of)].reset_index(drop=True), shard_of, mark
        )


@dataclass(frozen=True)
class Share:
    """Utterances of a part, the shard of each, and the mark that the part has in its `about`."""

    corpus: pd.DataFrame
    shard_of: dict[str, int]
    mark: dict[str, Any]


def plan_id(table: pd.DataFrame, measures: Sequence[str]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a plan: utterances and their shards."""
    described = table.drop(columns=["row", "n_samples", "n_frames", *measures])
    return hashlib.sha256(described.to_csv(index=False).encode()).hexdigest()[:16]
