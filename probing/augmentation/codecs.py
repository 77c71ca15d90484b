"""Speech codecs: a waveform coded and decoded again, by libsndfile or by FFmpeg."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import soundfile

from probing.audio import SAMPLING_RATE, Waveform
from probing.augmentation.rates import resampled
from probing.augmentation.transform import Transform, TransformError, at_peak_one, fitted

TELEPHONE_RATE = 8000
# Samples that LAME and its decoder add; libsndfile takes them off only if a frame has room to
# say so.
MP3_DELAY = 1105
G722_DELAY = 22  # samples of its two filter banks


@dataclass(frozen=True)
class Coder:
    """A codec.

    Attributes:
        help: what it is.
        container, subtype: of libsndfile; empty for FFmpeg.
        rate: at which it codes, in Hz.
        kbit: the bit rates that may be asked for, in kbit/s, and the one taken otherwise; none if
            it has one rate.
        level: kbit/s -> libsndfile's compression level.
        delay: samples, at its rate, that a decoded waveform comes late.
    """

    help: str
    container: str = ""
    subtype: str = ""
    rate: int = SAMPLING_RATE
    kbit: tuple[int, int, int] | None = None
    level: Callable[[int], float] | None = None
    delay: int = 0


CODERS = {
    "mulaw": Coder("G.711 mu-law, telephone of 8 kHz", "WAV", "ULAW", TELEPHONE_RATE),
    "alaw": Coder("G.711 A-law, telephone of 8 kHz", "WAV", "ALAW", TELEPHONE_RATE),
    "gsm": Coder("GSM 06.10 full rate, 13 kbit/s at 8 kHz", "WAV", "GSM610", TELEPHONE_RATE),
    "g722": Coder("G.722, 64 kbit/s", delay=G722_DELAY),
    "opus": Coder("Opus", "OGG", "OPUS", kbit=(6, 256, 24), level=lambda kbit: (256 - kbit) / 250),
    "mp3": Coder(
        "constant rate",
        "MP3",
        "MPEG_LAYER_III",
        kbit=(16, 160, 48),
        level=lambda kbit: (160 - kbit) / 152,
    ),
    "vorbis": Coder("Ogg Vorbis of libsndfile's quality", "OGG", "VORBIS"),
}
# what libsndfile has
DRAWN = ("mulaw", "alaw", "gsm", "opus@8", "opus@16", "opus@32", "mp3@32", "mp3@64", "vorbis")


@dataclass(frozen=True)
class Coding:
    """A codec at a bit rate in kbit/s; None if it has but one.

    >>> str(Coding.read("opus@8")), str(Coding.read("opus"))
    ('opus@8', 'opus@24')
    """

    coder: str
    kbit: int | None = None

    @classmethod
    def read(cls, text: str) -> Coding:
        """The codec that a text such as `opus@8` names; ValueError if there is none."""
        name, at, rate = text.strip().partition("@")
        if name not in CODERS:
            raise ValueError(f"there is no codec {name!r}")
        allowed = CODERS[name].kbit
        if allowed is None:
            if at:
                raise ValueError(f"{name} has no choice of bit rates")
            return cls(name)
        low, high, usual = allowed
        if at and not (rate.isdecimal() and low <= int(rate) <= high):
            raise ValueError(f"{rate!r} kbit/s: {name} takes {low} to {high}")
        return cls(name, int(rate) if at else usual)

    def encoded(self, waveform: Waveform) -> bytes:
        """The file that libsndfile makes of a waveform at the codec's rate, within -1 and 1."""
        coder, buffer = CODERS[self.coder], io.BytesIO()
        rated: dict[str, Any] = {}
        if coder.level and self.kbit:
            rated = {"compression_level": coder.level(self.kbit)}
            rated |= {"bitrate_mode": "CONSTANT"} if self.coder == "mp3" else {}
        soundfile.write(
            buffer, waveform, coder.rate, format=coder.container, subtype=coder.subtype, **rated
        )
        return buffer.getvalue()

    def decoded(self, waveform: Waveform) -> Waveform:
        """A waveform at the codec's rate, coded and decoded, of the same length and time."""
        if not CODERS[self.coder].container:
            late = _by_ffmpeg(waveform)
        else:
            late, _ = soundfile.read(io.BytesIO(self.encoded(waveform)), dtype="float32")
        delay = CODERS[self.coder].delay
        if self.coder == "mp3" and len(late) > len(waveform):
            delay = MP3_DELAY
        return fitted(late[delay:], len(waveform))

    def __str__(self) -> str:
        return self.coder if self.kbit is None else f"{self.coder}@{self.kbit}"


