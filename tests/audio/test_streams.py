"""Lengths that a header states wrongly or not at all, and files that were cut: all is read, or the
cut is told.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from audio_bytes import WHOLE, encoded, mp3, reason, seconds, without_info
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.audio import SAMPLING_RATE, Cropping, UnusableAudio, load_audio, stated_seconds
from probing.audio.content import Content
from probing.audio.streams import parts

LAST_PAGE = 4  # flag of an Ogg page


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_without_a_count_is_read_to_its_end(tmp_path: Path, rate: int, mode: str) -> None:
    bare = without_info(mp3(rate, 2.0, 1 + rate % 2, mode))
    padding = 3 * 1152 / rate  # of the encoder, which the count would have taken off
    assert seconds(tmp_path / "a.mp3", bare) == pytest.approx(2, abs=padding)
    assert seconds(tmp_path / "no suffix", bare) == pytest.approx(2, abs=padding)


@pytest.mark.parametrize(
    "between", [b"", b"TAG" + bytes(125), b"ID3\x04\0\0\0\0\1\x00" + bytes(128)]
)
def test_joined_mp3_files_are_read_one_after_the_other(tmp_path: Path, between: bytes) -> None:
    first, second = mp3(24000, 2.0), mp3(24000, 3.0)
    assert seconds(tmp_path / "a.mp3", first + between + second) == pytest.approx(5, abs=0.01)
    assert seconds(tmp_path / "b.mp3", first + between + without_info(second)) == pytest.approx(
        5, abs=0.15
    )
    assert seconds(
        tmp_path / "c.mp3", without_info(first) + between + second + between
    ) == pytest.approx(5, abs=0.15)


def test_joined_mp3_files_of_other_rates_keep_their_seconds(tmp_path: Path) -> None:
    assert seconds(tmp_path / "a.mp3", mp3(24000, 2.0) + mp3(44100, 3.0, 2)) == pytest.approx(
        5, abs=0.01
    )


def test_an_ordinary_mp3_is_given_to_the_decoder_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3(44100))
    with open(path, "rb") as file:
        assert list(parts(path, Content(file), 30.0)) == [path]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_mp3_that_counts_more_frames_than_it_has_was_cut(tmp_path: Path, share: float) -> None:
    whole = mp3(16000, 4.0)
    assert reason(tmp_path / "a.mp3", whole[: int(share * len(whole))]).startswith("truncated")
    assert reason(tmp_path / "a.mp3", whole + whole[: int(share * len(whole))]).startswith(
        "truncated"
    )


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_chain_of_ogg_streams_is_read_to_its_end(tmp_path: Path, subtype: str) -> None:
    links = [encoded(rate, 1.0, format="OGG", subtype=subtype) for rate in (16000, 48000, 24000)]
    assert seconds(tmp_path / "a.ogg", b"".join(links)) == pytest.approx(3, abs=0.02)
    assert seconds(tmp_path / "a.ogg", links[0] * 3) == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_without_its_last_page_was_cut(tmp_path: Path, subtype: str) -> None:
    whole = encoded(16000, 6.0, format="OGG", subtype=subtype)
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    assert whole[pages[-1] + 5] & LAST_PAGE
    for page in pages[3:]:
        assert reason(tmp_path / "a.ogg", whole[:page]).startswith("truncated")
        assert reason(tmp_path / "a.ogg", whole + whole[:page]).startswith("truncated")


def wav_of(length: int) -> bytes:
    content = encoded(16000, 2.0, format="WAV")
    at = content.index(b"data") + 4
    return content[:at] + length.to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.parametrize(
    "length",
    [0, 0x7F000000, 0x7FFFF000, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFD3, 0xFFFFFFFF],
)
def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path, length: int) -> None:
    assert seconds(tmp_path / "a.wav", wav_of(length)) == 2


def piped_flac() -> bytes:
    content = bytearray(encoded(16000, 2.0, format="FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def piped_au() -> bytes:
    content = encoded(16000, 2.0, format="AU")
    return content[:8] + b"\xff\xff\xff\xff" + content[12:]


def piped_rf64(name: bytes = b"RF64", length: int = 0) -> bytes:
    content = bytearray(encoded(16000, 2.0, format="RF64"))
    content[:4] = name
    at = content.index(b"ds64") + 8
    content[at : at + 24] = length.to_bytes(8, "little") * 3
    return bytes(content)


def piped_w64() -> bytes:
    content = bytearray(encoded(16000, 2.0, format="W64"))
    at = content.index(b"data\xf3\xac") + 16
    content[at : at + 8] = (2**63 - 1).to_bytes(8, "little")
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        piped_flac(),
        piped_au(),
        piped_rf64(),
        piped_rf64(length=2**64 - 1),
        piped_rf64(b"BW64"),
        piped_w64(),
    ],
    ids=["flac", "au", "rf64 of 0", "rf64 of -1", "bw64", "w64"],
)
def test_other_containers_written_to_a_pipe_are_whole(tmp_path: Path, content: bytes) -> None:
    assert seconds(tmp_path / "a", content) == pytest.approx(2, abs=0.001)


def late(content: bytes) -> bytes:
    at = content.index(b"data")
    return content[:at] + b"JUNK" + (90000).to_bytes(4, "little") + bytes(90000) + content[at:]


CONTAINERS: dict[str, Callable[[], bytes]] = {
    **{
        kind: lambda kind=kind: encoded(16000, format=kind)
        for kind in ("WAV", "WAVEX", "AU", "W64", "RF64", "CAF")
    },
    **{kind: lambda kind=kind: encoded(16000, format=kind) for kind in ("AIFF", "NIST", "FLAC")},
    "big-endian WAV": lambda: encoded(16000, format="WAV", endian="BIG"),
    "little-endian AU": lambda: encoded(16000, format="AU", endian="LITTLE"),
    "A-law": lambda: encoded(16000, format="WAV", subtype="ALAW"),
    "ADPCM": lambda: encoded(16000, format="WAV", subtype="IMA_ADPCM"),
    "GSM": lambda: encoded(8000, format="WAV", subtype="GSM610"),
    "ALAC": lambda: encoded(16000, format="CAF", subtype="ALAC_16"),
    "data behind 90 kB": lambda: late(encoded(16000, format="WAV")),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_cut_of_any_container_is_found_and_a_whole_one_read(tmp_path: Path, kind: str) -> None:
    whole = CONTAINERS[kind]()
    packed = kind in ("ADPCM", "GSM", "ALAC")  # blocks, the last of which is filled up
    assert seconds(tmp_path / "a", whole) == pytest.approx(2, abs=0.13 if packed else 0)
    for share in (0.3, 0.6, 0.9):
        assert reason(tmp_path / "a", whole[: int(share * len(whole))]).startswith(
            ("truncated", "not decodable")
        )


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "OGG", "MP3"])
def test_a_cut_behind_what_is_wanted_is_found_as_well(tmp_path: Path, kind: str) -> None:
    whole = encoded(16000, 4.0, format=kind)
    for cropping in (Cropping(max_seconds=1.0), Cropping(seconds=1.0)):
        assert reason(tmp_path / "a", whole[: int(0.8 * len(whole))], cropping).startswith(
            "truncated"
        )
        (tmp_path / "a").write_bytes(whole)
        assert len(load_audio(tmp_path / "a", cropping)) == SAMPLING_RATE


@pytest.mark.parametrize("behind", [b"LIST\x04\0\0\0abcd", b"\0", b"id3 \x06\0\0\0abcdef"])
def test_chunks_and_a_byte_behind_the_samples_are_no_fault(tmp_path: Path, behind: bytes) -> None:
    assert seconds(tmp_path / "a.wav", encoded(16000, format="WAV") + behind) == 2


def test_less_than_a_block_may_be_missing(tmp_path: Path) -> None:
    assert seconds(
        tmp_path / "a.wav", encoded(16000, format="WAV", subtype="PCM_16")[:-1]
    ) == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("name", ["a.raw", "A.RAW", "a.wav", "a.mp3", "a.sd2", "a"])
@given(content=st.binary(max_size=300))
@settings(max_examples=25, deadline=None)
def test_bytes_that_are_no_audio_have_a_reason_under_any_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    with pytest.raises(UnusableAudio, match=r"not decodable|empty|truncated|silent|short"):
        load_audio(path, WHOLE, min_samples=400)
    assert stated_seconds(path, 30.0) is None


def test_a_length_is_stated_only_if_the_file_knows_it(tmp_path: Path) -> None:
    contents = {
        "known.wav": encoded(16000, 2.0, format="WAV"),
        "piped.flac": piped_flac(),
        "bare.mp3": b"no audio",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert [stated_seconds(tmp_path / name, 30.0) for name in contents] == [2.0, None, None]
    (tmp_path / "bare.mp3").write_bytes(without_info(mp3(24000, 3.0)))
    assert stated_seconds(tmp_path / "bare.mp3", 30.0) == pytest.approx(3, abs=0.15)
    assert stated_seconds(tmp_path / "known.wav", 1.5) == 1.5
