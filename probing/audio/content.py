"""The bytes of a file by position, and pieces of them as a file; only a block of it is held.

A mapped file would do, but it ends the process with a signal if the disk fails or another process
cuts the file.
"""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO

BLOCK = 1 << 16

Piece = bytes | tuple[int, int]


class Content:
    """The bytes of an open file.

    Attributes:
        size: their number.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._at = 0
        self._block = b""

    def read(self, start: int, n: int) -> bytes:
        """`n` bytes from `start` on; fewer if the file ends."""
        at = start - self._at
        if at < 0 or at + n > len(self._block):
            if start >= self.size:
                return b""
            self._file.seek(start)
            self._block = self._file.read(max(n, BLOCK))
            self._at = start
            at = 0
        return self._block[at : at + n]

    def find(self, pattern: bytes, start: int) -> int:
        """Where a pattern is first found from `start` on; -1 if nowhere."""
        while start < self.size:
            at = self.read(start, BLOCK).find(pattern)
            if at >= 0:
                return start + at
            start += BLOCK - len(pattern) + 1
        return -1


class Pieces(io.RawIOBase):
    """Pieces of a file, and bytes put between them, as a file to read; nothing is copied.

    Args:
        content: what they are pieces of.
        pieces: bytes, or (start, end) of a stretch of the content, in their order.

    Attributes:
        failure: the error of the disk, if there was one: a decoder that reads by callbacks takes it
            for the end.
    """

    def __init__(self, content: Content, pieces: Sequence[Piece]) -> None:
        self._content, self._pieces = content, pieces
        lengths = (
            len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces
        )
        self._starts, self._at = [0, *accumulate(lengths)], 0
        self.failure: OSError | None = None

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return self._starts[-1]

    def readable(self) -> bool:
        """Whether it can be read; always."""
        return True

    def seekable(self) -> bool:
        """Whether a reader may jump; always."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or as much of it as there are bytes left."""
        n = max(0, min(len(buffer), self.size - self._at))
        done = 0
        while done < n:
            index = bisect_right(self._starts, self._at) - 1
            piece = self._pieces[index]
            skipped = self._at - self._starts[index]
            length = min(n - done, self._starts[index + 1] - self._at)
            if isinstance(piece, bytes):
                found = piece[skipped : skipped + length]
            else:
                try:
                    found = self._content.read(piece[0] + skipped, length)
                except OSError as error:
                    self.failure = error
                    break
            if not found:  # cut by another process since
                break
            buffer[done : done + len(found)] = found
            done, self._at = done + len(found), self._at + len(found)
        return done


def patched(start: int, end: int, patches: dict[int, bytes]) -> list[Piece]:
    """The pieces of a stretch with other bytes at some positions, which count from its start."""
    pieces: list[Piece] = []
    at = start
    for offset, new in sorted(patches.items()):
        pieces += [(at, start + offset), new]
        at = start + offset + len(new)
    return [*pieces, (at, end)]
