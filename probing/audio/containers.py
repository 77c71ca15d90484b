"""Containers of uncompressed samples: the bytes that a header promises, and whether they are there.

libsndfile reads what is left of a file that was cut, without a word. A header that was written to a
pipe cannot hold the length, and holds zero or a number near the largest instead; that is no
promise, and such a file is whole.

Sources: RIFF and RF64 (EBU Tech 3306), Wave64 (Sonic Foundry), AIFF-C (Apple 1991), IFF 8SVX,
CAF (Apple), AU (Sun), NIST SPHERE, VOC (Creative); for AVR and MPC what libsndfile writes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from probing.audio.content import Pieces

# SoX, ffmpeg, arecord and others write this or more where they cannot know; 0 as well
PIPED_32 = 0x7F000000
PIPED_64 = 1 << 62
ALL_32 = (0x7FFFFFFF, 0xFFFFFFFF)  # in a field of 64 bits
MOST_CHUNKS = 10_000
MOST_HEADER = 1 << 20
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
# of the GUIDs of its other chunks, behind four letters
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


class UnusableAudio(Exception):
    """A file that cannot be used; the message is the reason written to failures.csv."""


@dataclass(frozen=True)
class Promise:
    """Bytes of samples that a header promises: from `start` on, `n_bytes`, in blocks of `block`."""

    start: int
    n_bytes: int
    block: int = 1


def check_whole(file: Pieces) -> None:
    """Compare what a header promises with the size of its file.

    A container that promises nothing passes.

    Args:
        file: open at any position.

    Raises:
        UnusableAudio: more samples are promised than are there. Less than one block of them may be
            missing.
    """
    file.seek(0)
    promise = _promise(file.read(40), file)
    if promise and promise.start + promise.n_bytes >= file.size + max(promise.block, 1):
        there = max(0, file.size - promise.start)
        raise UnusableAudio(f"truncated: {there} of {promise.n_bytes} bytes of samples are there")


def _promise(head: bytes, file: Pieces) -> Promise | None:
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _riff(file, ">" if kind == b"RIFX" else "<", kind in (b"RF64", b"BW64"))
    if kind == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return _iff(file)
    if kind in (b".snd", b"dns.") and len(head) >= 12:
        start, length = struct.unpack(">II" if kind == b".snd" else "<II", head[4:12])
        return _unless_piped(start, length, PIPED_32)
    if kind == b"caff":
        return _caf(file)
    if head[:16] == W64_RIFF:
        return _w64(file)
    if head[:7] == b"NIST_1A":
        return _sphere(file)
    if head[:19] == b"Creative Voice File":
        return _voc(file)
    if kind == b"2BIT":
        stereo, bits = struct.unpack(">HH", head[12:16])
        width = (2 if stereo else 1) * bits // 8
        return _unless_piped(128, struct.unpack(">I", head[26:30])[0] * width, PIPED_32, width)
    if kind[:2] == b"\1\4" and len(head) >= 34:  # Akai MPC
        return _unless_piped(
            42, struct.unpack("<I", head[30:34])[0] * 2 * (head[21] + 1), PIPED_32, 2
        )
    return None


def _unless_piped(start: int, length: int, piped: int, block: int = 1) -> Promise | None:
    return Promise(start, length, block) if 0 < length < piped and length not in ALL_32 else None


def _chunks(file: Pieces, at: int, form: str, align: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and length of each chunk.

    A length is a number of 4 or 8 bytes, signed if `q`.
    """
    width = 4 + struct.calcsize(form)
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(width)
        if len(head) < width:
            return
        length = struct.unpack(form, head[4:])[0]
        yield head[:4], at + width, length
        at += width + max(length, 0) + (-length) % align


def _riff(file: Pieces, order: str, is_64: bool) -> Promise | None:
    block = 1
    long = 0
    for name, at, length in _chunks(file, 12, f"{order}I", 2):
        file.seek(at)
        if name == b"fmt " and length >= 16:
            block = struct.unpack(f"{order}H", file.read(16)[12:14])[0]
        elif name == b"ds64" and length >= 16:
            long = struct.unpack("<Q", file.read(16)[8:16])[0]
        elif name == b"data":
            if is_64 and length == 0xFFFFFFFF:
                return _unless_piped(at, long, PIPED_64, block)
            return _unless_piped(at, length, PIPED_32, block)
    return None


