"""Audio as a speech model takes it: 16 kHz mono float32, whatever the file holds, or the reason it
cannot be used.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from cache.bounds import open_regular
from probing.audio.columns import STAMPS
from probing.audio.containers import UnusableAudio
from probing.audio.content import Content, Pieces
from probing.audio.streams import ALL_FLAC, Part, parts

SAMPLING_RATE = 16_000
RESAMPLER_QUALITY = "HQ"
# bytes of a file, from its start, that the checksum is of; its size is known beside
HASHED = 1 << 24
# as many or more say, by libsndfile's way or ours, that a file does not know its length
UNKNOWN_FRAMES = ALL_FLAC
# by libsndfile's name of the format; those whose files do not keep a rate are left out
USUAL_SUFFIXES = {
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2"),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "W64": (".w64",),
    "RF64": (".rf64", ".bw64"),
    "NIST": (".sph", ".nist"),
    "IRCAM": (".sf", ".ircam"),
    "VOC": (".voc",),
    "AVR": (".avr",),
    "PVF": (".pvf",),
    "PAF": (".paf",),
    "SVX": (".svx", ".8svx", ".iff"),
    "HTK": (".htk",),
}
SUFFIXES = tuple(
    suffix
    for name, suffixes in USUAL_SUFFIXES.items()
    if name in soundfile.available_formats()
    for suffix in suffixes
)
REFUSED = {  # by libsndfile's name of the format
    **dict.fromkeys(("SDS", "XI", "WVE"), "a format of instruments, which does not keep the rate"),
    "RAW": "there is no header, and the name alone does not say "
    "what the bytes are; write it as .wav",
}
BLOCK = 1 << 18  # samples read at a time where the length is not known
_ONE_STEP_OF_16_BITS = 1 / 32768

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class Cropping:
    """How much of a clip the model sees.

    max_seconds: longer clips are cut to their beginning.
    seconds: if given, every clip is made exactly this long: its beginning, or the clip repeated
        from its start (the 64,600 samples of Pan et al. 2024 are 4.0375 s).

    >>> Cropping(seconds=0.5).n_samples()
    8000
    """

    max_seconds: float = 30.0
    seconds: float | None = None

    def n_samples(self) -> int:
        """The most samples a clip can have."""
        return round((self.max_seconds if self.seconds is None else self.seconds) * SAMPLING_RATE)

    def apply(self, waveform: Waveform) -> Waveform:
        """Crop, or repeat, a waveform (n,)."""
        n = self.n_samples()
        if self.seconds is not None and len(waveform) < n:
            waveform = np.tile(waveform, -(-n // len(waveform)))
        return waveform[:n]

    def fingerprint(self) -> dict[str, str]:
        """What changes a number here."""
        rule = (
            f"first {self.max_seconds:g} s"
            if self.seconds is None
            else f"exactly {self.seconds:g} s, repeated"
        )
        return {
            "crop": rule,
            "decoder": f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}",
            "resampler": f"soxr {soxr.__version__} {RESAMPLER_QUALITY} to "
            f"{SAMPLING_RATE} Hz, mean of channels",
        }


def load_audio(path: Path, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Decode a file (wav, flac, ogg, opus, mp3, ...; any rate and channels) to 16 kHz mono float32,
    cropped.

    A stated length is not trusted over the stream: all that decodes is read, as far as it is
    wanted. A file that its container proves to be cut is refused, also where the cut is behind what
    is wanted.

    Args:
        path: the file.
        cropping: how much of it is wanted.
        min_samples: fewest 16 kHz samples the model can take.

    Raises:
        UnusableAudio: missing, not audio, truncated, or as `fit_audio`.

    >>> import soundfile
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/clip.flac", np.sin(np.arange(8000)), 8000)
    ...     load_audio(Path(folder, "clip.flac"), Cropping()).shape
    (16000,)
    """
    seconds = cropping.n_samples() / SAMPLING_RATE + 0.1
    pieces: list[tuple[Waveform, int]] = []
    try:
        with open_regular(path) as file:
            for part in parts(path, Content(file), seconds):
                wanted = seconds - sum(len(samples) / rate for samples, rate in pieces)
                if wanted > 0:  # the parts behind are looked at as well: one may be cut
                    pieces.append(_decode(part, wanted))
    except UnusableAudio:
        raise
    except Exception as error:  # what a decoder makes of foreign bytes has no end
        raise UnusableAudio(_why_unreadable(path, error)) from None
    return fit_audio(*_joined(pieces), cropping, min_samples)


