"""A corpus known by name: how it is read, what was published about it, and where to get it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from probing.corpora.corpus import Corpus
from probing.labels import BONAFIDE, SPOOF

Counts = dict[tuple[str, str, str], int]  # (split, label, attack) -> utterances; "" is any


@dataclass(frozen=True)
class Known:
    """A corpus that `NAME:ROOT` reads.

    Attributes:
        name: as in `NAME:ROOT`.
        help: what it is, in one line.
        read: from ROOT to the corpus.
        download: what to get where, and what to do with it.
        published: utterances by split, label and attack, as its authors count them; empty where
            that is not known.

    >>> from probing.corpora import KNOWN
    >>> KNOWN["asvspoof2019-la"].published["dev", "bonafide", ""]
    2548
    """

    name: str
    help: str
    read: Callable[[Path], Corpus]
    download: str = ""
    published: Counts = field(default_factory=dict)


def attacks(split: str, first: int, last: int, n: int) -> Counts:
    """Counts of attacks A01, A02, ..., each of n utterances."""
    return {(split, SPOOF, f"A{i:02d}"): n for i in range(first, last + 1)}


def classes(**splits: tuple[int, int]) -> Counts:
    """Counts of bona fide and spoofed utterances by split."""
    return {
        (split, label, ""): n
        for split, both in splits.items()
        for label, n in zip((BONAFIDE, SPOOF), both, strict=True)
    }
