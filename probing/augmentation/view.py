"""View: the audio of a cache through transforms, the same for an utterance whenever and wherever it is extracted."""

from __future__ import annotations

from dataclasses import dataclass

from probing.audio import Waveform
from probing.augmentation.augmentation import Augmentation


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
