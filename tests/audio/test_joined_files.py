"""Files behind each other, behind tags and under other names: each part is read, and none of
another kind as noise.
"""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from audio_bytes import encoded, mp3, reason, seconds, without_info

from probing.audio import SAMPLING_RATE, Cropping, load_audio
from probing.audio.content import BLOCK, Content, Pieces, patched

ID3V1 = b"TAG" + bytes(125)


def id3v2(n: int) -> bytes:
    """A tag of `n` bytes, such as a picture, whose length has seven bits a byte."""
    return b"ID3\x04\0\0" + bytes(n >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(n)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "FLAC"])
def test_files_behind_each_other_are_all_read(tmp_path: Path, kind: str) -> None:
    first, second = encoded(16000, 2.0, format=kind), encoded(44100, 3.0, 2, format=kind)
    assert seconds(tmp_path / "a", first + second) == pytest.approx(5, abs=0.001)
    assert seconds(tmp_path / "a", first * 3) == 6
    cut = first + second[: len(second) // 2]
    assert reason(tmp_path / "a", cut).startswith(
        "not decodable: flac" if kind == "FLAC" else "truncated"
    )


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_cut_link_within_a_chain_of_ogg_streams_is_found(tmp_path: Path, subtype: str) -> None:
    whole = encoded(16000, 3.0, format="OGG", subtype=subtype)
    last = whole.rfind(b"OggS")
    assert seconds(tmp_path / "a", whole + bytes(100) + whole) == pytest.approx(6, abs=0.02)
    assert reason(tmp_path / "a", whole[:last] + whole).startswith(
        "truncated: the Ogg stream has no last page"
    )
    assert reason(tmp_path / "a", whole[: last + 40] + whole).startswith(
        "truncated: an Ogg page is not complete"
    )


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "AIFF", "MP3"])
@pytest.mark.parametrize("name", ["a", "a.mp3", "a.raw"])
def test_a_tag_in_front_and_a_wrong_name_hide_nothing(tmp_path: Path, kind: str, name: str) -> None:
    content = encoded(16000, 2.0, format=kind)
    for tags in (b"", id3v2(300), id3v2(90_000) + id3v2(20)):
        assert seconds(tmp_path / name, tags + content) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    "name", ["a.au", "a.snd", "a.gsm", "a.vox", "a.raw", "a.wav", "a.mp3", "a"]
)
def test_bytes_without_a_header_are_not_decoded_by_their_name(tmp_path: Path, name: str) -> None:
    for content in (
        np.random.default_rng(0).bytes(20_000),
        b"A list of speakers, not audio.\n" * 500,
    ):
        assert reason(tmp_path / name, content).startswith("not decodable")


@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_mp3_with_junk_between_its_frames_is_read_to_its_end(tmp_path: Path, rate: int) -> None:
    whole, path = mp3(rate), tmp_path / "a.mp3"
    junk, noise = bytes(5000), np.random.default_rng(1).bytes(3000)
    for between in (junk, noise, id3v2(70_000)):
        assert seconds(path, without_info(whole) + between + without_info(whole)) == pytest.approx(
            4, abs=0.2
        )
        assert seconds(path, whole + between + whole) == pytest.approx(4, abs=0.01)
    assert seconds(path, whole[:9000] + junk + whole[9000:]) == pytest.approx(2, abs=0.1)
    assert seconds(path, junk + without_info(whole)) == pytest.approx(2, abs=0.2)


def test_an_mp3_that_turns_from_mono_to_stereo_is_read_to_its_end(tmp_path: Path) -> None:
    mono, stereo = without_info(mp3(24000, 2.0)), without_info(mp3(24000, 3.0, 2))
    assert seconds(tmp_path / "a.mp3", mono + stereo) == pytest.approx(5, abs=0.2)
    assert seconds(tmp_path / "a.mp3", stereo + mono) == pytest.approx(5, abs=0.2)


def flac_of(total: int, seconds: float = 2.0, **how: object) -> bytes:
    content = bytearray(encoded(16000, seconds, format="FLAC", **how))
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("total", [0, 1, 16000, 31999, (1 << 36) - 1])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_flac_that_states_too_small_a_total_or_none_is_read_to_its_end(
    tmp_path: Path, total: int, subtype: str
) -> None:
    content = flac_of(total, subtype=subtype)
    assert seconds(tmp_path / "a.flac", content) == 2
    assert seconds(tmp_path / "a.flac", content + ID3V1) == 2
    assert reason(tmp_path / "b.flac", flac_of(40_000)).startswith("truncated")


