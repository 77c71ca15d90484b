"""Smoothing: the score of a clip as the mean over noised copies, so that small changes drown.

Cohen, Rosenfeld and Kolter 2019 (randomized smoothing), with white noise at an SNR, so that loud
and soft clips are changed alike. It is a mean of scores, not a certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import OptionError, argument
from probing.audio import Waveform
from probing.augmentation.augmentation import generator
from probing.augmentation.noise import at_snr, white
from probing.options import check, option

USUAL_DB = 20.0
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Smoothing:
    """How many noised copies of a clip are scored in its place; none by default.

    The noise of a copy depends on the samples of the clip, the number of the copy and the seed
    alone: not on names, on batches or on the order of clips.

    >>> Smoothing(noise_snr=10)
    Traceback (most recent call last):
    cache.errors.OptionError: noise_snr=10: is of noised copies. Say how many, smooth=N, or leave it out
    """  # noqa: E501

    smooth: int = option(
        0,
        "Score the mean over so many noised copies of each clip, in as many times the time.",
        metavar="N",
        minimum=0,
    )
    noise_snr: float | None = option(
        None,
        "SNR of the white noise in the copies [default: 20].",
        metavar="DB",
        minimum=-40,
        maximum=100,
    )
    seed: int = option(0, "Seed of the noise.", minimum=0, on_command_line=False)

    def __post_init__(self) -> None:
        check(self)
        if self.noise_snr is not None and not self.smooth:
            many = argument("smooth", "N")
            expected = f"is of noised copies. Say how many, {many}, or leave it out"
            raise OptionError("noise_snr", self.noise_snr, expected)

    def __bool__(self) -> bool:
        return self.smooth > 0

    @property
    def snr_db(self) -> float:
        """SNR of a copy."""
        return USUAL_DB if self.noise_snr is None else self.noise_snr

    @property
    def sentence(self) -> str:
        """What was done, in words; empty if nothing was."""
        if not self:
            return ""
        copies = f"{self.smooth} copies" if self.smooth > 1 else "one copy"
        return (
            f"each score is the mean over {copies} of the clip "
            f"with white noise at {self.snr_db:g} dB"
        )

    def as_dict(self) -> dict[str, Any]:
        """For records."""
        return {"copies": self.smooth, "noise": "white", "snr_db": self.snr_db, "seed": self.seed}

    def noised(self, waveform: Waveform, number: int) -> Waveform:
        """A copy (n,) of a clip with noise, by its number from 0."""
        samples = sha256(np.ascontiguousarray(waveform, "<f4").tobytes()).hexdigest()
        noise = white(len(waveform), generator(self.seed, samples, number, 0))
        return at_snr(waveform, noise, self.snr_db)

    def mean(
        self,
        batch: Mapping[str, Waveform],
        score: Callable[[dict[str, Waveform]], Mapping[str, Scores]],
    ) -> dict[str, Scores]:
        """Scores of the clips of a batch by name, each the mean over its copies.

        Without smoothing they are those of the clips themselves.

        Args:
            batch: clips by name.
            score: of such a batch; clips that it leaves out, in any copy, are left out.
        """
        if not self:
            return dict(score(dict(batch)))
        left = dict(batch)
        sums = {name: np.zeros(1) for name in batch}
        for number in range(self.smooth):
            found = score({name: self.noised(waveform, number) for name, waveform in left.items()})
            left = {name: waveform for name, waveform in left.items() if name in found}
            sums = {name: sums[name] + np.asarray(found[name], np.float64) for name in left}
        return {name: total / self.smooth for name, total in sums.items()}