def stated_seconds(path: Path, seconds: float) -> float | None:
    """How long a file is, at most `seconds`, without decoding it; None if it does not say, or
    cannot be read.

    >>> stated_seconds(Path("missing.wav"), 30.0) is None
    True
    """
    found = 0.0
    try:
        with open_regular(path) as opened:
            for part in parts(path, Content(opened), seconds):
                with _open(part) as file:
                    if not 0 < file.frames < UNKNOWN_FRAMES:
                        return None
                    found += file.frames / file.samplerate
    except Exception:  # as in `load_audio`, which says why
        return None
    return min(found, seconds)


class _Stream(soundfile.SoundFile):
    """A file that is read onwards only, until no more of it decodes.

    soundfile seeks around every read of a file it can seek in, and a seek fails behind the end of a
    FLAC that states too large a total.
    """

    def seekable(self) -> bool:
        """Whether a reader may jump; never."""
        return False


def _open(part: Part) -> _Stream:
    file = _Stream(part)
    if file.format in REFUSED:
        file.close()
        raise ValueError(REFUSED[file.format])
    return file


def _decode(part: Part, seconds: float) -> tuple[Waveform, int]:
    """The first seconds of a part, (n, channels), and its rate."""
    with _open(part) as file:
        n_wanted = math.ceil(seconds * file.samplerate)
        n_stated = file.frames if 0 < file.frames < UNKNOWN_FRAMES else None
        blocks: list[Waveform] = []
        # libsndfile gives no more of a part than that states
        n_left = min(n_wanted, n_stated or n_wanted)
        while n_left > 0:
            blocks.append(
                file.read(
                    n_left if n_stated else min(n_left, BLOCK), dtype="float32", always_2d=True
                )
            )
            n_left -= len(blocks[-1])
            if not len(blocks[-1]):
                break
        if isinstance(part, Pieces) and part.failure:
            raise part.failure
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        # whose number is a guess, or that of the encoder
        if n_stated and file.format not in ("MP3", "OGG"):
            _check_decoded(
                part, len(samples), n_wanted=n_wanted, n_stated=n_stated, kind=file.format
            )
        return samples, file.samplerate


def _check_decoded(part: Part, n: int, n_wanted: int, n_stated: int, kind: str) -> None:
    """Refuse samples that end before their stated number, here or, seen by a jump to the last,
    further on.
    """
    if n < min(n_wanted, n_stated):
        raise UnusableAudio(f"truncated: {n} of {n_stated} samples could be decoded")
    if kind in ("MAT4", "MAT5") and n_stated < _columns(part):
        raise UnusableAudio(f"truncated: {n_stated} of {_columns(part)} columns are there")
    if n_stated > n_wanted and kind in ("FLAC", "CAF"):  # the others have said it by their size
        with soundfile.SoundFile(part) as file:
            try:
                file.seek(n_stated - 1)
                whole = len(file.read(1)) == 1
            except soundfile.LibsndfileError:
                whole = False
        if not whole:
            raise UnusableAudio(f"truncated: the last of {n_stated} samples is not there")


def _columns(part: Part) -> int:
    """Columns of the widest matrix of a file of MATLAB, which libsndfile takes for samples."""
    from scipy.io import whosmat  # slow to import, and such files are rare

    return max((shape[-1] for _, shape, _ in whosmat(part)), default=0)


def _joined(pieces: list[tuple[Waveform, int]]) -> tuple[Waveform, int]:
    """The parts of a file in one, mono if they differ; at the rate of the first."""
    if len(pieces) == 1:
        return pieces[0]
    rate = pieces[0][1]
    mono = [samples.mean(axis=1) for samples, _ in pieces]
    same = [
        one
        if of == rate or not len(one)
        else soxr.resample(one, of, rate, quality=RESAMPLER_QUALITY)
        for one, (_, of) in zip(mono, pieces, strict=True)
    ]
    return np.concatenate(same)[:, None], rate


