"""Containers of uncompressed samples: how many bytes of samples a header promises, and whether they are there.

libsndfile reads what is left of a file that was cut, without a word. A header that was written to a pipe cannot hold
the length, and holds zero or a number near the largest instead; that is no promise, and such a file is whole.

Sources: RIFF and RF64 (EBU Tech 3306), Wave64 (Sonic Foundry), AIFF-C (Apple 1991), CAF (Apple), AU (Sun), NIST SPHERE.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

PIPED_32 = 0x7F000000  # SoX, ffmpeg, arecord and others write this or more where they cannot know; 0 as well
PIPED_64 = 1 << 62
MOST_CHUNKS = 10_000
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of the GUIDs of its other chunks, behind four letters


class UnusableAudio(Exception):
    """A file that cannot be used; the message is the reason written to failures.csv."""


@dataclass(frozen=True)
class Promise:
    """Bytes of samples that a header promises: from byte `start` on, `n_bytes` of them, in blocks of `block` bytes."""

    start: int
    n_bytes: int
    block: int = 1


def check_whole(file: BinaryIO, size: int) -> None:
    """Compare what a header promises with the size of its file; a container that promises nothing passes.

    Args:
        file: open at any position.
        size: bytes of it.

    Raises:
        UnusableAudio: more samples are promised than are there. Less than one block of them may be missing.
    """
    file.seek(0)
    promise = _promise(file.read(40), file)
    if promise and promise.start + promise.n_bytes >= size + max(promise.block, 1):
        there = max(0, size - promise.start)
        raise UnusableAudio(f"truncated: {there} of {promise.n_bytes} bytes of samples are there")


def _promise(head: bytes, file: BinaryIO) -> Promise | None:
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _riff(file, ">" if kind == b"RIFX" else "<", kind in (b"RF64", b"BW64"))
    if kind == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file)
    if kind in (b".snd", b"dns.") and len(head) >= 12:
        start, length = struct.unpack(">II" if kind == b".snd" else "<II", head[4:12])
        return _unless_piped(start, length, PIPED_32)
    if kind == b"caff":
        return _caf(file)
    if head[:16] == W64_RIFF:
        return _w64(file)
    return _sphere(file) if head[:7] == b"NIST_1A" else None


def _unless_piped(start: int, length: int, piped: int, block: int = 1) -> Promise | None:
    return Promise(start, length, block) if 0 < length < piped else None


def _chunks(file: BinaryIO, at: int, form: str, align: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and length of each chunk; a length is a number of 4 or 8 bytes, signed if `q`."""
    width = 4 + struct.calcsize(form)
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(width)
        if len(head) < width:
            return
        length = struct.unpack(form, head[4:])[0]
        yield head[:4], at + width, length
        at += width + max(length, 0) + (-length) % align


def _riff(file: BinaryIO, order: str, is_64: bool) -> Promise | None:
    block, long = 1, 0
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


def mended_riff(file: BinaryIO, size: int) -> bytes | None:
    """A WAV, RF64 or BW64 file with the sizes that a writer into a pipe had to leave out, and a name libsndfile knows.

    Args:
        file: open at any position.
        size: bytes of it.

    Returns:
        The whole file, mended; None if there is nothing to mend.
    """
    file.seek(0)
    name = file.read(4)
    places = {name: (at, length) for name, at, length in _chunks(file, 12, "<I", 2) if name in (b"ds64", b"data")}
    data, length = places.get(b"data", (size, 0))
    ds64 = places[b"ds64"][0] if b"ds64" in places and name != b"RIFF" else None
    if ds64 and length == 0xFFFFFFFF:
        file.seek(ds64 + 8)
        piped = not 0 < int.from_bytes(file.read(8), "little") < PIPED_64
    else:
        piped = length == 0 and data < size and not _ends_with_chunks(file, data, size)
    if not piped and name != b"BW64":
        return None
    file.seek(0)
    whole = bytearray(file.read())
    whole[:4] = b"RIFF" if ds64 is None else b"RF64"
    if piped and ds64:
        whole[ds64 : ds64 + 16] = struct.pack("<QQ", size - 8, size - data)
    elif piped:
        whole[4:8] = struct.pack("<I", min(size - 8, 0xFFFFFFFF))
        whole[data - 4 : data] = struct.pack("<I", min(size - data, 0xFFFFFFFF))
    return bytes(whole)


def _ends_with_chunks(file: BinaryIO, at: int, size: int) -> bool:
    """Whether chunks, and nothing else, fill a file from here to its end."""
    chunks = list(_chunks(file, at, "<I", 2))
    named = all(name.strip().isalnum() for name, _, _ in chunks)
    return named and bool(chunks) and chunks[-1][1] + chunks[-1][2] in (size, size - 1)


def _aiff(file: BinaryIO) -> Promise | None:
    for name, at, length in _chunks(file, 12, ">I", 2):
        if name == b"SSND":  # begins with an offset and a block size, 8 bytes
            return _unless_piped(at + 8, length - 8, PIPED_32)
    return None


def _caf(file: BinaryIO) -> Promise | None:
    for name, at, length in _chunks(file, 8, ">q", 1):
        if name == b"data":  # begins with a count of edits, 4 bytes
            return _unless_piped(at + 4, length - 4, PIPED_64)
    return None


def _w64(file: BinaryIO) -> Promise | None:
    at = 40
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24 or head[4:16] != W64_TAIL:
            return None
        length = struct.unpack("<Q", head[16:])[0]  # with the 24 bytes of its head
        if head[:4] == b"data":
            return _unless_piped(at + 24, length - 24, PIPED_64)
        if length < 24:
            return None
        at += length + (-length) % 8
    return None


def _sphere(file: BinaryIO) -> Promise | None:
    file.seek(0)
    lines = file.read(1024).split(b"\n")
    fields = {line.split()[0]: line.split()[-1] for line in lines if len(line.split()) >= 3}
    try:
        start = int(lines[1])
        n = int(fields[b"sample_count"])
        width = int(fields.get(b"channel_count", 1)) * int(fields[b"sample_n_bytes"])
    except (KeyError, ValueError, IndexError):
        return None
    packed = any(word in fields.get(b"sample_coding", b"") for word in (b"shorten", b"shortpack", b"wavpack"))
    return None if packed else _unless_piped(start, n * width, PIPED_64, width)
