"""Additive noise at a signal-to-noise ratio: white, pink, or files of a folder such as MUSAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from probing.audio import Waveform
from probing.augmentation.folders import AudioFolder, audio_folder
from probing.augmentation.transform import Range, Samples, Transform, TransformError, drawn_of

USUAL_DB = Range(0, 15)
# of the folders of MUSAN
MUSAN_DB = {"noise": Range(0, 15), "music": Range(5, 15), "speech": Range(10, 30)}
SILENT_POWER = 1e-12
MOST_TRIES = 20  # pieces of files that are looked at until one is not silent


def white(n: int, rng: np.random.Generator) -> Samples:
    """N(0, 1), (n,).

    >>> white(3, np.random.default_rng(0)).shape
    (3,)
    """
    return rng.normal(0, 1, n)


def pink(n: int, rng: np.random.Generator) -> Samples:
    """Noise (n,) whose power falls as 1/f: white noise, each frequency divided by sqrt(f)."""
    size = 1 << max(n - 1, 1).bit_length()  # a transform of a prime length takes ten times as long
    spectrum = np.fft.rfft(rng.normal(0, 1, size))
    shape = np.sqrt(np.arange(len(spectrum)))
    spectrum[0] = 0
    spectrum[1:] /= shape[1:]
    return np.fft.irfft(spectrum, size)[:n]


SYNTHETIC = {"white": white, "pink": pink}


def at_snr(waveform: Waveform, noise: Samples, snr_db: float) -> Waveform:
    """The waveform with noise: x + w sqrt(sum x^2 / sum w^2) 10^(-SNR/20).

    The sums are over the whole clip.
    """
    x = waveform.astype(np.float64)
    power = float(noise @ noise)
    scale = np.sqrt(float(x @ x) / power) * 10 ** (-snr_db / 20) if power > 0 else 0.0
    return (x + scale * noise).astype(np.float32)


@dataclass(frozen=True)
class Noise(Transform):
    """Additive noise: y = x + w |x| / (|w| 10^(SNR/20)).

    `white` is N(0, 1), `pink` has a power of 1/f. A folder gives a random piece of a random file;
    if it has the folders noise, music and speech, as MUSAN (Snyder et al. 2015) has, one of these
    is drawn first. An SNR is one of those given, each a number or a range in dB; without any it is
    U(0, 15), in MUSAN U(5, 15) for music and U(10, 30) for speech. The same utterance and seed have
    the same noise at every SNR.
    """

    name: ClassVar[str] = "noise"
    help: ClassVar[str] = "additive noise at an SNR in dB"
    syntax: ClassVar[str] = "noise:white|pink|FOLDER[@SNR,SNR]"
    expected: ClassVar[str] = (
        "white, pink or a folder, with decibels of -40 to 100, "
        "as noise:white@10 or noise:./musan@0-15"
    )
    many: ClassVar[bool] = True
    choices: ClassVar[tuple[str, ...]] = tuple(SYNTHETIC)

    source: str
    snr_db: tuple[Range, ...] = ()

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        source, at, ratios = value.rpartition("@") if "@" in value else (value, "", "")
        if not source:
            raise ValueError("it does not say which noise")
        if source not in SYNTHETIC:
            audio_folder(source)
        ranges = (
            tuple(Range.read(part).within(-40, 100, "the SNR") for part in ratios.split(","))
            if at
            else ()
        )
        return cls(source, ranges)

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        usual = USUAL_DB
        if self.source in SYNTHETIC:
            noise = SYNTHETIC[self.source](len(waveform), rng)
        else:
            noise, usual = _piece(audio_folder(self.source), len(waveform), rng)
        return at_snr(waveform, noise, drawn_of(self.snr_db or (usual,), rng))

    def identity(self) -> dict[str, Any]:
        """See `Transform`; of a folder its files count, and not its place."""
        if self.source in SYNTHETIC:
            return super().identity()
        return {**super().identity(), "source": f"files {audio_folder(self.source).digest}"}


def _piece(folder: AudioFolder, n: int, rng: np.random.Generator) -> tuple[Samples, Range]:
    """Noise of a folder that is not silent, and the usual SNR of its kind."""
    kinds = [kind for kind in MUSAN_DB if folder.within(kind)]
    kind = kinds[int(rng.integers(len(kinds)))] if kinds else ""
    files = folder.within(kind) if kind else folder.files
    for _ in range(MOST_TRIES):
        file = files[int(rng.integers(len(files)))]
        piece = folder.load_piece(file, n, rng.random()).astype(np.float64)
        if piece @ piece > SILENT_POWER * n:
            return piece, MUSAN_DB.get(kind, USUAL_DB)
    raise TransformError(
        f"{folder.root}: {MOST_TRIES} pieces of its files are silent. Remove the silent files"
    )