def field(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def test_lengths_that_a_pipe_left_open_are_no_lengths(tmp_path: Path) -> None:
    caf, rifx = encoded(16000, format="CAF"), encoded(16000, format="WAV", endian="BIG")
    w64, au = encoded(16000, format="W64"), encoded(16000, format="AU")
    contents = [
        *(
            field(caf, caf.index(b"data") + 4, n.to_bytes(8, "big", signed=True))
            for n in (-1, 0, 2**63 - 1)
        ),
        *(
            field(rifx, rifx.index(b"data") + 4, n.to_bytes(4, "big"))
            for n in (0, 0x7FFFF000, 0xFFFFFFFF)
        ),
        *(
            field(w64, w64.index(b"data\xf3\xac") + 16, n.to_bytes(8, "little"))
            for n in (0, 24, 0xFFFFFFFF, 2**64 - 1)
        ),
        *(field(au, 8, n.to_bytes(4, "big")) for n in (0, 0xFFFFFFFF)),
    ]
    assert [seconds(tmp_path / "a", content) for content in contents] == [2.0] * len(contents)


def long_sphere() -> bytes:
    content = encoded(16000, format="NIST")
    note = b"NIST_1A\n   2048\nutterance_text -s900 " + b"x" * 900 + b"\n"
    return (note + content[16:1024].rstrip(b"\0 ")).ljust(2048, b" ") + content[1024:]


@pytest.mark.parametrize("kind", ["VOC", "SVX", "AVR", "MAT4", "MAT5", "MPC2K", "SPHERE"])
def test_a_cut_of_a_rare_container_is_found_and_a_whole_one_read(tmp_path: Path, kind: str) -> None:
    whole = long_sphere() if kind == "SPHERE" else encoded(16000, format=kind, subtype="PCM_16")
    assert seconds(tmp_path / "a", whole) == 2
    for share in (0.3, 0.9):
        assert reason(tmp_path / "a", whole[: int(share * len(whole))]).startswith("truncated")


def test_pieces_read_as_one_file(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).bytes(3 * BLOCK + 7)
    (tmp_path / "a").write_bytes(whole)
    with open(tmp_path / "a", "rb") as file:
        content = Content(file)
        pieces = Pieces(content, [b"head", *patched(100, len(whole), {5: b"new", BLOCK: b"more"})])
        expected = bytearray(whole[100:])
        expected[5:8], expected[BLOCK : BLOCK + 4] = b"new", b"more"
        assert pieces.read() == b"head" + expected
        for start, n in (
            (0, 3),
            (2, 9),
            (BLOCK, 2 * BLOCK),
            (pieces.size - 2, 9),
            (pieces.size + 5, 1),
        ):
            pieces.seek(start)
            assert pieces.read(n) == (b"head" + expected)[start : start + n]
        for at in (0, BLOCK - 2, 2 * BLOCK - 1, len(whole) - 4):
            assert content.find(whole[at : at + 4], max(0, at - 3)) == at
        assert content.find(b"not in there", 0) == -1


def test_a_file_that_another_process_cuts_is_listed_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(4 * BLOCK))
    with open(path, "rb") as file:
        content = Content(file)
        pieces = Pieces(content, [(0, content.size)])
        assert len(pieces.read(10)) == 10
        path.write_bytes(b"")
        pieces.seek(2 * BLOCK)
        assert pieces.read(10) == b""


class FailingDisk(io.FileIO):
    """A file of which no more than the first block can be read."""

    def read(self, n: int | None = -1) -> bytes:
        if self.tell() >= BLOCK:
            raise OSError(5, "Input/output error")
        return super().read(n) or b""


def test_an_error_of_the_disk_is_not_the_end_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(4 * BLOCK))
    with FailingDisk(tmp_path / "a") as file:
        pieces = Pieces(Content(file), [(0, 4 * BLOCK)])
        assert len(pieces.read()) < 4 * BLOCK
    assert isinstance(pieces.failure, OSError)


def test_a_long_file_from_a_pipe_is_not_held_in_memory(tmp_path: Path) -> None:
    wav = field(encoded(16000, 2.0, format="WAV"), 40, bytes(4))
    with open(tmp_path / "a.wav", "wb") as file:
        file.write(wav)
        file.truncate(300_000_000)
    tracemalloc.start()
    assert len(load_audio(tmp_path / "a.wav", Cropping(max_seconds=1.0))) == SAMPLING_RATE
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000
