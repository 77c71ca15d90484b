"""View: the audio of a cache through transforms, the same for an utterance each time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from probing.audio import Waveform
from probing.augmentation.augmentation import Augmentation

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.@+-]+")


@dataclass(frozen=True)
class View:
    """Transforms with the seed of their chance.

    >>> View(Augmentation.of("gain:-6")).fingerprint()["view_seed"]
    0
    """

    augmentation: Augmentation
    seed: int = 0

    def apply(self, waveform: Waveform, utterance: str) -> Waveform:
        """The waveform (n,) of an utterance as this view has it; see `Augmentation.apply`."""
        return self.augmentation.apply(waveform, seed=self.seed, utterance=utterance)

    def fingerprint(self) -> dict[str, str | int]:
        """What changes a number here.

        Raises:
            TransformError: a package that a transform needs is missing.
        """
        return {"view": self.augmentation.identity(), "view_seed": self.seed}


def name_of_view(text: str) -> str:
    """A chain, or a condition of a grid, as part of the name of a folder or of a corpus.

    >>> name_of_view("noise:/data/musan@10"), name_of_view("resample:8000,codec:alaw")
    ('noise-musan@10', 'resample-8000-codec-alaw')
    """
    return NOT_IN_NAMES.sub("-", ":".join(PurePath(part).name or part for part in text.split(":")))


def heard_as(about: Mapping[str, Any]) -> str:
    """Name of the view of a cache, by its `about`; empty if its audio is as it is.

    >>> heard_as({"options": {"view": "gain:-6"}}), heard_as({})
    ('gain--6', '')
    """
    view = (about.get("options") or {}).get("view")
    return name_of_view(view) if view else ""