def fit_audio(samples: Waveform, rate: int, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Bring decoded samples (n, channels) at any rate to 16 kHz mono float32, cropped.

    Raises:
        UnusableAudio: empty, NaN or infinite, silent, or too short.

    >>> fit_audio(np.ones((48_000, 2), np.float32), 48_000, Cropping(seconds=0.5)).shape
    (8000,)
    """
    if not len(samples):
        raise UnusableAudio("empty: no samples")
    if not np.isfinite(samples).all():
        raise UnusableAudio(f"{int((~np.isfinite(samples)).sum())} samples are NaN or infinite")
    waveform = samples.mean(axis=1)
    if rate != SAMPLING_RATE:
        waveform = soxr.resample(waveform, rate, SAMPLING_RATE, quality=RESAMPLER_QUALITY)
    if len(waveform) < min_samples:
        raise UnusableAudio(
            f"too short: {len(waveform)} samples at 16 kHz, the model needs {min_samples}"
        )
    waveform = np.ascontiguousarray(cropping.apply(waveform), dtype=np.float32)
    if np.abs(waveform).max() < _ONE_STEP_OF_16_BITS:
        raise UnusableAudio("silent: no sample above one 16-bit step")
    return waveform


def stamp(path: Path) -> dict[str, float]:
    """What tells the content of a file from another: bytes, microseconds of its last change, CRC-32
    of its beginning.

    All are whole numbers that a float64 holds. Raises OSError where the file cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "clip.wav").write_bytes(b"RIFF")
    ...     len(stamp(Path(folder, "clip.wav")))
    3
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        content = file.read(HASHED)
        while len(content) < min(HASHED, status.st_size) and (
            more := file.read(HASHED - len(content))
        ):
            content += more
    return dict(
        zip(
            STAMPS,
            map(float, (status.st_size, status.st_mtime_ns // 1000, crc32(content))),
            strict=True,
        )
    )


def measure(waveform: Waveform) -> dict[str, float]:
    """Features that say nothing about speech, to compare probes with: they should not separate the
    classes.

    Returns:
        audio_seconds; audio_level_db: RMS in dB of full scale; audio_bandwidth_hz: frequency below
        which 95 % of the power lies; audio_noise_floor_db: 10th percentile of the level of 20 ms
        frames in dB of full scale.

    >>> found = measure(np.sin(np.arange(16_000, dtype=np.float32)))
    >>> found["audio_seconds"], round(found["audio_level_db"], 1)
    (1.0, -3.0)
    """
    samples = waveform.astype(np.float64)  # float32 overflows on absurdly loud files
    from scipy.fft import next_fast_len, rfft  # a wrong option must not wait for it

    n_fft = next_fast_len(len(samples), real=True)
    power = np.abs(rfft(samples - samples.mean(), n_fft)) ** 2
    cumulative = np.cumsum(power)
    rolloff = int(np.searchsorted(cumulative, 0.95 * cumulative[-1]))
    n = max(1, len(waveform) // 320)
    frames = (
        np.resize(samples, (n, 320)) if len(samples) < 320 else samples[: n * 320].reshape(n, 320)
    )
    energy = np.mean(frames**2, axis=1)
    return {
        "audio_seconds": len(waveform) / SAMPLING_RATE,
        "audio_level_db": _decibel(np.mean(samples**2)),
        "audio_bandwidth_hz": rolloff * SAMPLING_RATE / n_fft,
        "audio_noise_floor_db": _decibel(np.percentile(energy, 10)),
    }


def _decibel(power: float | np.floating) -> float:
    return float(10 * np.log10(max(power, 1e-12)))


def _why_unreadable(path: Path, error: Exception) -> str:
    if not path.exists():
        return "missing: no such file"
    if path.is_dir():
        return "a folder, not a file"
    if not path.is_file():
        return f"{getattr(error, 'strerror', None) or error}"
    if path.stat().st_size == 0:
        return "empty: the file has no bytes"
    if path.suffix.lower() == ".raw":
        return (
            "not decodable: samples without a header (.raw) do "
            "not say their rate; write them as .wav"
        )
    text = str(error).rsplit(": ", 1)[-1].strip().rstrip(".")
    return f"not decodable: {text}"
