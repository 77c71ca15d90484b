"""Attacks: small changes of a clip that turn its score, by its slope at every sample.

FGSM (Goodfellow, Shlens and Szegedy 2015): x~ = x + eps sign(dL/dx). PGD (Madry et al. 2018): from
a random place within eps of x, many such steps, each taken back to within eps of x. L is the loss
of the true class, which rises as the score of bona fide speech falls, or that of a spoof rises: the
slope of the score is enough. eps is in steps of 16-bit samples, 8 or 16 of 2^15 in Wu et al. 2020,
and clips are 16-bit samples before and after, as in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cache.errors import OptionError, argument
from probing.audio import Waveform
from probing.augmentation.augmentation import generator
from probing.augmentation.smoothing import Smoothing
from probing.options import NAMES, WHOLE, check, one_of, option

FULL_SCALE = 2**15
LOWEST, HIGHEST = -FULL_SCALE, FULL_SCALE - 1
METHODS = ("fgsm", "pgd")
WORDS = ("first", "middle", "last")  # of layers
REACH = 2.5  # all steps together go so many eps far, as in Madry et al.
PLACE = 1  # of the generator, among those of an utterance
STEPS = replace(
    WHOLE, expected=f"expected whole numbers, 1 to {HIGHEST}, steps of 16-bit samples, as 8,16"
)

Pcm = NDArray[np.int16]
Slopes = Callable[[Sequence[Waveform]], Sequence[NDArray[np.floating]]]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        method: `fgsm` or `pgd`.
        eps: most that a sample is changed by, in steps of 16-bit samples.
        steps: of PGD.
        step_size: of each, in steps of 16-bit samples; default 2.5 eps / steps.
    """

    method: str
    eps: int
    steps: int = 10
    step_size: float | None = None

    @property
    def name(self) -> str:
        """What tables and files call it.

        >>> Attack("pgd", 8).name
        'pgd-8'
        """
        return f"{self.method}-{self.eps}"


@dataclass(frozen=True)
class AttackOptions:
    """Which attacks, on what of a run, and on how many clips.

    Attributes:
        layers: as `probing.robustness.attacked.chosen_layers` reads them.
        head: see `probing.serving.choose_head`.
        seed: of the clips that are drawn and of the random start of PGD.

    >>> [attack.name for attack in AttackOptions(method=("pgd",)).attacks]
    ['pgd-8', 'pgd-16']
    """

    method: tuple[str, ...] = option(
        (), "fgsm (one step), pgd (many).", metavar="LIST", syntax=NAMES, text="fgsm,pgd"
    )
    eps: tuple[int, ...] = option(
        (),
        "Most that a sample is changed by, in steps of 16-bit samples.",
        metavar="LIST",
        syntax=STEPS,
        text="8,16",
    )
    steps: int = option(10, "Steps of PGD.", minimum=1)
    step_size: float | None = option(
        None,
        "Size of a step of PGD, in steps of 16-bit samples [default: 2.5 EPS / STEPS].",
        above=0,
    )
    adaptive: bool = option(
        False,
        "Attacks know of the noised copies, and follow the "
        "mean slope over as many with other noise.",
    )
    clips: int = option(
        64, "Eval clips to attack, half of each class, drawn by the seed.", minimum=2
    )
    layers: str = option(
        ",".join(WORDS),
        "Layers of every run: numbers, first (above 0), middle, last.",
        metavar="LIST",
    )
    head: str | None = option(
        None, "A head of every run as well, as weighted-sum+linear [default: none].", metavar="NAME"
    )
    seed: int = option(0, "Seed of what is drawn.", minimum=0)

    def __post_init__(self) -> None:
        check(self)
        for method in self.method or ("",):
            if method not in METHODS:
                raise OptionError(
                    "method", ",".join(self.method), f"expected {one_of(METHODS)}, or both"
                )
        for eps in self.eps or (0,):
            if not 1 <= eps <= HIGHEST:
                raise OptionError(
                    "eps",
                    WHOLE.write(self.eps),
                    f"expected whole steps of 16-bit samples, 1 to {HIGHEST}, as 8,16",
                )

        if self.step_size is not None and "pgd" not in self.method:
            raise OptionError(
                "step_size",
                self.step_size,
                "is of pgd, which is not among the methods. Leave it out",
            )

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """Every method with every eps."""
        methods = dict.fromkeys(self.method)
        return tuple(
            Attack(method, eps, self.steps, self.step_size)
            for method in methods
            for eps in self.eps
        )


