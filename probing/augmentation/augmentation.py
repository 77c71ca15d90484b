"""Augmentation: a chain of transforms; chance depends on seed, utterance and epoch alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

import numpy as np

from cache.errors import OptionError
from probing.audio import Waveform
from probing.augmentation.kinds import TRANSFORMS
from probing.augmentation.rates import cropped
from probing.augmentation.transform import Transform

_CROP = 1 << 32  # place of the crop among the transforms of a chain, behind any other


def generator(seed: int, utterance: str, epoch: int, place: int) -> np.random.Generator:
    """The generator of one transform, by seed, utterance, epoch and its place in the chain.

    >>> one, again = (generator(0, "utterance-7", 3, 0) for _ in range(2))
    >>> one.random() == again.random()
    True
    """
    name = int.from_bytes(
        sha256(utterance.encode("utf-8", "surrogateescape")).digest()[:16], "little"
    )
    return np.random.default_rng(np.random.SeedSequence([seed, name, epoch, place]))


def crop(
    waveform: Waveform,
    n_samples: int,
    *,
    seed: int,
    utterance: str,
    epoch: int = 0,
    random: bool = True,
) -> Waveform:
    """A piece of exactly n samples, as the systems of the field train on (64,600) and score.

    Args:
        waveform: (n,); if it is shorter it is tiled, from its start.
        n_samples: how many are wanted.
        seed: what the place of a random piece depends on, with the two below.
        utterance: its id.
        epoch: 0 or more.
        random: a piece from a random place, as in training; else the beginning, as in dev and eval.

    >>> crop(np.arange(3, dtype=np.float32), 5, seed=0, utterance="a").tolist()
    [0.0, 1.0, 2.0, 0.0, 1.0]
    """
    return cropped(
        waveform, n_samples, generator(seed, utterance, epoch, _CROP) if random else None
    )


@dataclass(frozen=True)
class Augmentation:
    """Transforms, applied one after the other.

    Attributes:
        text: the chain as typed.
        transforms: in the order of the text.

    >>> Augmentation.of("rawboost:5,codec:mulaw,opus@8,gain:-6").describe()
    ['rawboost:5', 'codec:mulaw,opus@8', 'gain:-6']
    >>> Augmentation.of("rawboost:9")
    Traceback (most recent call last):
    cache.errors.OptionError: augment=rawboost:9: there is no algorithm '9'. Expected one of 0 to 8, as rawboost:5
    """  # noqa: E501

    text: str
    transforms: tuple[Transform, ...]

    @classmethod
    def of(cls, text: str, field: str = "augment") -> Augmentation:
        """Read a chain: transforms with commas between, each NAME or NAME:VALUE.

        A part that names no transform belongs to the value before it, if that may be a list:
        `codec:mulaw,opus@8`.

        Args:
            text: the chain; `none` or nothing for an empty one.
            field: what messages call it.

        Raises:
            OptionError: a name or a value that is not known, with the nearest one.
        """
        parts = _parts(text)
        return cls(",".join(parts), tuple(_read(part, text, field) for part in parts))

    def apply(self, waveform: Waveform, *, seed: int, utterance: str, epoch: int = 0) -> Waveform:
        """A waveform through the chain; workers and the order of calls do not matter.

        Args:
            waveform: (n,) float32 at 16 kHz; it is not written to.
            seed: a whole number, 0 or more.
            utterance: its id.
            epoch: 0 for a view of a cache, one after the other in training.

        Returns:
            (m,) float32; m is n but for `speed` and `crop`.

        Raises:
            TransformError: a package is missing, or a file of a folder cannot be used.
        """
        for place, transform in enumerate(self.transforms):
            waveform = transform.apply(waveform, generator(seed, utterance, epoch, place))
        return np.ascontiguousarray(waveform, dtype=np.float32)

    def check(self) -> None:
        """Raise TransformError if something that a transform needs is missing, before any work."""
        for transform in self.transforms:
            transform.check()

    def describe(self) -> list[str]:
        """Each transform as typed, for records."""
        return _parts(self.text)

    def identity(self) -> str:
        """What decides the numbers, for fingerprints: names, values, versions, files.

        Versions are those of libraries, files those of folders, by their content.
        """
        made = [{**transform.identity(), "numpy": np.__version__} for transform in self.transforms]
        return json.dumps(made, sort_keys=True, ensure_ascii=False)

    def __bool__(self) -> bool:
        return bool(self.transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)


def _parts(text: str) -> list[str]:
    """The transforms of a chain, each as NAME or NAME:VALUE."""
    parts: list[str] = []
    for part in text.split(",") if text.strip() not in ("", "none") else []:
        name = part.strip().partition(":")[0]
        before = TRANSFORMS.get(parts[-1].partition(":")[0]) if parts else None
        if (
            name not in TRANSFORMS
            and ":" not in part
            and before is not None
            and before.many
            and ":" in parts[-1]
        ):
            parts[-1] += f",{part.strip()}"
        else:
            parts.append(part.strip())
    return parts


def _read(part: str, text: str, field: str) -> Transform:
    name, _, value = part.partition(":")
    if name not in TRANSFORMS:
        found = (
            "there is no transform "
            f"{name!r}.{_near([name], TRANSFORMS)} Expected {', '.join(TRANSFORMS)}"
        )
        raise OptionError(field, text, found)
    kind: type[Transform] = TRANSFORMS[name]
    try:
        return kind.read(value)
    except ValueError as error:
        words = [word.partition("@")[0] for word in value.split(",")]
        near = _near(words, [*kind.choices, *TRANSFORMS])
        where = "" if part == text else f"{part}: "
        raise OptionError(field, text, f"{where}{error}.{near} Expected {kind.expected}") from None


def _near(words: list[str], known: Any) -> str:
    """A sentence that suggests the known word nearest to a given one; empty if none is near."""
    for word in words:
        if word not in known and (near := get_close_matches(word, list(known), n=1, cutoff=0.6)):
            return f" Did you mean {near[0]}?"
    return ""