def mended(file: Pieces) -> dict[int, bytes]:
    """Bytes for sizes that a writer into a pipe left out, and names that libsndfile lacks.

    Args:
        file: open at any position.

    Returns:
        Bytes by position; empty if libsndfile reads the whole of it as it is.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _mended_riff(file, head[:4])
    if head[:4] in (b".snd", b"dns.") and head[8:12] == bytes(4):
        return {8: b"\xff\xff\xff\xff"}
    if head[:4] == b"caff":
        for name, at, length in _chunks(file, 8, ">q", 1):
            if name == b"data" and not 0 < length < PIPED_64:
                return {at - 8: struct.pack(">q", file.size - at)}
    return {}


def _mended_riff(file: Pieces, kind: bytes) -> dict[int, bytes]:
    order = ">" if kind == b"RIFX" else "<"
    size = file.size
    chunks = _chunks(file, 12, f"{order}I", 2)
    places = {name: (at, length) for name, at, length in chunks if name in (b"ds64", b"data")}
    data, length = places.get(b"data", (size, 0))
    ds64 = places[b"ds64"][0] if b"ds64" in places and kind in (b"RF64", b"BW64") else None
    patches = {0: b"RIFF" if ds64 is None else b"RF64"} if kind == b"BW64" else {}
    if ds64 and length == 0xFFFFFFFF:
        file.seek(ds64 + 8)
        if not 0 < int.from_bytes(file.read(8), "little") < PIPED_64:
            patches[ds64] = struct.pack("<QQ", size - 8, size - data)
    elif length == 0 and data < size and not _ends_with_chunks(file, data):
        patches[4] = struct.pack(f"{order}I", min(size - 8, 0xFFFFFFFF))
        patches[data - 4] = struct.pack(f"{order}I", min(size - data, 0xFFFFFFFF))
    return patches


def end_of_file(file: Pieces) -> int:
    """Bytes of the first of several files of one kind in a row; of all if there is no second."""
    file.seek(0)
    head = file.read(12)
    end = 0
    if head[:4] in (b"RIFF", b"RIFX", b"FORM") and len(head) == 12:
        end = 8 + struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:8])[0]
    elif head[:4] in (b".snd", b"dns.") and len(head) == 12:
        end = sum(struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12]))
    for place in (end, end + 1):  # a byte fills an odd length up
        file.seek(place)
        if place and file.read(4) == head[:4]:
            return place
    return file.size


def _ends_with_chunks(file: Pieces, at: int) -> bool:
    """Whether chunks, and nothing else, fill a file from here to its end."""
    end = at
    for name, start, length in _chunks(file, at, "<I", 2):
        if not name.strip().isalnum():
            return False
        end = start + length
    return end > at and end in (file.size, file.size - 1)


def _iff(file: Pieces) -> Promise | None:
    for name, at, length in _chunks(file, 12, ">I", 2):
        if name == b"SSND":  # begins with an offset and a block size, 8 bytes
            return _unless_piped(at + 8, length - 8, PIPED_32)
        if name == b"BODY":
            return _unless_piped(at, length, PIPED_32)
    return None


def _voc(file: Pieces) -> Promise | None:
    """The last block of samples; each states its length in three bytes."""
    file.seek(20)
    at = int.from_bytes(file.read(2), "little")
    promise = None
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] == 0:
            break
        length = int.from_bytes(head[1:], "little")
        if head[0] in (1, 2, 9):
            promise = _unless_piped(at + 4, length, 0xFFFFFF - 64)
        at += 4 + length
    return promise


def _caf(file: Pieces) -> Promise | None:
    for name, at, length in _chunks(file, 8, ">q", 1):
        if name == b"data":  # begins with a count of edits, 4 bytes
            return _unless_piped(at + 4, length - 4, PIPED_64)
    return None


def _w64(file: Pieces) -> Promise | None:
    at = 40
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24 or head[4:16] != W64_TAIL:
            return None
        length = struct.unpack("<Q", head[16:])[0]  # with the 24 bytes of its head
        if head[:4] == b"data":
            return _unless_piped(at + 24, length - 24, PIPED_64) if length not in ALL_32 else None
        if length < 24:
            return None
        at += length + (-length) % 8
    return None


def _sphere(file: Pieces) -> Promise | None:
    file.seek(0)
    stated = file.read(16)[8:].strip()
    file.seek(0)
    lines = file.read(min(int(stated), MOST_HEADER) if stated.isdigit() else 1024).split(b"\n")
    fields = {line.split()[0]: line.split()[-1] for line in lines if len(line.split()) >= 3}
    try:
        start = int(lines[1])
        n = int(fields[b"sample_count"])
        width = int(fields.get(b"channel_count", 1)) * int(fields[b"sample_n_bytes"])
    except (KeyError, ValueError, IndexError):
        return None
    packed = any(
        word in fields.get(b"sample_coding", b"") for word in (b"shorten", b"shortpack", b"wavpack")
    )
    return None if packed else _unless_piped(start, n * width, PIPED_64, width)