def check_adaptive(options: AttackOptions, smoothing: Smoothing) -> None:
    """Refuse attacks that are to know of noised copies, of which there are none.

    >>> check_adaptive(AttackOptions(adaptive=True), Smoothing())
    Traceback (most recent call last):
    cache.errors.OptionError: adaptive=True: is of noised copies. Say how many: smooth=N
    """
    if options.adaptive and not smoothing:
        many = argument("smooth", "N")
        raise OptionError("adaptive", True, f"is of noised copies. Say how many: {many}")


def as_pcm(waveform: Waveform) -> Pcm:
    """A waveform as 16-bit samples; what is beyond full scale is cut off.

    >>> as_pcm(np.array([0.5, -1.0, 1.0], np.float32)).tolist()
    [16384, -32768, 32767]
    """
    scaled = np.round(np.asarray(waveform, np.float64) * FULL_SCALE)
    return np.clip(scaled, LOWEST, HIGHEST).astype(np.int16)


def as_waveform(pcm: NDArray[np.generic]) -> Waveform:
    """Samples in steps of 16 bits as a waveform in [-1, 1]."""
    return (np.asarray(pcm, np.float64) / FULL_SCALE).astype(np.float32)


def perturb(
    clips: Mapping[str, Pcm],
    bonafide: Mapping[str, bool],
    attack: Attack,
    slopes: Slopes,
    seed: int = 0,
) -> dict[str, Pcm]:
    """Attack the clips of a batch.

    Args:
        clips: by name, (n,) each.
        bonafide: by name, whether it is.
        attack: what is done.
        slopes: of waveforms (n,) in [-1, 1], gives the slope (n,) of the score of each at every
            sample.
        seed: of the random start of PGD, with the name of the clip.

    Returns:
        By name (n,), no sample farther than eps from the clean one, and none beyond full scale.

    >>> rising = lambda waveforms: [
    ...     np.ones_like(waveform) for waveform in waveforms
    ... ]  # the score is the sum of all samples
    >>> perturb({"a": np.zeros(2, np.int16)}, {"a": False}, Attack("fgsm", 8), rising)["a"].tolist()
    [8, 8]
    """
    names = list(clips)
    eps = float(attack.eps)
    clean = [clips[name].astype(np.float64) for name in names]
    found = clean
    n_steps, size = 1, eps
    if attack.method == "pgd":
        n_steps, size = attack.steps, attack.step_size or REACH * eps / attack.steps
        starts = [
            generator(seed, name, 0, PLACE).uniform(-eps, eps, len(clips[name])) for name in names
        ]
        found = [
            np.clip(x + start, LOWEST, HIGHEST) for x, start in zip(clean, starts, strict=True)
        ]
    for _ in range(n_steps):
        rises = slopes([as_waveform(x) for x in found])
        steps = [-size if bonafide[name] else size for name in names]
        moved = [
            x + step * np.sign(rise) for x, step, rise in zip(found, steps, rises, strict=True)
        ]
        near = [np.clip(x, own - eps, own + eps) for x, own in zip(moved, clean, strict=True)]
        found = [np.clip(x, LOWEST, HIGHEST) for x in near]
    # eps is whole: so is it
    return {name: np.round(x).astype(np.int16) for name, x in zip(names, found, strict=True)}


def over_copies(slopes: Slopes, smoothing: Smoothing) -> Slopes:
    """Slopes of a smoothed score: the mean over noised copies, which takes as many times as long.

    Expectation over transformation (Athalye, Carlini and Wagner 2018). The noise follows from the
    samples, so that every step sees another.

    >>> rising = lambda waveforms: [np.ones_like(waveform) for waveform in waveforms]
    >>> over_copies(rising, Smoothing(smooth=2))([np.ones(3, np.float32)])[0].tolist()
    [1.0, 1.0, 1.0]
    """

    def mean(waveforms: Sequence[Waveform]) -> list[NDArray[np.floating]]:
        found = [
            slopes([smoothing.noised(waveform, number) for waveform in waveforms])
            for number in range(smoothing.smooth)
        ]
        return [np.mean(of_clip, axis=0) for of_clip in zip(*found, strict=True)]

    return mean


def snr_db(clean: Pcm, attacked: Pcm) -> float:
    """Power of a clip over that of what was added to it, in dB; infinite if nothing was.

    >>> round(snr_db(np.full(4, 100, np.int16), np.full(4, 110, np.int16)))
    20
    """
    x = clean.astype(np.float64)
    change = attacked - x
    power = float(change @ change)
    return 10 * float(np.log10(max(float(x @ x), 1e-300) / power)) if power else float("inf")
