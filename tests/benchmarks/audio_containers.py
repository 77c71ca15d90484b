"""Hundreds of valid audio files of other makers, whole, piped and cut: seconds read against the
truth.

Needs `ffmpeg` and `sox` (Debian: ffmpeg sox libsox-fmt-all); files lie in a temporary folder. A
whole file must be read to within 0.1 s, or be listed as of a format that libsndfile does not
decode; never as truncated. A cut one must be listed, or, if its container cannot prove the cut
(piped, a bare MP3), be read as far as ffmpeg decodes it. Exit code 1 if any is not. Run: python
tests/benchmarks/audio_containers.py
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from probing.audio import SAMPLING_RATE, Cropping, UnusableAudio, load_audio

SECONDS = 3.7
TOLERANCE = 0.1
SHARES = (0.35, 0.8)  # of a file, in bytes, that a cut leaves
FFMPEG = {  # container and codec: file suffix, arguments, rates
    "wav pcm_s16le": ("wav", "-c:a pcm_s16le -f wav", (8000, 16000, 44100)),
    "wav pcm_u8": ("wav", "-c:a pcm_u8 -f wav", (8000, 16000)),
    "wav pcm_s24le": ("wav", "-c:a pcm_s24le -f wav", (16000, 48000)),
    "wav pcm_f32le": ("wav", "-c:a pcm_f32le -f wav", (16000, 44100)),
    "wav pcm_alaw": ("wav", "-c:a pcm_alaw -f wav", (8000,)),
    "wav pcm_mulaw": ("wav", "-c:a pcm_mulaw -f wav", (8000,)),
    "wav adpcm_ms": ("wav", "-c:a adpcm_ms -f wav", (16000, 22050)),
    "wav adpcm_ima": ("wav", "-c:a adpcm_ima_wav -f wav", (16000, 22050)),
    "wav with tags": (
        "wav",
        "-c:a pcm_s16le -metadata title=a -metadata comment=b -f wav",
        (16000,),
    ),
    "rf64": ("wav", "-c:a pcm_s16le -f wav -rf64 always", (16000, 44100)),
    "w64": ("w64", "-c:a pcm_s16le -f w64", (16000, 44100)),
    "aiff": ("aiff", "-c:a pcm_s16be -f aiff", (16000, 44100)),
    "aiff 24": ("aiff", "-c:a pcm_s24be -f aiff", (44100,)),
    "au": ("au", "-c:a pcm_s16be -f au", (16000, 44100)),
    "caf": ("caf", "-c:a pcm_s16be -f caf", (16000, 44100)),
    "caf alac": ("caf", "-c:a alac -f caf", (44100,)),
    "flac": ("flac", "-c:a flac -f flac", (16000, 44100, 48000)),
    "ogg vorbis": ("ogg", "-c:a libvorbis -f ogg", (16000, 44100)),
    "ogg opus": ("opus", "-c:a libopus -f ogg", (16000, 48000)),
    "ogg flac": ("oga", "-c:a flac -f ogg", (16000,)),
    "ogg speex": ("spx", "-c:a libspeex -f ogg", (16000,)),
    "mp3 64k": ("mp3", "-c:a libmp3lame -b:a 64k -f mp3", (16000, 22050, 44100)),
    "mp3 vbr": ("mp3", "-c:a libmp3lame -q:a 5 -f mp3", (16000, 44100)),
    "mp3 8k": ("mp3", "-c:a libmp3lame -b:a 24k -f mp3", (8000,)),
    "mp3 bare": (
        "mp3",
        "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0 -f mp3",
        (16000, 44100, 48000),
    ),
    "mp3 bare vbr": ("mp3", "-c:a libmp3lame -q:a 5 -write_xing 0 -f mp3", (16000, 24000, 44100)),
    "mp3 id3v1": (
        "mp3",
        "-c:a libmp3lame -b:a 64k -write_id3v1 1 -metadata title=a -f mp3",
        (16000, 44100),
    ),
    "mp2": ("mp2", "-c:a mp2 -b:a 128k -f mp2", (44100,)),
    "m4a aac": ("m4a", "-c:a aac -f ipod", (16000,)),
    "webm opus": ("webm", "-c:a libopus -f webm", (48000,)),
    "wavpack": ("wv", "-c:a wavpack -f wv", (16000,)),
    "adts aac": ("aac", "-c:a aac -f adts", (16000,)),
}
NEVER_PIPED = ("m4a aac", "caf", "caf alac")  # their writers must seek
SOX = {
    "wav": "wav",
    "aiff": "aiff",
    "aifc": "aifc",
    "au": "au",
    "w64": "w64",
    "sph": "sph",
    "flac": "flac",
    "ogg": "ogg",
    "mp3": "mp3",
    "caf": "caf",
    "voc": "voc",
    "ircam": "sf",
}


@dataclass(frozen=True)
class Made:
    """A file: who made it, of what kind, its content, and whether its header can know
    the length.
    """

    maker: str
    kind: str
    suffix: str
    content: bytes
    piped: bool


def signal(rate: int, channels: int) -> np.ndarray:
    """Noise in bursts, (n, channels), like syllables."""
    t = np.arange(round(SECONDS * rate)) / rate
    noise = np.random.default_rng(rate + channels).normal(0, 0.1, (len(t), channels))
    return (noise * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))[:, None]).astype(np.float32)


def run(command: list[str], content: bytes | None = None) -> bytes | None:
    """What a command wrote to its standard output; None if it failed."""
    done = subprocess.run(
        command, input=content, stdin=None if content else subprocess.DEVNULL, capture_output=True
    )
    return done.stdout if done.returncode == 0 else None


def made_by_ffmpeg(folder: Path) -> list[Made]:
    found = []
    for (kind, (suffix, arguments, rates)), channels in itertools.product(FFMPEG.items(), (1, 2)):
        for rate in rates:
            soundfile.write(
                source := folder / "source.wav", signal(rate, channels), rate, subtype="FLOAT"
            )
            command = [
                "ffmpeg",
                "-v",
                "error",
                "-y",
                "-i",
                str(source),
                "-strict",
                "-2",
                *arguments.split(),
            ]
            if run([*command, str(target := folder / f"made.{suffix}")]) is not None:
                found.append(Made("ffmpeg", kind, suffix, target.read_bytes(), False))
            if kind not in NEVER_PIPED and (content := run([*command, "-"])):
                found.append(Made("ffmpeg", kind, suffix, content, True))
    return found


def made_by_sox(folder: Path) -> list[Made]:
    found = []
    for (kind, suffix), rate, channels in itertools.product(SOX.items(), (16000, 44100), (1, 2)):
        soundfile.write(source := folder / "source.wav", signal(rate, channels), rate)
        if (
            run(["sox", str(source), "-t", kind, str(target := folder / f"made.{suffix}")])
            is not None
        ):
            found.append(Made("sox", kind, suffix, target.read_bytes(), False))
        if kind != "caf" and (content := run(["sox", str(source), "-t", kind, "-"])):
            found.append(Made("sox", kind, suffix, content, True))
    return found


def made_by_libsndfile(folder: Path) -> list[Made]:
    found = []
    for name in sorted(soundfile.available_formats()):
        if name in ("RAW", "SD2", "SDS", "XI", "WVE"):  # without a rate, or in two files
            continue
        for subtype, rate in itertools.product(soundfile.available_subtypes(name), (8000, 16000)):
            path = folder / f"made.{name.lower()}"
            try:
                soundfile.write(path, signal(rate, 1), rate, format=name, subtype=subtype)
            except (soundfile.LibsndfileError, ValueError):
                continue  # no such rate, or no such pair
            found.append(
                Made("libsndfile", f"{name} {subtype}", name.lower(), path.read_bytes(), False)
            )
    return found


def joined(made: list[Made]) -> list[Made]:
    """Files behind each other, as servers join the chunks of a reply."""
    kinds = {
        "mp3 64k",
        "mp3 vbr",
        "mp3 bare",
        "mp3 bare vbr",
        "mp3 id3v1",
        "ogg vorbis",
        "ogg opus",
        "ogg flac",
    }
    kinds |= {"flac"}
    # which state where a file ends
    headers = {"wav pcm_s16le", "wav pcm_s24le", "wav with tags", "aiff", "au"}
    chosen = [
        file
        for file in made
        if file.maker == "ffmpeg"
        and (file.kind in kinds or (file.kind in headers and not file.piped))
    ]
    return [Made("joined", file.kind, file.suffix, 2 * file.content, file.piped) for file in chosen]


def tagged(made: list[Made]) -> list[Made]:
    """Files behind an ID3v2 tag with a picture, which music programs put before anything."""
    tag = b"ID3\x04\0\0" + bytes(90_000 >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(90_000)
    kinds = {
        "flac",
        "ogg vorbis",
        "ogg opus",
        "mp3 bare",
        "mp3 bare vbr",
        "mp3 vbr",
        "wav pcm_s16le",
        "aiff",
    }
    chosen = [file for file in made if file.maker == "ffmpeg" and file.kind in kinds]
    return [
        Made("tagged", file.kind, file.suffix, tag + file.content, file.piped) for file in chosen
    ]


def read(path: Path) -> float | str:
    """Seconds read of a file, or the reason why not."""
    try:
        return len(load_audio(path, Cropping(max_seconds=60))) / SAMPLING_RATE
    except UnusableAudio as error:
        return str(error)
    except Exception as error:
        return f"EXCEPTION {type(error).__name__}: {error}"


def decoded_by_ffmpeg(path: Path) -> float:
    """Seconds that ffmpeg makes of a file."""
    content = run(
        ["ffmpeg", "-v", "quiet", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
    )
    return len(content or b"") / 2 / SAMPLING_RATE


def verdict(
    found: float | str, truth: float, path: Path, is_cut: bool, proves: bool = False
) -> str:
    """One word of: read, listed, WRONG. `truth` in seconds, of a cut file its share of them."""
    if isinstance(found, str):
        wrongly = "EXCEPTION" in found or (not is_cut and not found.startswith("not decodable"))
        return "WRONG" if wrongly else "listed"
    if proves:
        return "WRONG"
    # an encoder fills its last block and delays the signal: what ffmpeg decodes is as good a truth
    near = abs(found - truth) <= TOLERANCE or abs(found - decoded_by_ffmpeg(path)) <= TOLERANCE
    return "read" if near else "WRONG"


def proves_a_cut(file: Made) -> bool:
    """Whether what is left of a file shows that it was cut."""
    head = file.content[:200_000]
    bare = file.suffix in ("mp3", "mp2") and b"Xing" not in head and b"Info" not in head
    known = {
        "wav",
        "wavex",
        "rf64",
        "w64",
        "aiff",
        "aifc",
        "au",
        "caf",
        "sph",
        "nist",
        "flac",
        "mp3",
    }
    known |= {"avr", "svx", "mat4", "mat5", "mpc2k", "voc", "htk"}
    return b"OggS" in head[:4] + head[90_010:90_014] or (
        not file.piped and not bare and file.suffix in known
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    counts: dict[tuple[str, str], Counter[str]] = {}
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = made_by_ffmpeg(folder) + made_by_sox(folder) + made_by_libsndfile(folder)
        made += joined(made) + tagged(made)
        for file in made:
            n = 2 if file.maker == "joined" else 1
            path = folder / f"file.{file.suffix}"
            path.write_bytes(file.content)
            found = read(path)
            results = [("whole", found, verdict(found, n * SECONDS, path, False))]
            for share in SHARES if not isinstance(found, str) else ():
                n_tag = 90_010 if file.maker == "tagged" else 0
                path.write_bytes(file.content[: n_tag + int(share * (len(file.content) - n_tag))])
                cut = read(path)
                results.append(
                    (
                        f"cut to {share}",
                        cut,
                        verdict(cut, share * n * SECONDS, path, True, proves_a_cut(file)),
                    )
                )
            path.unlink()
            for what, value, word in results:
                row = counts.setdefault(
                    (file.maker, f"{file.kind}{', piped' if file.piped else ''}"), Counter()
                )
                row[f"{what.split()[0]} {word}"] += 1
                if word == "WRONG":
                    wrong.append(
                        f"{file.maker} {file.kind} {'piped' if file.piped else ''} {what}: {value}"
                    )
        columns = ("whole read", "whole listed", "cut read", "cut listed")
        print(f"{'maker, kind':45s}" + "".join(f"{name:>14s}" for name in columns))
        for (maker, kind), row in counts.items():
            print(f"{maker + ' ' + kind:45s}" + "".join(f"{row[name]:14d}" for name in columns))
        total = sum((row for row in counts.values()), Counter())
        print(f"{'all':45s}" + "".join(f"{total[name]:14d}" for name in columns))
        print(f"{len(made)} files, {sum(total.values())} readings, {len(wrong)} wrong")
    for line in wrong:
        print("WRONG", line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
