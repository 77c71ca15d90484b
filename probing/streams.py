"""MP3, Ogg and FLAC as streams: the parts that a decoder reads to their end, whatever length is stated.

An MP3 has no length. libsndfile takes that of an Info frame, which a server that joins its chunks leaves as it was for
the first, or guesses one from the first bit rate. So frames are counted here, and a part whose count is missing or
wrong is given to the decoder with a right one. libsndfile decodes the first of a chain of Ogg streams only; here each
is a part. A FLAC from a pipe states no total; here it states the largest, and is read until it ends.

Sources: ISO/IEC 11172-3 and 13818-3 (frames), the Xing and LAME Info tag, ID3v2.4, RFC 3533 (Ogg), RFC 9639 (FLAC).
"""

import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.bounds import open_regular
from probing.containers import UnusableAudio, mended_riff

BITRATES = {  # kbit/s by (MPEG 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the two version bits
SYNC_WITHIN = 1 << 16  # bytes of junk before the first MPEG frame
EOS, BOS = 4, 2  # flags of an Ogg page
ALL_FLAC = (1 << 36) - 1
ID3V1, APE = b"TAG", b"APETAGEX"

Part = Path | io.BytesIO


def parts(path: Path, seconds: float) -> Iterator[Part]:
    """The parts of a file, each of which libsndfile decodes to its end; the file itself if it is one whole.

    Args:
        path: of a file.
        seconds: how much is wanted; more of an MP3 of unknown length than that, and a little, is not given.

    Raises:
        UnusableAudio: the stream proves that it was cut: an Ogg without its last page, an Info frame that counts more
            frames than there are.
        OSError, ValueError: the file cannot be read, or is empty.
    """
    with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        head = content[:4]
        if head == b"OggS":
            yield from _ogg_parts(path, content)
        elif head == b"fLaC" and not _flac_total(content):
            known = bytearray(content[:])
            known[21] |= 0x0F
            known[22:26] = b"\xff\xff\xff\xff"
            yield io.BytesIO(known)
        elif head in (b"RIFF", b"RF64", b"BW64"):
            mended = mended_riff(file, len(content))
            yield io.BytesIO(mended) if mended else path
        elif head[:3] == b"ID3" or (head[:1] == b"\xff" and _frame_at(content, 0)) or path.suffix.lower() == ".mp3":
            yield from _mp3_parts(path, content, seconds)
        else:
            yield path


def _flac_total(content: mmap.mmap) -> int:
    """Samples that a FLAC states; 0 if it does not know."""
    return int.from_bytes(content[21:26], "big") & ALL_FLAC


# ---- Ogg


def _ogg_parts(path: Path, content: mmap.mmap) -> Iterator[Part]:
    """A link of a chain begins with the first page of a stream that follows a page that is none."""
    starts, at, flags, was_first, size = [], 0, 0, False, len(content)
    while (at := content.find(b"OggS", at)) >= 0:
        n_segments = content[at + 26] if at + 26 < size else 0
        segments = content[at + 27 : at + 27 + n_segments]
        end = at + 27 + n_segments + sum(segments)
        if at + 27 > size or len(segments) < n_segments or end > size:
            raise UnusableAudio("truncated: the last Ogg page is not complete")
        flags = content[at + 5]
        if flags & BOS and not was_first:
            starts.append(at)
        was_first, at = bool(flags & BOS), end
    if not flags & EOS:
        raise UnusableAudio("truncated: the Ogg stream has no last page")
    if len(starts) < 2:
        yield path
        return
    for start, end in zip(starts, [*starts[1:], size], strict=True):
        yield io.BytesIO(content[start:end])


# ---- MPEG audio


@dataclass(frozen=True)
class _Frame:
    """Header of an MPEG audio frame: where, bytes of it, samples, rate, and what all frames of a stream share."""

    at: int
    n_bytes: int
    n_samples: int
    rate: int
    kind: tuple[int, int, int]
    side_info: int  # bytes between the header and where an Info tag stands


def _frame_at(content: mmap.mmap, at: int) -> _Frame | None:
    head = content[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:  # reserved, or of a free rate
        return None
    bits, hertz, padding = 1000 * BITRATES[version == 3, layer][bitrate], RATES[version][rate], head[2] >> 1 & 1
    if layer == 1:
        n_bytes, n_samples = (12 * bits // hertz + padding) * 4, 384
    else:
        n_samples = 576 if layer == 3 and version != 3 else 1152
        n_bytes = n_samples // 8 * bits // hertz + padding
    mono = head[3] >> 6 == 3
    side_info = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(at, n_bytes, n_samples, hertz, (version, layer, rate), side_info)


def _after_tag(content: mmap.mmap, at: int) -> int:
    """Where a tag that begins here ends; `at` if none does."""
    if content[at : at + 3] == b"ID3" and at + 10 <= len(content):
        size = 0
        for byte in content[at + 6 : at + 10]:  # seven bits each
            size = size << 7 | byte & 0x7F
        return at + 10 + size + (10 if content[at + 5] & 0x10 else 0)
    if content[at : at + 3] == ID3V1:
        return at + 128
    if content[at : at + 8] == APE and at + 24 <= len(content):
        is_header = bool(content[at + 23] & 0x20)
        return at + 32 + (int.from_bytes(content[at + 12 : at + 16], "little") if is_header else 0)
    return at


def _frames(content: mmap.mmap) -> Iterator[_Frame]:
    """The whole frames of a stream, in their order; tags, and junk between frames, are passed over."""
    at, kind, size = 0, None, len(content)
    while at < size:
        frame = _frame_at(content, at)
        if frame and (kind is None or frame.kind == kind or _frame_at(content, at + frame.n_bytes)):
            if at + frame.n_bytes > size:
                return
            following = at + frame.n_bytes
            if kind is None and following < size and not _frame_at(content, following) and not _tag(content, following):
                at += 1  # a header by chance
                continue
            kind = frame.kind
            yield frame
            at = following
        elif (end := _after_tag(content, at)) > at:
            at = end
        else:
            at = content.find(b"\xff", at + 1)
            if at < 0 or (kind is None and at > SYNC_WITHIN + _after_tag(content, 0)):
                return


def _tag(content: mmap.mmap, at: int) -> bool:
    return _after_tag(content, at) > at


def _counted(content: mmap.mmap, frame: _Frame) -> int | None:
    """Frames that an Info frame counts, 0 if it does not say; None for a frame of audio."""
    if frame.kind[1] != 3:
        return None
    for offset in (frame.side_info, frame.side_info + 2):  # with a checksum, two bytes further
        at = frame.at + 4 + offset
        tag = content[at : at + 4]
        if tag in (b"Xing", b"Info"):
            return int.from_bytes(content[at + 8 : at + 12], "big") if content[at + 7] & 1 else 0
    return 0 if content[frame.at + 36 : frame.at + 40] == b"VBRI" else None


@dataclass
class _Run:
    """Frames of audio behind an Info frame, or behind none; `counted` is what that says."""

    info: _Frame | None
    counted: int
    first: _Frame | None = None
    end: int = 0  # byte behind the last
    n_frames: int = 0


def _runs(content: mmap.mmap) -> list[_Run]:
    """Runs of frames that a decoder can take in one: each Info frame begins one, and where its count ends another."""
    runs: list[_Run] = []
    for frame in _frames(content):
        counted = _counted(content, frame)
        if counted is not None:
            runs.append(_Run(frame, counted, end=frame.at + frame.n_bytes))
            continue
        run = runs[-1] if runs else None
        full = run is not None and run.counted and run.n_frames >= run.counted
        changed = run is not None and run.first is not None and run.first.kind != frame.kind
        if run is None or full or changed:
            run = _Run(None, 0)
            runs.append(run)
        run.first = run.first or frame
        run.n_frames, run.end = run.n_frames + 1, frame.at + frame.n_bytes
    return runs


def _mp3_parts(path: Path, content: mmap.mmap, seconds: float) -> Iterator[Part]:
    runs = [run for run in _runs(content) if run.first or run.counted]
    if not runs:  # a free bit rate, or no MP3 after all
        yield path
        return
    lacking = next((run for run in runs if run.counted > run.n_frames + 1), None)  # some count the Info frame as well
    if lacking:
        raise UnusableAudio(f"truncated: {lacking.n_frames} of {lacking.counted} MP3 frames are there")
    if len(runs) == 1 and runs[0].counted:
        yield path
        return
    for run in runs:
        if run.info and run.counted:
            yield io.BytesIO(content[run.info.at : run.end])
        elif run.first:
            yield io.BytesIO(_with_count(content, run, seconds))


def _with_count(content: mmap.mmap, run: _Run, seconds: float) -> bytes:
    """A run of frames behind an Info frame that counts them; no more of them than are wanted."""
    first = run.first
    assert first is not None
    wanted = int((seconds + 2) * first.rate / first.n_samples)
    n = min(run.n_frames, wanted)
    end = run.end
    if n < run.n_frames:  # frames are of about one size; twice as many bytes hold those wanted
        end = min(run.end, first.at + 2 * n * (run.end - first.at) // run.n_frames + 4096)
    if first.kind[1] != 3:  # only layer III has Info frames; the others have one bit rate, and libsndfile counts right
        return content[first.at : end]
    header = bytearray(content[first.at : first.at + 4])
    header[1] |= 1  # no checksum
    info = bytes(header) + bytes(first.side_info) + b"Xing" + (1).to_bytes(4, "big") + n.to_bytes(4, "big")
    return info.ljust(first.n_bytes, b"\0") + content[first.at : end]
