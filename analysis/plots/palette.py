"""Colours and marks of heads and backbones, the same in every figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zlib import crc32

import seaborn

from analysis.plots.axes import MARKERS
from probing.heads.kinds import BACKENDS, MERGES, split_head

COLOURBLIND = seaborn.color_palette("colorblind")
# without its grey, which is of controls, and without what is pale on white; what follows is dark
NAMED = [*(COLOURBLIND[i] for i in (0, 1, 2, 3, 4, 5, 9)), "#7a1f3d", "#5b5200"]
BLACK = "#222222"
# In the order in which merges are declared; the pale yellow is of weighted-sum-kv.
OF_MERGES = [*(NAMED[i] for i in (0, 1, 2, 3, 4, 5, 7, 6)), COLOURBLIND[8], BLACK, NAMED[8]]


def colours_of(names: Iterable[str]) -> dict[str, Any]:
    """The colour of each name of those that are drawn together, whatever their order.

    A name has a colour of its own. Of two with the same, the later in the alphabet has the next one
    that is free.

    >>> colours_of(["b", "a"])["a"] == colours_of(["a"])["a"] == colours_of(["a", "b", "c"])["a"]
    True
    """
    wanted = sorted(set(names))
    taken: set[int] = set()
    found = {}
    for name in wanted:
        first = crc32(name.encode()) % len(NAMED)
        places = [(first + step) % len(NAMED) for step in range(len(NAMED))]
        place = next((free for free in places if free not in taken), first)
        taken.add(place)
        found[name] = NAMED[place]
    return found


def marker_of(colour: Any) -> str:
    """The mark that goes with one of `colours_of`.

    >>> from analysis.plots.axes import colours
    >>> marker_of(colours(3)[1])
    's'
    """
    return MARKERS[NAMED.index(colour) % len(MARKERS)]


def head_colour(head: str) -> Any:
    """The colour of a head, which is that of its merge.

    >>> head_colour("mean+linear") == head_colour("mean+mlp")
    True
    """
    return OF_MERGES[_place(split_head(head)[0], MERGES) % len(OF_MERGES)]


def head_marker(head: str) -> str:
    """The mark of a head; heads of one merge have others by their back-ends.

    >>> head_marker("mean+linear") == head_marker("mean+mlp")
    False
    """
    merge, backend = split_head(head)
    return MARKERS[(_place(merge, MERGES) + 2 * _place(backend, BACKENDS)) % len(MARKERS)]


def _place(name: str, kinds: Iterable[str]) -> int:
    """Where a kind is declared; of one that is not known here, a number of its name."""
    names = list(kinds)
    return names.index(name) if name in names else crc32(name.encode())
