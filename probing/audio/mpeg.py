"""MPEG audio: frames are counted, as an MP3 has no length, and the count given to the decoder.

libsndfile takes the length from an Info frame, which a server that joins its chunks leaves as it
was for the first, or guesses one from the first bit rate; and it ends at a kilobyte of junk, or if
mono turns stereo.

Sources: ISO/IEC 11172-3 and 13818-3 (frames), the Xing and LAME Info tag, ID3v2.4, APEv2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from probing.audio.containers import UnusableAudio
from probing.audio.content import Content, Piece

BITRATES = {  # kbit/s by (MPEG 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# by the two version bits
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
SYNC_WITHIN = 1 << 16  # bytes of junk before the first frame
ID3V1 = b"TAG"
APE = b"APETAGEX"


@dataclass(frozen=True)
class Header:
    """What four bytes say of a frame: bytes, samples, rate, and what its stream shares."""

    n_bytes: int
    n_samples: int
    rate: int
    sync: tuple[int, int, int]  # version, layer and rate
    mono: bool
    side_info: int  # bytes between the header and where an Info tag stands

    @property
    def layer(self) -> int:
        """1, 2 or 3."""
        return self.sync[1]


@dataclass
class _Run:
    """Frames that a decoder takes in one; `counted` is what an Info frame before them says."""

    first: Header
    head: bytes
    counted: int | None = None
    stretches: list[tuple[int, int]] = field(default_factory=list)
    n_frames: int = 0

    def add(self, at: int, n_bytes: int) -> None:
        start = self.stretches.pop()[0] if self.stretches and self.stretches[-1][1] == at else at
        self.stretches.append((start, at + n_bytes))


def begins_mpeg(content: Content, at: int) -> bool:
    """Whether a frame of MPEG audio begins here."""
    return _header(content.read(at, 4)) is not None


def mpeg_parts(content: Content) -> list[list[Piece]] | None:
    """The pieces of each part of MPEG audio; None if the decoder can take the file as it is.

    Raises:
        UnusableAudio: an Info frame counts more frames than there are.
    """
    start = after_tags(content, 0)
    if _is_as_encoded(content, start):
        return None
    runs = _runs(content)
    if not runs:  # of a free bit rate, or no MPEG audio after all
        return None
    for run in runs:
        if run.counted and run.counted > run.n_frames + 1:  # some count the Info frame as well
            raise UnusableAudio(f"truncated: {run.n_frames} of {run.counted} MP3 frames are there")
    if (
        len(runs) == 1
        and runs[0].counted
        and len(runs[0].stretches) == 1
        and runs[0].stretches[0][0] == start
    ):
        return None
    return [
        list(run.stretches) if run.counted else _with_count(run) for run in runs if run.n_frames
    ]


def after_tags(content: Content, at: int) -> int:
    """Where the tags that begin here end; `at` if none does."""
    while (end := _after_tag(content, at)) > at:
        at = end
    return at


def _after_tag(content: Content, at: int) -> int:
    head = content.read(at, 24)
    if head[:3] == b"ID3" and len(head) >= 10:
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte & 0x7F
        return at + 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:3] == ID3V1:
        return at + 128
    if head[:8] == APE and len(head) == 24:
        is_header = bool(head[23] & 0x20)
        return at + 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
    return at


def _header(head: bytes) -> Header | None:
    if len(head) < 4 or head[0] != 0xFF:
        return None
    return _header_of(head[1], head[2], head[3] >> 6)


@lru_cache(maxsize=4096)
def _header_of(second: int, third: int, mode: int) -> Header | None:
    version = second >> 3 & 3
    layer = 4 - (second >> 1 & 3)
    bitrate = third >> 4
    rate = third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None  # reserved, or of a free rate
    bits = 1000 * BITRATES[version == 3, layer][bitrate]
    hertz = RATES[version][rate]
    padding = third >> 1 & 1
    if layer == 1:
        n_bytes = (12 * bits // hertz + padding) * 4
        n_samples = 384
    else:
        n_samples = 576 if layer == 3 and version != 3 else 1152
        n_bytes = n_samples // 8 * bits // hertz + padding
    mono = mode == 3
    side_info = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return Header(
        n_bytes, n_samples, rate=hertz, sync=(version, layer, rate), mono=mono, side_info=side_info
    )


def _frames(content: Content) -> Iterator[tuple[int, Header, bytes]]:
    """The whole frames of a stream in their order, without tags and junk between."""
    at = 0
    end = -1
    sync = None
    size = content.size
    read = content.read
    while at < size:
        head = read(at, 4)
        header = _header(head)
        if header and at + header.n_bytes <= size:
            following = at + header.n_bytes
            # Four bytes of junk look like a header now and then; the next header is where it says
            # only by chance.
            if (at == end and header.sync == sync) or _confirmed(content, following, header):
                sync = header.sync
                end = following
                yield at, header, head
                at = end
                continue
        if (behind := _after_tag(content, at)) > at:
            at = behind
            continue
        at = content.find(b"\xff", at + 1)
        if at < 0 or (sync is None and at > SYNC_WITHIN + after_tags(content, 0)):
            return


def _confirmed(content: Content, following: int, header: Header) -> bool:
    then = _header(content.read(following, 4))
    if then:
        return then.sync == header.sync
    return following == content.size or _after_tag(content, following) > following


def _counted(content: Content, at: int, header: Header) -> tuple[int, int] | None:
    """Frames and bytes that an Info frame counts, 0 if not stated; None for a frame of audio."""
    if header.layer != 3:
        return None
    frame = content.read(at, 64)
    for place in (4 + header.side_info, 6 + header.side_info):  # with a checksum, two bytes further
        if frame[place : place + 4] in (b"Xing", b"Info"):
            flags = frame[place + 7]
            numbers = frame[place + 8 : place + 16]
            n_frames = int.from_bytes(numbers[:4], "big") if flags & 1 else 0
            return n_frames, int.from_bytes(numbers[4:], "big") if flags & 3 == 3 else 0
    return (0, 0) if frame[36:40] == b"VBRI" else None


def _is_as_encoded(content: Content, start: int) -> bool:
    """Whether the first frame counts the bytes of all, and they are there.

    Then there is no need to look at each frame.
    """
    header = _header(content.read(start, 4))
    counted = _counted(content, start, header) if header else None
    if not counted or not all(counted):
        return False
    end = content.size - 128 if content.read(content.size - 128, 3) == ID3V1 else content.size
    return start + counted[1] == end


def _runs(content: Content) -> list[_Run]:
    """The runs of a stream: an Info frame, the end of its count or another rate begins one.

    Another number of channels does so too.
    """
    runs: list[_Run] = []
    for at, header, head in _frames(content):
        counted = _counted(content, at, header)
        run = runs[-1] if runs else None
        if counted is not None:
            run = _Run(header, head, counted[0])
            if counted[0]:
                run.add(at, header.n_bytes)
            runs.append(run)
            continue
        # behind an Info frame that does not count
        if run is not None and run.n_frames == 0 and not run.counted:
            run.first, run.head = header, head
        changed = run is None or (run.first.sync, run.first.mono) != (header.sync, header.mono)
        if run is None or changed or (run.counted and run.n_frames >= run.counted):
            run = _Run(header, head)
            runs.append(run)
        run.add(at, header.n_bytes)
        run.n_frames += 1
    return [run for run in runs if run.n_frames or run.counted]


def _with_count(run: _Run) -> list[Piece]:
    """A run of frames behind an Info frame that counts them."""
    # the others have no Info frame, but one bit rate, by which libsndfile counts right
    if run.first.layer != 3:
        return list(run.stretches)
    head = bytes((run.head[0], run.head[1] | 1, *run.head[2:]))  # no checksum
    info = (
        head
        + bytes(run.first.side_info)
        + b"Xing"
        + (1).to_bytes(4, "big")
        + run.n_frames.to_bytes(4, "big")
    )
    return [info.ljust(run.first.n_bytes, b"\0"), *run.stretches]
