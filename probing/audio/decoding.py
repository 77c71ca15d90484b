"""Decoding: an audio file as 16 kHz mono float32, or the reason it cannot be used."""

import math
from pathlib import Path

import numpy as np
import soundfile
import soxr

from cache.bounds import open_regular
from probing.audio.containers import UnusableAudio
from probing.audio.content import Content, Pieces
from probing.audio.formats import REFUSED
from probing.audio.streams import ALL_FLAC, Part, parts
from probing.audio.waveform import (
    RESAMPLER_QUALITY,
    SAMPLING_RATE,
    Cropping,
    Waveform,
    fit_audio,
)

# as many or more say, by libsndfile's way or ours, that a file does not know its length
UNKNOWN_FRAMES = ALL_FLAC
BLOCK = 1 << 18  # samples read at a time if the length is not known


def load_audio(path: Path, cropping: Cropping, min_samples: int = 1) -> Waveform:
    """Decode a file of any rate and channels to 16 kHz mono float32, cropped.

    Formats are those of libsndfile: wav, flac, ogg, opus, mp3 and many more.

    A stated length is not trusted over the stream: all that decodes is read, as far as it is
    wanted. A file that its container proves to be cut is refused, also if the cut is behind what
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
    """How long a file says that it is, at most `seconds`; None if it does not say.

    Nothing is decoded. None as well if the file cannot be read.

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
    """Refuse samples that end before their stated number, here or further on.

    Whether they end further on is seen by a jump to the last sample.
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
        samples
        if of == rate or not len(samples)
        else soxr.resample(samples, of, rate, quality=RESAMPLER_QUALITY)
        for samples, (_, of) in zip(mono, pieces, strict=True)
    ]
    return np.concatenate(same)[:, None], rate


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