def _ffmpeg() -> Any:
    try:
        import av
    except ImportError as error:
        raise TransformError(
            f"the codec g722 needs av (FFmpeg), which cannot be imported ({error}). Install it: "
            "pip install 'speech-layer-probe[codecs]'; or take one of "
            f"{', '.join(name for name in CODERS if name != 'g722')}"
        ) from None
    return av


def _by_ffmpeg(waveform: Waveform) -> Waveform:
    """G.722, coded and decoded; late by its delay."""
    av = _ffmpeg()
    padded = np.pad(waveform, (0, G722_DELAY + len(waveform) % 2))  # two samples a byte
    frame = av.AudioFrame.from_ndarray(
        (padded * 32767).round().astype(np.int16)[None], format="s16", layout="mono"
    )
    frame.sample_rate = SAMPLING_RATE
    coder, decoder = av.CodecContext.create("g722", "w"), av.CodecContext.create("g722", "r")
    for context in (coder, decoder):
        context.sample_rate, context.layout = SAMPLING_RATE, "mono"
    coder.format = "s16"
    packets = [*coder.encode(frame), *coder.encode(None)]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(
        np.float32
    ) / np.float32(32768)


@dataclass(frozen=True)
class Codec(Transform):
    """A speech codec: coded, decoded, and put back where it was in time; the length stays.

    mulaw and alaw (G.711) and gsm code at 8 kHz, so the upper band is lost as in a telephone
    network; the others at 16 kHz. Of several, one is drawn, each as likely. A waveform louder than
    1 is turned down before and up again after.
    """

    name: ClassVar[str] = "codec"
    help: ClassVar[str] = "coded and decoded"
    syntax: ClassVar[str] = f"codec[:{'|'.join(CODERS)}] (opus@KBIT, mp3@KBIT)"
    expected: ClassVar[str] = "codecs with commas between, as codec:mulaw,opus@8, of " + ", ".join(
        CODERS
    )
    many: ClassVar[bool] = True
    choices: ClassVar[tuple[str, ...]] = tuple(CODERS)

    codings: tuple[Coding, ...]

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        return cls(tuple(Coding.read(part) for part in (value.split(",") if value else DRAWN)))

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        coding = (
            self.codings[int(rng.integers(len(self.codings)))]
            if len(self.codings) > 1
            else self.codings[0]
        )
        rate = CODERS[coding.coder].rate
        if rate == SAMPLING_RATE:
            return at_peak_one(waveform, coding.decoded)
        narrow = at_peak_one(resampled(waveform, SAMPLING_RATE, rate), coding.decoded)
        return fitted(resampled(narrow, rate, SAMPLING_RATE), len(waveform))

    def check(self) -> None:
        """See `Transform`."""
        if any(coding.coder == "g722" for coding in self.codings):
            _ffmpeg()

    def depends_on(self) -> dict[str, Any]:
        """See `Transform`."""
        import soxr

        made = {"libsndfile": soundfile.__libsndfile_version__, "soxr": soxr.__version__}
        uses_ffmpeg = any(coding.coder == "g722" for coding in self.codings)
        return {**made, "av": _ffmpeg().__version__} if uses_ffmpeg else made
