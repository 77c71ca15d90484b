"""The parts of a file, each of which a decoder reads to its end, whatever length is stated.

libsndfile decodes the first of a chain of Ogg streams, or of FLAC or AU files behind each other,
and refuses WAV and AIFF files behind each other; here each is a part. A FLAC from a pipe states no
total; here it states the largest, and is read until it ends. See `mpeg` for MP3 and `containers`
for headers that could not know their length.

Sources: RFC 3533 (Ogg), RFC 9639 (FLAC).
"""

from collections.abc import Iterator
from pathlib import Path

from probing.audio.containers import UnusableAudio, check_whole, end_of_file, mended
from probing.audio.content import Content, Piece, Pieces, patched
from probing.audio.mpeg import ID3V1, after_tags, begins_mpeg, mpeg_parts

# flags of an Ogg page
EOS = 4
BOS = 2
ALL_FLAC = (1 << 36) - 1
LONGEST_FLAC_FRAME = 1 << 17  # bytes; 8 channels of 4,608 samples of 24 bits have 110,000
FLAC_BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

Part = Path | Pieces


def parts(path: Path, content: Content, seconds: float) -> Iterator[Part]:
    """The parts of a file, each of which libsndfile decodes to its end.

    If the file is one whole, that is the file itself.

    Args:
        path: of the file.
        content: its bytes.
        seconds: how much is wanted.

    Raises:
        UnusableAudio: the file proves that it was cut: its header promises more samples than are
            there, an Ogg stream has no last page, an Info frame counts more MP3 frames.
        OSError, ValueError: it cannot be read, or is empty.
    """
    if not content.size:
        raise ValueError("no bytes")
    start = min(after_tags(content, 0), content.size)
    head = content.read(start, 4)
    found: list[list[Piece]] | None
    if head == b"OggS":
        found = _ogg_links(content, start)
    elif head == b"fLaC":
        found = _flac_files(content, start, seconds)
    elif begins_mpeg(content, start) or (
        not _is_known(content, start) and path.suffix.lower() in (".mp3", ".mp2")
    ):
        found = mpeg_parts(content)
    else:
        yield from _files(path, content, start)
        return
    found = found or [[(0, content.size)]]
    yield from (
        path if _as_it_is(path, pieces, content) else Pieces(content, pieces) for pieces in found
    )


def _as_it_is(path: Path, pieces: list[Piece], content: Content) -> bool:
    """Whether pieces are a whole file that soundfile does not take for headerless samples."""
    return pieces == [(0, content.size)] and path.suffix.lower() != ".raw"


def _is_known(content: Content, start: int) -> bool:
    return content.read(start, 4) in (
        b"RIFF",
        b"RIFX",
        b"RF64",
        b"BW64",
        b"FORM",
        b".snd",
        b"caff",
        b"riff",
        b"NIST",
    )


def _files(path: Path, content: Content, start: int) -> Iterator[Part]:
    """Files of a header and samples, one behind the other."""
    while True:
        rest = Pieces(content, [(start, content.size)])
        end = start + end_of_file(rest)
        file = Pieces(content, [(start, end)])
        check_whole(file)
        pieces = patched(start, end, mended(file))
        yield path if _as_it_is(path, pieces, content) else Pieces(content, pieces)
        start = end
        if start == content.size:
            return


# ---- FLAC


def _flac_files(content: Content, start: int, seconds: float) -> list[list[Piece]]:
    """FLAC files in a row, found only if the first is shorter than what is wanted."""
    found: list[list[Piece]] = []
    while True:
        # 20 bits of rate, 8 of form, 36 of total
        about = int.from_bytes(content.read(start + 18, 8), "big")
        rate = about >> 44
        total = about & ALL_FLAC
        end = content.size
        patches = dict[int, bytes]()
        following = -1
        if total in (0, ALL_FLAC) or total < seconds * rate:
            following = content.find(b"fLaC", start + 42)
            while following >= 0 and content.read(following + 5, 3) != b"\0\0\x22":  # by chance
                following = content.find(b"fLaC", following + 4)
            end = following if following >= 0 else end
            # a decoder that does not know the total takes it for a frame
            if content.read(end - 128, 3) == ID3V1:
                end -= 128
            if total == 0 or total < _last_of_flac(content, start, end):
                patches[18] = (about | ALL_FLAC).to_bytes(8, "big")
        found.append(patched(start, end, patches))
        if following < 0:
            return found
        start = following
        seconds = seconds - (total / rate if rate and total != ALL_FLAC else 0)


def _last_of_flac(content: Content, start: int, end: int) -> int:
    """Samples up to the last frame of a FLAC, and those of that frame; 0 if none is found."""
    longest = int.from_bytes(content.read(start + 15, 3), "big") or LONGEST_FLAC_FRAME
    first = max(start + 42, end - longest - 16)
    tail = content.read(first, end - first)
    usual = int.from_bytes(content.read(start + 8, 2), "big")
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9") and (
            found := _flac_frame(tail[at : at + 16])
        ):
            number, n_samples = found
            return number + n_samples if tail[at + 1] == 0xF9 else number * usual + n_samples
    return 0


def _flac_frame(head: bytes) -> tuple[int, int] | None:
    """The number of a frame, or of its first sample, and its samples; None if there is none.

    It is that of the first sample if frames differ in length.
    """
    if (
        len(head) < 16
        or head[2] >> 4 == 0
        or head[2] & 15 == 15
        or head[3] >> 4 > 10
        or head[3] & 1
    ):
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # as in UTF-8, up to seven bytes
    n = max(1, ones)
    if ones in (1, 8):
        return None
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 4 + n]:
        number = number << 6 | byte & 0x3F
    block = FLAC_BLOCKS[head[2] >> 4]
    at = 4 + n
    if not block:
        width = (head[2] >> 4) - 5
        block = int.from_bytes(head[at : at + width], "big") + 1
        at = at + width
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    return (number, block) if at < 16 and _crc8(head[:at]) == head[at] else None


def _crc8(content: bytes) -> int:
    """The checksum of the header of a frame, by the polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


# ---- Ogg


def _ogg_links(content: Content, start: int) -> list[list[Piece]]:
    """The links of a chain: each begins with a first page that follows a page of another kind."""
    starts = list[int]()
    at = start
    flags = BOS | EOS
    size = content.size
    while (at := content.find(b"OggS", at)) >= 0:
        head = content.read(at, 27 + 255)
        n_segments = head[26] if len(head) > 26 else 0
        segments = head[27 : 27 + n_segments]
        end = at + 27 + n_segments + sum(segments)
        whole = len(head) >= 27 and len(segments) == n_segments and end <= size
        if not whole or (
            content.read(end, 4) != b"OggS" and b"OggS\0\2" in content.read(at + 4, end - at)
        ):
            raise UnusableAudio(
                f"truncated: {'the last' if not whole else 'an'} Ogg page is not complete"
            )
        if head[5] & BOS and (not flags & BOS or not starts):
            if not flags & EOS:
                break
            starts.append(at)
        flags = head[5]
        at = end
    if not flags & EOS:
        raise UnusableAudio("truncated: the Ogg stream has no last page")
    starts = starts or [start]
    return [[link] for link in zip(starts, [*starts[1:], size], strict=True)]
